#!/usr/bin/perl

# The body, of any size, wherever it is kept, comes to each target as it was.

use lib 't/lib';
use Trove;

use Digest::SHA qw/ sha256_hex /;

# says what came: the digest of a body, and how long it is

my $file = testdir() . '/bodies';

sub sink {
    my ($status) = @_;

    return raw {
        my ($socket) = @_;

        my $in = '';

        while (1) {
            while ($in !~ /\x0d\x0a\x0d\x0a/) {
                raw_read($socket, \$in) or return;
            }

            my ($head) = $in =~ /^(.*?\x0d\x0a\x0d\x0a)/s;
            my ($uri) = $head =~ /^\w+ (\S+)/;
            my $body;

            $in = substr $in, length $head;

            if ($head =~ /^Transfer-Encoding: chunked/mi) {
                my $used;

                while (1) {
                    ($body, $used) = Trove::Response::dechunk($in);
                    last if defined $used;
                    raw_read($socket, \$in) or return;
                }

                $in = substr $in, $used;

            } else {
                my ($length) = $head =~ /^Content-Length: (\d+)/mi;

                while (length $in < $length) {
                    raw_read($socket, \$in) or return;
                }

                $body = substr $in, 0, $length, '';
            }

            my ($id) = $head =~ /^X-Trove-Event-Id: (\S+)/mi;

            open my $fh, '>>', $file or die "open $file: $!";
            syswrite $fh, join(' ', $id, $uri, length $body, sha256_hex($body))
                . "\n";
            close $fh;

            print $socket "HTTP/1.1 $status X\x0d\x0aContent-Length: 0"
                . "\x0d\x0a\x0d\x0a";
        }
    };
}

my $sink = sink(200);
my $bad = sink(500);

my @targets = qw/ plain unbuffered threads copied next /;
my $fanout = join "\n", map { "trove_fanout /$_ name=$_;" } @targets;

my $nginx = nginx(<<"EOF", main => 'thread_pool default threads=4;')->start;
    proxy_http_version 1.1;
    proxy_set_header Connection "";

    upstream sink { server 127.0.0.1:$sink; keepalive 16; }
    upstream next {
        server 127.0.0.1:$bad max_fails=0;
        server 127.0.0.1:$sink backup;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /memory {
            client_body_buffer_size 32m;
            client_max_body_size 32m;
            $fanout
        }

        location = /file {
            client_body_buffer_size 1k;
            client_max_body_size 32m;
            $fanout
        }

        location = /infile {
            client_body_in_file_only clean;
            client_max_body_size 32m;
            $fanout
        }

        location = /plain { internal; proxy_pass http://sink; }

        location = /unbuffered {
            internal;
            proxy_request_buffering off;
            proxy_pass http://sink;
        }

        # reads the file, which all share, by threads

        location = /threads {
            internal;
            aio threads;
            sendfile off;
            proxy_pass http://sink;
        }

        location = /copied {
            internal;
            aio threads;
            sendfile off;
            proxy_pass http://sink;
        }

        location = /next {
            internal;
            proxy_next_upstream error http_500 non_idempotent;
            proxy_pass http://next;
        }

        location = /status { stub_status; }
    }
EOF

# random, so that no piece is like another

sub body {
    my ($id, $size) = @_;

    my $body = event('file.written', id => $id, data => { path => 'PAD' });
    my $pad = $size - length($body) + 3;
    my $text = '';

    if ($pad > 0) {
        $text .= sha256_hex(rand) for 0 .. $pad / 64;
        $text = substr $text, 0, $pad;
    }

    return $body =~ s/PAD/$text/r;
}

# what is large takes its time where everything is slow

sub deliver {
    my ($uri, $body, %opt) = @_;

    my $conn = conn($nginx->port);

    $conn->send(event_request($uri, $body, %opt));

    my $r = $conn->response(timeout => 60);

    $conn->close;

    return $r;
}

sub check_targets {
    my ($name, $id, $body, $r) = @_;

    is($r && $r->targets, join(' ', map { "$_=200" } @targets),
        "$name: taken") or return;

    my $sum = length($body) . ' ' . sha256_hex($body);
    my @got = map { /^\Q$id\E (.*)$/ ? $1 : () } split /\n/, slurp($file);

    is(join("\n", sort @got),
        join("\n", sort map { "/$_ $sum" } @targets, 'next'),
        "$name: byte for byte");
}

my $idle = stub_status($nginx->port);

for my $size (0, 1000, 1024, 4096, 16384, 65536, 65537, 1_000_000, 5_000_000,
    20_000_000)
{
    for my $where (qw/ memory file infile /) {
        my $body = body(my $id = new_id(), $size);

        check_targets("$size in $where", $id, $body,
            deliver("/$where", $body));

        next if $size > 5_000_000;

        $body = body($id = new_id(), $size);

        check_targets("$size in $where, chunked", $id, $body,
            deliver("/$where", $body, chunked => 7000));

        my $h2 = h2($nginx->port(1));
        my $stream;

        $body = body($id = new_id(), $size);
        $stream = $h2->headers('POST', "/$where");
        $h2->data($stream, $body, end => 1);

        check_targets("$size in $where, HTTP/2", $id, $body,
            $h2->response($stream, timeout => 60));
        $h2->close;
    }
}

# many at a time

my @bodies = map { body(new_id(), 300_000) } 1 .. 10;
my @answers = many($nginx->port, map { event_request('/file', $_) } @bodies);

for my $i (0 .. $#bodies) {
    my ($id) = $bodies[$i] =~ /"id":"([^"]+)"/;

    check_targets("together $i", $id, $bodies[$i], $answers[$i]);
}

is(post_event($nginx->port, '/file', '')->status, 400, 'no body is no event');
is(get($nginx->port, '/file')->status, 405, 'neither is a GET');

ok(wait_until {
    my $now = stub_status($nginx->port);
    $now->{active} == $idle->{active} && $now->{writing} == $idle->{writing};
}, 'no request is left');

done_testing();
