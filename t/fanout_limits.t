#!/usr/bin/perl

# max_inflight, max_queue, max_wait: in order, and nothing is dropped silently.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";

    upstream b { server 127.0.0.1:%%BACKEND%%; keepalive 64; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        trove_dedup zone=events;

        location = /one { trove_fanout /to/a name=a max_inflight=1 max_wait=10m; }
        location = /three { trove_fanout /to/a name=a max_inflight=3 max_wait=10m; }

        location = /queue {
            trove_fanout /to/a name=a max_inflight=2 max_queue=3 max_wait=10m;
            trove_fanout /to/free name=free;
        }

        location = /none {
            trove_fanout /to/a name=a max_inflight=1 max_queue=0;
        }

        location = /wait {
            trove_fanout /to/a name=a max_inflight=1 max_wait=5s;
            trove_fanout /to/free name=free;
        }

        location = /optional {
            trove_fanout /to/a name=a optional max_inflight=1 max_queue=0;
            trove_fanout /to/free name=free;
        }

        location = /both {
            trove_fanout /to/a name=a max_inflight=1 max_wait=10m;
            trove_fanout /to/c name=c max_inflight=1 max_wait=10m;
        }

        location = /dead {
            trove_fanout /down name=a max_inflight=1 max_wait=10m;
        }

        location /to/ { internal; proxy_pass http://b; }
        location = /down { internal; proxy_pass http://127.0.0.1:%%PORT_90%%; }
        location = /status { trove_dedup off; stub_status; }
    }
EOF

my $idle = stub_status($nginx->port);

sub close_gate {
    $backend->close_gate('g');
    $backend->on('/to/a', gate => 'g');
}

sub open_gate {
    $backend->on('/to/a');
    $backend->open_gate('g');
}

# N events, one after the other: the numbers of the ids are their order

sub queue {
    my ($uri, $n) = @_;

    my @events;

    for (1 .. $n) {
        my $body = event('file.written', id => my $id = new_id());
        my $conn = conn($nginx->port);

        $conn->send(event_request($uri, $body));
        $conn->wait_read;
        push @events, { conn => $conn, body => $body, id => $id };
    }

    return @events;
}

sub got { return grep { $_->{uri} eq '/to/a' } $backend->requests }

sub order {
    return join ' ', map { $backend->header($_, 'X-Trove-Event-Id') } got();
}

sub none_left {
    my ($name) = @_;

    my $now;

    ok(wait_until {
        $now = stub_status($nginx->port);
        $now->{active} == $idle->{active} && $now->{writing} == 1;
    }, "$name: no request is left") or diag(explain($now));
}

# wait_read() tells that it is read, not that it is done with: with one worker,
# another request that is answered tells that, too

sub settle { get($nginx->port, '/status') }


# so many at a time, in order

for my $limit ([ one => 1 ], [ three => 3 ]) {
    my ($name, $n) = @$limit;

    close_gate();
    $backend->forget;

    my @events = queue("/$name", 12);

    ok(wait_until { got() == $n }, "$name: $n at a time");
    settle();
    is(scalar got(), $n, "$name: no more");

    open_gate();

    is($_->{conn}->response->targets, 'a=200', "$name: its turn") for @events;
    $_->{conn}->close for @events;

    is(order(), join(' ', map { $_->{id} } @events), "$name: in order")
        if $n == 1;
    is(scalar got(), 12, "$name: each once");
    none_left($name);
}


# many more than at a time, of all kinds of clients

{
    open_gate();
    $backend->forget;

    my @bodies = map { event('file.written', id => new_id()) } 1 .. 300;
    my @answers = many($nginx->port,
        map { event_request('/three', $_) } @bodies);

    is(scalar(grep { $_ && ($_->targets // '') eq 'a=200' } @answers), 300,
        '300: all of them');
    is(scalar got(), 300, '300: each once');
    none_left('300');
}


# the queue is full: that one fails, at once, and loses nothing

{
    close_gate();
    $backend->forget;

    my @events = queue('/queue', 7);

    for my $over (@events[5, 6]) {
        my $r = $over->{conn}->response;

        is($r->status, 502, 'queue: full');
        is($r->targets, 'a=503 max_queue free=200', 'queue: who did not');
        like(($nginx->log_lines(qr/event "$over->{id}" to /))[0],
            qr/ to target "a" failed: 503 max_queue, after \d+ ms/,
            'queue: logged');
    }

    open_gate();

    is($_->{conn}->response->targets, 'a=200 free=200', 'queue: the others')
        for @events[0 .. 4];

    for my $over (@events[5, 6]) {
        is(post_event($nginx->port, '/queue', $over->{body})->targets,
            'a=200 free=200 skipped', 'queue: the retry');
    }

    $_->{conn}->close for @events;
    is(scalar got(), 7, 'queue: each once');
    none_left('queue');

    close_gate();
    $backend->forget;
    @events = queue('/none', 2);
    is($events[1]{conn}->response->targets, 'a=503 max_queue', 'no queue');
    open_gate();
    is($events[0]{conn}->response->targets, 'a=200', 'no queue: the first');
    $_->{conn}->close for @events;

    close_gate();
    @events = queue('/optional', 2);
    is($events[1]{conn}->response->json->{status}, 'delivered',
        'an optional one may be over its limit');
    open_gate();
    is($events[0]{conn}->response->targets, 'a=200 free=200', 'the first');
    $_->{conn}->close for @events;
    none_left('optional');
}


# too long

{
    close_gate();
    $backend->forget;

    my @events = queue('/wait', 3);

    for my $late (@events[1, 2]) {
        is($late->{conn}->response->targets, 'a=503 max_wait free=200',
            'wait: not in time');
    }

    # who came later than those waits its own time

    my ($new) = queue('/wait', 1);

    open_gate();
    is($events[0]{conn}->response->targets, 'a=200 free=200', 'wait: first');
    is($new->{conn}->response->targets, 'a=200 free=200', 'wait: in time');

    is(post_event($nginx->port, '/wait', $_->{body})->targets,
        'a=200 free=200 skipped', 'wait: the retry') for @events[1, 2];

    $_->{conn}->close for @events, $new;
    is(scalar got(), 4, 'wait: each once');
    none_left('wait');
}


# a target that fails makes room, too

{
    my @events = queue('/dead', 20);

    is($_->{conn}->response->targets, 'a=502', 'dead: its turn') for @events;
    $_->{conn}->close for @events;
    none_left('dead');
}


# two limits: each by itself

{
    close_gate();
    $backend->forget;

    my @events = queue('/both', 5);

    ok(wait_until { $backend->count('/to/c') == 5 },
        'both: one goes on without the other');
    is(scalar got(), 1, 'both: which waits');
    open_gate();
    is($_->{conn}->response->targets, 'a=200 c=200', 'both') for @events;
    $_->{conn}->close for @events;
    none_left('both');
}


# over one connection, and clients that are gone

{
    close_gate();
    $backend->forget;

    my $h2 = h2($nginx->port(1));
    my @streams = map {
        my $body = event('file.written', id => my $id = new_id());
        my $stream = $h2->headers('POST', '/one');
        $h2->data($stream, $body, end => 1);
        [ $stream, $body, $id ];
    } 1 .. 10;

    $h2->{conn}->wait_read;
    settle();
    $h2->send_rst($streams[$_][0]) for 1, 4, 9;
    $h2->{conn}->wait_read;

    my @events = queue('/one', 5);
    $events[$_]{conn}->reset for 0, 2;

    open_gate();

    is($h2->response($streams[$_][0])->targets, 'a=200', "stream $_")
        for 0, 2, 3, 5 .. 8;
    is($events[$_]{conn}->response->targets, 'a=200', "connection $_")
        for 1, 3, 4;

    is(order(), join(' ', (map { $_->[2] } @streams),
        map { $_->{id} } @events), 'all of them, in order');

    $h2->close;
    $_->{conn}->close for @events;
    none_left('gone');

    # a connection that goes with all its streams, at the head of the queue

    close_gate();
    $backend->forget;

    $h2 = h2($nginx->port(1));
    @streams = map {
        my $body = event('file.written', id => my $id = new_id());
        my $stream = $h2->headers('POST', '/one');
        $h2->data($stream, $body, end => 1);
        [ $stream, $body, $id ];
    } 1 .. 10;

    wait_until { got() == 1 };
    $h2->{conn}->wait_read;
    settle();
    $h2->drop;
    @events = queue('/one', 2);
    open_gate();

    is($_->{conn}->response->targets, 'a=200', 'behind them') for @events;
    is(scalar got(), 12, 'all of them');
    $_->{conn}->close for @events;
    none_left('dropped');

    is(post_event($nginx->port, '/one', $_->[1])->json->{status}, 'duplicate',
        'known') for @streams;
}

done_testing();
