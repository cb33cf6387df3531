#!/usr/bin/perl

# A read() of a file of secrets that is short, or interrupted, left secrets out,
# or took the beginning of one for the whole.

use lib 't/lib';
use Trove;

my $dir = testdir();

# comes before the C library, and before a sanitizer

spew("$dir/short.c", <<'EOF');
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t
read(int fd, void *buf, size_t size)
{
    static unsigned  n;
    struct stat      st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {

        if (n++ % 3 == 0) {
            errno = EINTR;
            return -1;
        }

        size = size > 7 ? 7 : size;
    }

    return syscall(SYS_read, fd, buf, size);
}
EOF

is(system($ENV{CC} || 'cc', '-shared', '-fPIC', '-o', "$dir/short.so",
    "$dir/short.c"), 0, 'a read() that is short');

my $backend = backend();

my $nginx = nginx(<<'EOF', files => {
    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            trove_secret file:a.secret;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF
    'a.secret' => "# a comment\ntrove-whsec-first\ntrove-whsec-second\n",
}, env => { LD_PRELOAD => "$dir/short.so", ASAN_OPTIONS => join ':',
    grep { length } $ENV{ASAN_OPTIONS} // '', 'verify_asan_link_order=0' });

$nginx->start;

my $send = sub {
    return post_event($nginx->port, '/', event(), secret => $_[0])->status;
};

is($send->("trove-whsec-$_"), 200, $_) for qw/ first second /;
is($send->($_), 400, "not: $_") for 'trove-', 'trove-w', 'trove-whsec-',
    'trove-whsec-fir', 'trove-whsec-secon';

# the end of a file that is too large is found, too

$nginx->expect(qr/\[emerg\] .*a\.secret" .* is larger than 65536 bytes/);
$nginx->write('a.secret', "trove-whsec-first\n" . '#' x 65536);
ok(!$nginx->reload, 'too large');
is($send->('trove-whsec-first'), 200, 'as before');

done_testing();
