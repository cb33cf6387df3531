#!/usr/bin/perl

# A client that goes away while its event is on the way: what was delivered is
# known, what was not is delivered by the retry, and nothing is left.

use lib 't/lib';
use Trove;

use Time::HiRes qw/ time /;

my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;
    log_format delivery '$trove_event_id $trove_target $status';
    proxy_http_version 1.1;
    proxy_set_header Connection "";

    upstream b { server 127.0.0.1:%%BACKEND%%; keepalive 8; }
    upstream next {
        server 127.0.0.1:%%BACKEND%% max_fails=0;
        server 127.0.0.1:%%BACKEND%% max_fails=0;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /events {
            trove_dedup zone=events;
            trove_fanout /to/a name=a;
            trove_fanout /to/b name=b;
        }

        location = /narrow {
            trove_dedup zone=events;
            trove_fanout /to/a name=a;
            trove_fanout /to/b name=b max_inflight=1 max_wait=10m;
        }

        location = /failover {
            trove_dedup zone=events;
            trove_fanout /to/a name=a;
            trove_fanout /next name=b;
        }

        location = /filtered {
            trove_dedup zone=events;
            trove_fanout /to/a name=a;
            trove_fanout /to/b name=b;
            sub_filter delivered DELIVERED;
            sub_filter_types *;
            gzip on;
            gzip_types *;
        }

        location /to/ {
            internal;
            log_subrequest on;
            access_log deliveries.log delivery;
            proxy_pass http://b;
        }

        location = /next {
            internal;
            proxy_next_upstream error http_500 non_idempotent;
            proxy_pass http://next/to/b;
        }

        location = /status { access_log off; stub_status; }
    }
EOF

my $id;

sub fresh { return event('file.written', id => $id = new_id()) }

