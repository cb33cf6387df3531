#!/usr/bin/perl

# Workers that are killed, exit fast, or shut down with deliveries under way;
# reloads that change the targets between a partial failure and its retry.

use lib 't/lib';
use Trove;

my $backend = backend();

sub conf {
    my ($targets, %opt) = @_;

    my $main = $opt{main} // '';
    my $state = $opt{state} // 'state=%%TESTDIR%%/temp/events.state';

    return <<"EOF";
%%GLOBALS%%
$main
events { worker_connections 512; }
http {
    %%HTTP%%
    trove_dedup_zone zone=events:1m $state;
    log_format delivery '\$trove_event_id \$trove_target \$status';
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 30s;

    upstream b { server 127.0.0.1:%%BACKEND%%; keepalive 8; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /events {
            trove_dedup zone=events lease=2s;
            $targets
        }

        location /to/ {
            internal;
            log_subrequest on;
            access_log deliveries.log delivery;
            proxy_pass http://b;
        }

        location = /status { stub_status; }
    }
}
EOF
}

my $two = 'trove_fanout /to/a name=a; trove_fanout /to/b name=b;';
my $optional = 'trove_fanout /to/a name=a; trove_fanout /to/b name=b optional;';
my $narrow = 'trove_fanout /to/a name=a;
    trove_fanout /to/b name=b max_inflight=1 max_wait=60s;';

my $nginx = nginx(conf($two))->start;

my $id;

sub deliver {
    my ($body) = @_;

    return post_event($nginx->port, '/events', $body);
}

sub fresh { return event('file.written', id => $id = new_id()) }

# an event, of which "a" has responded and "b" has not yet

sub begin {
    my ($conn) = conn($nginx->port);
    my $body = fresh();

    $backend->close_gate('b');
    $backend->on('/to/b', gate => 'b');
    $conn->send(event_request('/events', $body));

    ok(wait_until { got('a') == 1 && got('b') == 1 }, 'both have the event');

    return ($conn, $body);
}

sub open_gate {
    $backend->on('/to/b');
    $backend->open_gate('b');
}

sub got {
    my ($name) = @_;

    return scalar grep { $_->{uri} eq "/to/$name" } $backend->by_id($id);
}

# whether nginx has the response of a target

sub responded {
    my ($name) = @_;

    return slurp($nginx->dir . '/deliveries.log') =~ /^\Q$id\E $name 200$/m;
}

# until the claim of a killed worker is given up

sub retry {
    my ($body) = @_;

    my $r;

    wait_until {
        $r = deliver($body);
        $r && $r->status != 409;
    } 15;

    return $r;
}


# SIGKILL: nothing is known, all is repeated

for my $which (0, 1) {
    my ($conn, $body) = begin();

    is(deliver($body)->status, 409, 'in flight');

    $nginx->kill_worker($_) for $nginx->workers;
    ok($conn->wait_closed, 'the client gets no response');
    open_gate();

    my $r = retry($body);

    is($r->targets, 'a=200 b=200', 'SIGKILL: the retry reaches both');
    is(deliver($body)->json->{status}, 'duplicate', 'SIGKILL: done');
    is(got('a'), 2, 'SIGKILL: a twice');
    is(got('b'), 2, 'SIGKILL: b twice');
}


# TERM: what is known is kept

for my $signal ('TERM', 'INT') {
    my ($conn, $body) = begin();

    # the response of "a" is on its way

    ok(wait_until { responded('a') }, "$signal: a has responded");

    $nginx->stop($signal);
    ok($conn->wait_closed, "$signal: the client gets no response");
    open_gate();
    $nginx->start;

    my $r = deliver($body);

    is($r && $r->targets, 'a=200 skipped b=200', "$signal: the retry skips a");
    is(got('a'), 1, "$signal: a once");
}


# all that are required have it, an optional one is under way

$nginx->reload(conf($optional));
$nginx->wait_old;

{
    my ($conn, $body) = begin();

    ok(wait_until { responded('a') }, 'optional: a has responded');
    $nginx->stop('TERM');
    open_gate();
    $nginx->start;

    my $r = deliver($body);

    is($r && $r->targets, 'a=200 skipped b=200',
        'optional: the retry skips what is required and has succeeded');
    is(got('a'), 1, 'optional: a once');
}


# a reload, QUIT

$nginx->reload(conf($narrow));
$nginx->wait_old;

