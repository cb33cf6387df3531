#!/usr/bin/perl

# Streams over TLS, which has a buffer of its own: events are sent at once, a
# slow client gets all of them, one that goes is noticed, and a reload ends the
# response.  And a proxy in front, which must not buffer them.

use IO::Socket;
use POSIX ();

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Http2;
use Trove::Metrics;
use Trove::Stream;

my $dir = testdir();

system("cd $dir && openssl req -x509 -newkey rsa:2048 -nodes -days 30 "
    . '-subj /CN=localhost -keyout a.key -out a.crt 2>/dev/null') == 0
    or die 'openssl failed';

my $api = 'trove_api a-token-of-some-length;';

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    server => 'client_body_buffer_size 1m;', http => <<"EOC"), workers => 2)
    ssl_certificate     $dir/a.crt;
    ssl_certificate_key $dir/a.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    server {
        listen 127.0.0.1:%%PORT_1%% ssl sndbuf=64k;
        location /trove/ { $api }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% ssl http2 sndbuf=64k;
        ssl_buffer_size 4k;
        location /trove/ { $api }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;

        location / {
            trove_verify off;
            proxy_pass https://127.0.0.1:%%PORT_1%%;

            # nginx does not free its session when it exits

            proxy_ssl_session_reuse off;
        }
    }
EOC
    ->start;


sub accepted {
    my ($id, %over) = @_;

    my $r = spool_send($nginx, $id, 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}


# a connection by way of a client of TLS

sub tls {
    my ($port, @options) = @_;

    my ($ours, $theirs) = IO::Socket->socketpair(AF_UNIX, SOCK_STREAM,
        PF_UNSPEC) or die "socketpair: $!";

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        POSIX::dup2(fileno $theirs, $_) for 0, 1;
        open STDERR, '>', '/dev/null';
        exec 'openssl', 's_client', '-quiet', '-connect', "127.0.0.1:$port",
            @options or POSIX::_exit(127);
    }

    close $theirs;
    $ours->blocking(0);

    return bless { socket => $ours, in => '', eof => 0, pid => $pid },
        'Trove::Http';
}

sub gone {
    my ($conn) = @_;

    kill 'KILL', $conn->{pid};
    waitpid $conn->{pid}, 0;
}

sub readers {
    my ($n, $text) = @_;

    ok(metric_wait($nginx, 'trove_stream_readers', {}, $n, 99), $text);
}


# within less time than it takes to a comment, which would flush a buffer

my @versions = qw/ -tls1_2 -tls1_3 /;

my @streams = map {
    stream($nginx, undef, conn => tls($nginx->port(1), $_))
} @versions;

my @ids;

for my $size (1, 100, 5000, 16384, 20_000, 100_000) {
    push @ids, accepted("evt-$size", data => { x => 'x' x $size });

    is_deeply($_->ids(scalar @ids, 5), \@ids, "$size bytes at once")
        for @streams;
}


# HTTP/2

my $h2 = h2(undef, tls($nginx->port(2), '-alpn', 'h2'));
my $id = $h2->headers(GET => '/trove/v1/workspaces/ws-test/webhooks/stream',
    end => 1, headers => [ 'Last-Event-ID' => 0,
        Authorization => 'Bearer a-token-of-some-length' ]);
my $got = \$h2->{streams}{$id}{body};

ok($h2->run(sub { $$got =~ /"evt-100000".*\n\n/ }), 'HTTP/2: the first ones');
push @ids, accepted('evt-h2');
ok($h2->run(sub { $$got =~ /"evt-h2".*\n\n/ }, 5), 'HTTP/2: one at once');
$h2->close;
gone($h2->{conn});
readers(2, 'HTTP/2: the client goes');


# a proxy in front

my $proxied = stream($nginx, undef, port => 3,
    headers => [ 'Last-Event-ID' => 0 ]);
push @ids, accepted('evt-proxy');
is_deeply($proxied->ids(scalar @ids, 5), \@ids, 'through a proxy, at once');
$proxied->connection->close;
readers(2, 'the proxy goes');


# clients that do not read

push @ids, map { accepted("evt-l$_", data => { x => 'x' x 200_000 }) } 1 .. 20;

is_deeply($_->ids(scalar @ids, 30), \@ids, 'all of them, later') for @streams;

gone($streams[0]->connection);
readers(1, 'a client goes');

push @ids, accepted('evt-last');
is_deeply($streams[1]->ids(scalar @ids), \@ids, 'the other one does not');


# a reload

ok($nginx->reload, 'a reload');
ok($streams[1]->ended, 'ends the response');
ok($nginx->wait_old, 'and the worker exits');

gone($streams[1]->connection);

$nginx->stop;

done_testing();