sub deliver {
    my ($body, $uri) = @_;

    return post_event($nginx->port, $uri // '/events', $body);
}

sub got {
    my ($name) = @_;

    return scalar grep { $_->{uri} eq "/to/$name" } $backend->by_id($id);
}

sub responded {
    my ($name) = @_;

    return slurp($nginx->dir . '/deliveries.log') =~ /^\Q$id\E $name 200$/m;
}

sub close_gates {
    for my $name (@_) {
        $backend->close_gate($name);
        $backend->on("/to/$name", gate => $name);
    }
}

sub open_gates {
    my (%rule) = @_;

    for my $name (qw/ a b /) {
        $backend->on("/to/$name", %{ $rule{$name} || {} });
        $backend->open_gate($name);
    }
}

# the ways to go: each gets an event and returns what makes the client go

my %ways = (
    close => sub {
        my ($body, $uri) = @_;
        my $conn = conn($nginx->port);
        $conn->send(event_request($uri, $body));
        return sub { $conn->close };
    },
    reset => sub {
        my ($body, $uri) = @_;
        my $conn = conn($nginx->port);
        $conn->send(event_request($uri, $body));
        return sub { $conn->reset };
    },
    half => sub {
        my ($body, $uri) = @_;
        my $conn = conn($nginx->port);
        $conn->send(event_request($uri, $body));
        return sub { $conn->half_close };
    },
    stream => sub {
        my ($body, $uri) = @_;
        my $h2 = h2($nginx->port(1));
        my $stream = $h2->headers('POST', $uri);
        $h2->data($stream, $body, end => 1);
        return sub { $h2->send_rst($stream); $h2->{conn}->wait_read; $h2 };
    },
    http2 => sub {
        my ($body, $uri) = @_;
        my $h2 = h2($nginx->port(1));
        my $stream = $h2->headers('POST', $uri);
        $h2->data($stream, $body, end => 1);
        return sub { $h2->close };
    },
    drop => sub {
        my ($body, $uri) = @_;
        my $h2 = h2($nginx->port(1));
        my $stream = $h2->headers('POST', $uri);
        $h2->data($stream, $body, end => 1);
        return sub { $h2->drop };
    },
);

my $idle = stub_status($nginx->port);

sub none_left {
    my ($name) = @_;

    my $now;

    ok(wait_until {
        $now = stub_status($nginx->port);
        $now->{active} == $idle->{active} && $now->{writing} == 1;
    }, "$name: no request is left") or diag(explain($now));
}

for my $uri ('/events', '/filtered') {
    for my $way (sort keys %ways) {
        for my $closed ([ 'b' ], [ 'a', 'b' ]) {
            my $name = "$uri, $way, "
                . (@$closed == 2 ? 'before' : 'between');

            close_gates(@$closed);

            my $body = fresh();
            my $go = $ways{$way}->($body, $uri);

            wait_until { got('a') && got('b') };
            wait_until { responded('a') } if @$closed == 1;
            my $kept = $go->();

            is(deliver($body, $uri)->status, 409, "$name: in flight");
            open_gates();

            my $r;
            wait_until { ($r = deliver($body, $uri))->status != 409 };

            is($r->json->{status}, 'duplicate', "$name: delivered");
            is(got('a'), 1, "$name: a once");
            is(got('b'), 1, "$name: b once");
        }

        none_left("$uri, $way");
    }
}


# a target that fails when the client is gone

for my $way (sort keys %ways) {
    close_gates('b');

    my $body = fresh();

    $backend->on('/to/b', gate => 'b', status => 503);

    my $go = $ways{$way}->($body, '/events');

    wait_until { responded('a') && got('b') };
    my $kept = $go->();
    $backend->open_gate('b');

    my $r;
    wait_until { ($r = deliver($body))->status != 409 };
    is($r->targets, 'a=200 skipped b=503', "$way: b failed");

    $backend->on('/to/b');
    is(deliver($body)->targets, 'a=200 skipped b=200', "$way: b has it");
    is(got('a'), 1, "$way: a once");
    undef $_ for $kept, $go;
    none_left("$way, failure");
}


# one that would go on to another server

for my $way (sort keys %ways) {
    close_gates('b');

    my $body = fresh();

    $backend->on('/to/b', gate => 'b', status => 500, times => 1);

    my $go = $ways{$way}->($body, '/failover');

    wait_until { responded('a') && got('b') };
    my $kept = $go->();
    $backend->open_gate('b');

    my $r;
    wait_until { ($r = deliver($body, '/failover'))->status != 409 };
    $r = deliver($body, '/failover') if ($r->targets // '') !~ /b=200/;
    like($r->body, qr/duplicate|"name":"b","status":200/,
        "$way: b has it from another server, or by the retry");
    is(got('a'), 1, "$way: a once");
    $backend->on('/to/b');
    undef $_ for $kept, $go;
    none_left("$way, another server");
}


# those that wait: whoever is gone is not forgotten, and holds nobody up

for my $way (sort keys %ways) {
    close_gates('b');

    my @events = map { [ fresh(), $id ] } 1 .. 4;
    my @gos;

    for (@events) {
        $id = $_->[1];
        push @gos, $ways{$way}->($_->[0], '/narrow');
        wait_until { got('a') };
    }

    my @kept = map { $gos[$_]->() } 0, 1, 2;

    open_gates();

    for (@events) {
        my $body;
        ($body, $id) = @$_;

        my $r;
        wait_until { ($r = deliver($body, '/narrow'))->status != 409 };
        is($r->json->{status}, 'duplicate', "$way, waiting: delivered");
        is(got('a') . got('b'), '11', "$way, waiting: once");
    }

    $gos[3]->();
    @kept = @gos = ();
    none_left("$way, waiting");
}


# several streams on a connection: one goes, the others get their answers

{
    close_gates('b');

    my $h2 = h2($nginx->port(1));
    my @streams = map {
        my $body = fresh();
        my $stream = $h2->headers('POST', '/events');
        $h2->data($stream, $body, end => 1);
        [ $stream, $body, $id ];
    } 1 .. 6;

    for (@streams) {
        $id = $_->[2];
        wait_until { got('b') };
    }

    $h2->send_rst($streams[$_][0]) for 1, 3;
    $h2->{conn}->wait_read;
    open_gates();

    for my $i (0, 2, 4, 5) {
        is($h2->response($streams[$i][0])->targets, 'a=200 b=200',
            "streams: answer $i");
    }

    for my $i (1, 3) {
        my $r;
        wait_until { ($r = deliver($streams[$i][1]))->status != 409 };
        is($r->json->{status}, 'duplicate', "streams: $i was delivered, too");
    }

    is($h2->post('/events', fresh())->status, 200, 'streams: and another');
    $h2->close;
    none_left('streams');
}


# a client that stays can go on at once

{
    open_gates();

    my $conn = conn($nginx->port);
    my $start = time();

    for (1 .. 20) {
        $conn->send(event_request('/events', fresh()));
        is($conn->response->targets, 'a=200 b=200', "kept alive: $_");
    }

    # requests that were sent before

    $conn->send(join '', map { event_request('/events', fresh()) } 1 .. 20);
    is($conn->response->status, 200, 'pipelined') for 1 .. 20;

    $conn->close;
    none_left('kept alive');
}

done_testing();