for my $end (qw/ reload QUIT /) {

    my ($first, $body1) = begin();
    my $id1 = $id;

    my @waiting = map {
        my ($conn, $body) = (conn($nginx->port), fresh());
        $conn->send(event_request('/events', $body));
        [ $conn, $body, $id ];
    } 1 .. 5;

    for (@waiting) {
        $id = $_->[2];
        wait_until { got('a') == 1 };
    }

    if ($end eq 'reload') {
        ok($nginx->reload(conf($narrow)), "$end: done");

    } else {
        kill 'QUIT', $nginx->pid;
        ok(wait_until {
            my $probe = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $nginx->port);
            !$probe;
        }, "$end: accepts no more");
    }

    open_gate();

    for ([ $first, $body1, $id1 ], @waiting) {
        my ($conn, $body);
        ($conn, $body, $id) = @$_;

        my $r = $conn->response;

        is($r && $r->targets, 'a=200 b=200', "$end: finished all the same");
        is(got('b'), 1, "$end: once");
    }

    if ($end eq 'reload') {
        $nginx->wait_old;

    } else {
        wait_until { !Trove::Util::alive($nginx->pid // 0) };
        $nginx->start;
    }

    is(deliver($body1)->json->{status}, 'duplicate', "$end: known");
}


# a shutdown that does not wait

$nginx->reload(conf($narrow, main => 'worker_shutdown_timeout 1s;'));
$nginx->wait_old;

{
    my ($conn, $body) = begin();
    my $id1 = $id;
    my ($waiting, $other) = (conn($nginx->port), fresh());

    $waiting->send(event_request('/events', $other));
    ok(wait_until { responded('a') }, 'shutdown: a has responded');

    $nginx->reload(conf($narrow));
    ok($conn->wait_closed, 'shutdown: the client is left');
    ok($nginx->wait_old, 'shutdown: the worker is gone');
    open_gate();

    is(deliver($other)->targets, 'a=200 skipped b=200',
        'shutdown: the one that was waiting');
    is(got('a'), 1, 'shutdown: a once');
    is(got('b'), 1, 'shutdown: b once');

    $id = $id1;
    is(deliver($body)->targets, 'a=200 skipped b=200', 'shutdown: the retry');
    is(got('a'), 1, 'shutdown: a once');
}

# HTTP/2: deliveries go on, and the worker stays as long

{
    $nginx->reload(conf($two, main => 'worker_shutdown_timeout 1s;'));
    $nginx->wait_old;
    $backend->close_gate('b');
    $backend->on('/to/b', gate => 'b');

    my $h2 = h2($nginx->port(1));
    my $stream = $h2->headers('POST', '/events');
    my $body = fresh();

    $h2->data($stream, $body, end => 1);
    ok(wait_until { got('a') && got('b') }, 'shutdown, HTTP/2: started');

    $nginx->reload(conf($two));
    wait_until { $h2->{conn}->fill; $h2->{conn}{eof} };
    open_gate();
    ok($nginx->wait_old, 'shutdown, HTTP/2: the worker is gone');

    my $r = deliver($body);

    ok($r->json->{status} eq 'duplicate'
        || $r->targets eq 'a=200 skipped b=200',
        'shutdown, HTTP/2: known, or tried again')
        or diag($r->body);
    is(got('a'), 1, 'shutdown, HTTP/2: a once');
}


# other targets between a partial failure and its retry

for my $how (qw/ reload restart kill /) {

    $nginx->reload(conf('trove_fanout /to/a name=a; trove_fanout /to/b name=b;
        trove_fanout /to/c name=c; trove_fanout /to/d name=d;'));
    $nginx->wait_old;

    my $body = fresh();

    $backend->on('/to/b', status => 500, times => 1);
    $backend->on('/to/d', status => 500, times => 1);

    is(deliver($body)->targets, 'a=200 b=500 c=200 d=500',
        "$how: b and d do not take it");

    # d is gone, e is new, c has another name, a another place

    my $other = conf('trove_fanout /to/e name=e; trove_fanout /to/c name=x;
        trove_fanout /to/b name=b; trove_fanout /to/f name=a;');

    if ($how eq 'reload') {
        $nginx->reload($other);
        $nginx->wait_old;

    } elsif ($how eq 'restart') {
        $nginx->{conf} = $other;
        $nginx->restart;

    } else {
        $nginx->{conf} = $other;
        $nginx->kill_all;
        $nginx->start;
    }

    is(deliver($body)->targets, 'e=200 x=200 b=200 a=200 skipped',
        "$how: the retry goes by name");
    is(join(',', map { got($_) } qw/ a b c d e f /), '1,2,2,1,1,0',
        "$how: who got it how often");
    is(deliver($body)->json->{status}, 'duplicate', "$how: done");
}

done_testing();
