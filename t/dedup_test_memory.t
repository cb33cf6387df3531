#!/usr/bin/perl

# A large trove_dedup_zone costs what only reads the configuration no memory.

use lib 't/lib';
use Trove;

use POSIX ();

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events;
            return 200;
        }
    }
EOF

my $nginx = nginx($http, vars => { SIZE => '1m' });
my $vars = $nginx->{opt}{vars};
my %getrusage = (x86_64 => 98, aarch64 => 165, ppc64le => 77, s390x => 77);


# the status of nginx, and how many KB it had in memory at its peak, by a process
# that has no other children

sub peak {
    my (@args) = @_;

    pipe my $read, my $write or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        # of what ends by exit(), NGINX leaves the memory to the system

        $nginx->{leaks} = 1;

        my ($code, $text) = $nginx->run(@args);
        my $usage = "\0" x 256;

        syscall $getrusage{ (POSIX::uname())[4] }, -1, $usage;
        syswrite $write, join(' ', $code, (unpack 'l!16', $usage)[4]) . "\n";
        POSIX::_exit(0);
    }

    close $write;
    my $line = <$read> // '';
    waitpid $pid, 0;

    return split ' ', $line;
}


sub small_and_large {
    my ($name, @args) = @_;

    my %peak;

    for my $size (qw/ 1m 400m /) {
        $vars->{SIZE} = $size;
        spew($nginx->conf_file, $nginx->render);

        ($peak{status}{$size}, $peak{$size}) = peak(@args);
    }

    is_deeply($peak{status}, { '1m' => 0, '400m' => 0 }, "$name: works");
    cmp_ok($peak{'1m'}, '>', 1000, 'in some memory');
    cmp_ok($peak{'400m'} - $peak{'1m'}, '<', 20000,
        'and not in more where the zone is large');
}


small_and_large('nginx -t', '-t');
small_and_large('nginx -T', '-T');

$vars->{SIZE} = '1m';
$nginx->start;
small_and_large('nginx -s reopen', '-s', 'reopen');
$vars->{SIZE} = '1m';
$nginx->stop;


# what cannot be is found out all the same

$vars->{SIZE} = '200000000m';
my ($code, $text) = $nginx->test;

is($code, 1, 'more than there is: refused');
like($text, qr/zone "events" cannot be created, mmap\(\) failed/, 'and why');

done_testing();
