#!/usr/bin/perl

# 1,000 targets in a location; 200 events at once, to 50 targets each; answers
# of 50 MB and without an end: nothing is lost, nothing is left.

use lib 't/lib';
use Trove;

use IO::Socket::INET;

my $backend = backend();

my $thousand = join '', map { "trove_fanout /to/a name=n$_;\n" } 1 .. 1000;
my $fifty = join '', map {
    "trove_fanout /$_ name=n$_ max_inflight=30 max_queue=1000 max_wait=1h;\n"
} 1 .. 50;

# 500 MB as fast as they are taken

my $endless = raw {
    my ($socket) = @_;

    raw_read($socket, \my $in);
    print $socket "HTTP/1.1 200 OK\x0d\x0a\x0d\x0a";

    my $mb = 'x' x 1_000_000;
    for (1 .. 500) {
        print $socket $mb or return;
    }
};

# and for ever

my $forever = raw {
    my ($socket) = @_;

    raw_read($socket, \my $in);
    print $socket "HTTP/1.1 200 OK\x0d\x0a\x0d\x0a";

    while (print $socket 'x' x 1000) {
        select undef, undef, undef, 0.01;
    }
};

my %vars = (ENDLESS => $endless, FOREVER => $forever);
my $nginx = nginx(<<"EOF", vars => \%vars)->start;
%%GLOBALS%%
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
    %%HTTP%%
    access_log off;
    trove_dedup_zone zone=events:1m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    log_format got '\$http_x_trove_event_id \$http_x_target';

    upstream b { server 127.0.0.1:%%BACKEND%%; keepalive 4; }
    upstream self { server 127.0.0.1:%%PORT_2%%; keepalive 2000; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /thousand {
            trove_dedup zone=events;
            $thousand
        }

        location = /fifty {
            trove_dedup zone=events;
            $fifty
        }

        location = /free {
            trove_dedup zone=events;
            @{[ $fifty =~ s/ max_\w+=\w+//gr ]}
        }

        location = /huge {
            trove_fanout /huge/1 name=1;
            trove_fanout /huge/2 name=2;
        }

        location = /endless { trove_fanout /drip; }

        location = /forever {
            trove_dedup zone=events;
            trove_fanout /flow;
            trove_fanout /other optional;
        }

        location /huge/ {
            internal;
            proxy_pass http://b;
        }

        location = /flow {
            internal;
            lingering_time 500ms;
            proxy_pass http://127.0.0.1:%%FOREVER%%;
        }

        location = /drip {
            internal;
            lingering_time 10m;
            proxy_pass http://127.0.0.1:%%ENDLESS%%;
        }

        location / {
            internal;
            proxy_set_header X-Target \$trove_target;
            proxy_pass http://self/;
        }

        location = /status { stub_status; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% backlog=4096;
        keepalive_requests 1000000;
        client_body_buffer_size 1k;

        access_log got.log got;
        return 200 ok;
    }
}
EOF

# to be compared with: what comes once, as by the first of everything

sub rss { return sanitized() ? 0 : $nginx->rss }

sub left {
    my ($name) = @_;

    my $now;

    ok(wait_until {
        $now = stub_status($nginx->port);
        $now->{writing} == 1;
    }, "$name: no request is left") or diag(explain($now));
}


# How much is used at once depends on the order of events, and sets how much
# the allocator keeps.  So a round may need more than the one before, but what
# leaks is added by each.

sub rounds {
    my ($name, $round) = @_;

    my @more;

    for (1 .. 12) {
        my $before = rss();

        $round->();
        left($name);

        push @more, rss() - $before;
        last if @more > 1 && $more[-1] < 1_000_000;
    }

    cmp_ok($more[-1], '<', 1_000_000, "$name: no memory is left")
        or diag("@more bytes more");
}

sub got {
    my %got;

    $got{$_}++ for split /\n/, $nginx->read_log('got.log');

    return \%got;
}

# each target once, each event once; a target whose answer is there may not have
# read the whole request yet, and logs it when it has

sub check_got {
    my ($name, $targets, @bodies) = @_;

    my $got;

    my @wanted = map {
        my ($id) = /"id":"([^"]+)"/;
        map { "$id n$_" } 1 .. $targets;
    } @bodies;

    wait_until {
        $got = got();
        return !grep { !$got->{$_} } @wanted;
    };

    my @wrong = grep { ($got->{$_} // 0) != 1 } @wanted;

    is(scalar @wrong, 0, "$name: each target has each event once")
        or diag(join "\n", map { ($got->{$_} // 0) . " x $_" }
            @wrong[0 .. ($#wrong > 5 ? 5 : $#wrong)]);
}


# 1,000 targets

rounds('1,000 targets', sub {
    my $body = event();
    my $r = post_event($nginx->port, '/thousand', $body);

    is($r && $r->status, 200, '1,000 targets');
    is(scalar(grep { $_->{status} == 200 } @{ $r->json->{targets} }), 1000,
        '1,000 took it');
    check_got('1,000 targets', 1000, $body);
});


# 200 events at once

for my $uri (qw{ /fifty /free }) {
    rounds($uri, sub {
        my @bodies = map { event() } 1 .. ($uri eq '/free' ? 50 : 200);

        my @answers = many($nginx->port,
            map { event_request($uri, $_) } @bodies);

        is(scalar(grep { $_ && $_->status == 200 } @answers), scalar @bodies,
            "$uri: all are answered");
        check_got($uri, 50, @bodies);
    });
}

# and over a few HTTP/2 connections, of which some go

{
    my $before = rss();
    my (@bodies, @streams);
    my @h2 = map { h2($nginx->port(1)) } 1 .. 6;

    for my $i (0 .. 119) {
        my $h2 = $h2[$i % @h2];
        my $body = event();
        my $stream = $h2->headers('POST', '/fifty');

        $h2->data($stream, $body, end => 1);
        push @bodies, $body;
        push @streams, [ $h2, $stream ] if $i % @h2 > 1;

        $h2->send_rst($stream) if $i % @h2 == 1;
    }

    # its requests are there before it goes

    $h2[0]{conn}->wait_read;
    get($nginx->port, '/status');
    $h2[0]->drop;

    is(scalar(grep { $_->[0]->response($_->[1], timeout => 30)->status == 200 }
        @streams), 80, 'HTTP/2: all are answered');

    $_->close for @h2[1 .. 5];

    left('HTTP/2');

    # 6,000 deliveries, of 13 KB each, would be 78 MB

    cmp_ok(rss() - $before, '<', 32_000_000, 'HTTP/2: no memory is left');

    # those of clients that are gone may have gone with them before they began

    my @rest = many($nginx->port, map { event_request('/fifty', $_) } @bodies);

    is(scalar(grep { $_ && $_->status == 200 } @rest), 120,
        'HTTP/2: all are known, or delivered by the retry');
    check_got('HTTP/2', 50, @bodies);
}


# huge answers: nothing of them is kept, and the connections are

{
    $backend->on('/huge/1', size => 50_000_000);
    $backend->on('/huge/2', size => 50_000_000, chunked => 1, pieces => 50);

    my ($before, $most) = (rss(), 0);

    for (1 .. 3) {
        my $conn = conn($nginx->port);

        $conn->send(event_request('/huge', event()));

        my $end = time() + limit(60);

        until (Trove::Response->parse(\(my $copy = $conn->{in}))
            || $conn->{eof} || time() > $end)
        {
            $conn->fill(0.02);
            my $now = rss();
            $most = $now if $now > $most;
        }

        is($conn->response->targets, '1=200 2=200', 'huge: taken');
        $conn->close;
    }

    cmp_ok($most - $before, '<', 4_000_000, 'huge: no memory');

    my %conns = map { $_->{conn} => 1 } $backend->requests;
    is(scalar keys %conns, 2, 'huge: two connections');
    is(scalar $backend->requests, 6, 'huge: for six answers');

    my @files = glob $nginx->dir . '/temp/proxy/*/*/*';
    is(scalar @files, 0, 'huge: no temporary file');
}

{
    my ($before, $most) = (rss(), 0);
    my $conn = conn($nginx->port);

    $conn->send(event_request('/endless', event()));

    my ($end, $others) = (time() + limit(60), 0);

    until (Trove::Response->parse(\(my $copy = $conn->{in}))
        || $conn->{eof} || time() > $end)
    {
        $conn->fill(0.02);
        my $now = rss();
        $most = $now if $now > $most;

        # nobody else has to wait for it

        $others++ if get($nginx->port, '/status')->status == 200;
    }

    is($conn->response->targets, '/drip=200', 'endless: until it ends');
    cmp_ok($most - $before, '<', 4_000_000, 'endless: no memory');
    cmp_ok($others, '>', 0, 'endless: others go on');
}

# the event of such a one does not stay in flight

{
    my $event = event();

    for my $try (1, 2) {
        my $response = post_event($nginx->port, '/forever', $event);

        is($response->status, 502, "forever: told, try $try");
        is($response->targets, '/flow=200 truncated '
            . ($try == 1 ? '/other=200' : '/other=200 skipped'),
            'forever: closed after a while');
    }

    my @lines = $nginx->log_lines(qr/target "\/flow" is incomplete after 500 ms/);
    is(scalar @lines, 2, 'forever: logged');
}

done_testing();
