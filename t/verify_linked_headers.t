#!/usr/bin/perl

# Since 1.23.0 NGINX links the request headers of one name for FastCGI and its
# kin, and does so once.  After a redirect from such an application, the value of
# X-Trove-Event that was set from the event came with those of the other copies.

use lib 't/lib';
use Trove;
use Trove::Util qw/ on_exit /;

use IO::Socket::INET;
use POSIX ();

my $secret = 'trove-whsec-linked';


# an application that speaks SCGI: /first leads to /second, which says what it
# got

my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1')
    or die "listen: $!";

my $pid = fork // die "fork: $!";

if ($pid == 0) {

    alarm 120;

    while (my $c = $listen->accept) {
        my ($in, %param) = ('');

        1 while $in !~ /^(\d+):/ && sysread $c, $in, 1, length $in;

        my ($len) = $in =~ /^(\d+):/ or next;

        read $c, $in, $len + 1;
        %param = split /\0/, $in, -1 if $in =~ s/\0,\z//;

        print $c "Status: 200\r\n", $param{PATH} eq '/first'
            ? "X-Accel-Redirect: /second\r\n\r\n"
            : "\r\n" . ($param{HTTP_X_TROVE_EVENT} // 'none');
    }

    POSIX::_exit(0);
}

on_exit { kill 'KILL', $pid; waitpid $pid, 0 };

my $nginx = nginx(<<'EOF', vars => { SCGI => $listen->sockport })->start;
    trove_secret trove-whsec-linked;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        scgi_param PATH $uri;

        location = /first {
            scgi_pass 127.0.0.1:%%SCGI%%;
        }

        location = /second {
            trove_verify on;
            scgi_pass 127.0.0.1:%%SCGI%%;
        }
    }
EOF

for my $uri (qw{ /second /first }) {
    my $response = post_event($nginx->port, $uri, event('file.deleted'),
        secret => $secret,
        headers => [ 'X-Trove-Event' => 'forged', 'x-trove-event' => 'more' ]);

    is($response->body, 'file.deleted', "$uri: the event's type, alone");
}

$nginx->no_errors;

done_testing();
