#!/usr/bin/perl

# An event that comes twice: the states of a key, seen from the wire.

use lib 't/lib';
use Trove;

use Time::HiRes qw/ time /;

my $secret = 'trove-whsec-dedup';
my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    log_format dedup '$uri [$trove_dedup] $trove_event_id $status';
    access_log %%TESTDIR%%/logs/access.log dedup;

    trove_secret trove-whsec-dedup;
    trove_dedup_zone zone=events:1m;
    trove_dedup_zone zone=other:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /plain {
            trove_verify on;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /short {
            trove_verify on;
            trove_dedup zone=events ttl=3s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /lease {
            trove_verify on;
            trove_dedup zone=events lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /log {
            trove_verify log;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /unsigned {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /set {
            trove_verify on;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;

            location /set/off {
                trove_dedup off;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location /set/inherited {
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location /set/zone {
                trove_dedup zone=other;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }
        }

        location = /if {
            trove_verify on;
            trove_dedup zone=events;

            if ($arg_if) {
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            limit_except PUT {
                allow all;
            }

            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /if_only {
            trove_verify on;
            trove_dedup zone=events;

            if ($arg_if) {
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

# sends an event, signed now; the response

sub deliver {
    my ($uri, $body, %opt) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret, %opt);
}

sub is_new {
    my ($response, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($response->status . ' ' . $response->body, qq/200 {"ok":true}\n/, $name);
}

sub is_duplicate {
    my ($response, $id, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($response->status . ' ' . $response->body,
        qq/200 {"status":"duplicate","id":"$id"}/, $name);
}

sub is_inflight {
    my ($response, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($response->status . ' ' . $response->body, '409 {"error":"inflight"}',
        $name);
}


# first, and again

my $id = new_id();
my $body = event('file.written', id => $id);

is_new(deliver('/plain', $body), 'the first passes');
is($backend->count($id), 1, 'and reaches the application');
is($backend->last->{body}, $body, 'as it was sent');

my $r = deliver('/plain', $body);

is_duplicate($r, $id, 'the second is a duplicate');
is($r->header('Content-Type'), 'application/json', 'answered as JSON');
is($r->header('Content-Length'), length $r->body, 'of known length');
is($r->header('Retry-After'), undef, 'that nobody has to send again');

is_duplicate(deliver('/plain', $body, chunked => 10), $id,
    'a duplicate in chunks');
is_duplicate(deliver('/plain', event('exec.completed', id => $id)), $id,
    'the id decides, not the rest of the event');
is_duplicate(deliver('/plain', $body,
        headers => [ 'X-Trove-Event-Id' => new_id() ]), $id,
    'of the body, not of the header');
is($backend->count, 1, 'none of them reaches the application');

is_new(deliver('/plain', event()), 'another event passes');
is_new(deliver('/plain', event('webhook.test', id => uc $id)),
    'an id in other letters is another');


# while the first is at work

$id = new_id();
$body = event('file.written', id => $id);
$backend->on($id, gate => 'slow');

my ($first) = many_start($nginx->port, event_request('/plain', $body,
    secret => $secret));
$backend->wait_count(1, $id);

$r = deliver('/plain', $body);

is_inflight($r, 'a repetition while the first is at work');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'told to come again');
is($r->header('Content-Type'), 'application/json', 'as JSON');
is_inflight(deliver('/plain', $body), 'the 409 has not touched the claim');

$backend->open_gate('slow');

($r) = many_finish($first);
is_new($r, 'the first gets its answer');
is_duplicate(deliver('/plain', $body), $id, 'after that it is a duplicate');
is($backend->count($id), 1, 'processed once');


# on one connection, and with what follows on it

$id = new_id();
$body = event('file.written', id => $id);

my $conn = conn($nginx->port);
my $request = event_request('/plain', $body, secret => $secret);

$conn->send($request . $request . event_request('/plain', event(),
    secret => $secret));

is_new($conn->response, 'three at once on a connection: the first passes');
is_duplicate($conn->response, $id, 'the second is a duplicate');
is_new($conn->response, 'the third is another');
$conn->close;


# the variable

$id = new_id();
$body = event('file.written', id => $id);
$backend->on($id, gate => 'log');

($first) = many_start($nginx->port, event_request('/plain', $body,
    secret => $secret));
$backend->wait_count(1, $id);
deliver('/plain', $body);
$backend->open_gate('log');
many_finish($first);
deliver('/plain', $body);
post_event($nginx->port, '/plain', $body);

ok(wait_until { 4 <= (() = $nginx->access_log =~ /\n/g)
        && $nginx->access_log =~ /400\n/ }, 'all is logged');
my @log = grep { /\Q$id\E/ || / 400$/ } split /\n/, $nginx->access_log;
is_deeply([ sort @log ], [ sort "/plain [inflight] $id 409",
        "/plain [new] $id 200", "/plain [duplicate] $id 200",
        '/plain [-] - 400' ],
    '$trove_dedup is new, inflight, duplicate, or nothing at all');


# an event that was refused claims nothing

$id = new_id();
$body = event('file.written', id => $id);

is(post_event($nginx->port, '/plain', $body, secret => 'wrong')->status, 400,
    'a forged event is refused');
is_new(deliver('/plain', $body), 'the genuine one passes after it');


# "log": passes, but its id is anybody's

$id = new_id();
$body = event('file.written', id => $id);

is_new(post_event($nginx->port, '/log', $body, secret => 'wrong'),
    'with "log" a forged event passes');
is_new(post_event($nginx->port, '/log', $body), 'an unsigned one as well');
is_new(deliver('/log', $body), 'the genuine one is not their duplicate');
is_duplicate(deliver('/log', $body), $id, 'but that of a genuine one');
is_new(post_event($nginx->port, '/log', $body, secret => 'wrong'),
    'a forged one is no duplicate');
is_duplicate(deliver('/log', $body), $id, 'and has changed nothing');


# without verification

$id = new_id();
$body = event('file.written', id => $id);

is_new(post_event($nginx->port, '/unsigned', $body),
    'without verification the first passes');
is_duplicate(post_event($nginx->port, '/unsigned', $body), $id,
    'the second is a duplicate');

for my $what ([ 'no JSON', 'hello' ], [ 'no event', '{"id":1}' ],
    [ 'an empty body', '' ])
{
    my ($name, $text) = @$what;
    my $before = $backend->count;

    is_new(post_event($nginx->port, '/unsigned', $text,
        headers => [ 'X-Trove-Event-Id' => $id ]), "$name passes")
        for 1 .. 2;
    is($backend->count, $before + 2, 'each time');
}

is_new(get($nginx->port, '/unsigned'), 'a GET passes');

# larger than any buffer: the body is read back from its file

$id = new_id();
$body = event('file.written', id => $id, data => { text => 'x' x 100_000 });

is_new(post_event($nginx->port, '/unsigned', $body), 'a large one passes');
is($backend->last->{body}, $body, 'whole');
is_duplicate(post_event($nginx->port, '/unsigned', $body), $id,
    'and is known again');


# inherited, set anew, off

$id = new_id();
$body = event('file.written', id => $id);

is_new(deliver('/set', $body), 'the outer location');
is_duplicate(deliver('/set', $body), $id, 'deduplicates');
is_new(deliver('/set/off', $body), 'off in an inner one: passes') for 1 .. 2;
is_new(deliver('/set/inherited', $body), 'inherited: of its own');
is_duplicate(deliver('/set/inherited', $body), $id, 'deduplicates');
is_new(deliver('/set/zone', $body), 'another zone');
is_duplicate(deliver('/set/zone', $body), $id, 'deduplicates');
is_duplicate(deliver('/set', $body), $id, 'the outer one as before');


# "if" and "limit_except" blocks are of their location

$id = new_id();
$body = event('file.written', id => $id);

is_new(deliver('/if?if=1', $body), 'in an "if" block');
is_duplicate(deliver('/if', $body), $id, 'one in "limit_except"');
is_new(deliver('/if_only', $body), 'in no block');
is_duplicate(deliver('/if_only?if=1', $body), $id, 'then in one');


# HTTP/2

$id = new_id();
$body = event('file.written', id => $id);
$backend->on($id, gate => 'h2');

my $h2 = h2($nginx->port(1));
my @headers = ('content-length' => length $body,
    'x-trove-signature' => sign($secret, $body));
my @streams = map { $h2->headers('POST', '/plain', headers => \@headers) }
    1 .. 2;

$h2->data($streams[0], $body, end => 1);
$backend->wait_count(1, $id);
$h2->data($streams[1], $body, end => 1);

$r = $h2->response($streams[1]);
is_inflight($r, 'HTTP/2: inflight');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'HTTP/2: told to come again');

$backend->open_gate('h2');
is_new($h2->response($streams[0]), 'HTTP/2: the first passes');
is_duplicate($h2->post('/plain', $body,
    'x-trove-signature' => sign($secret, $body)), $id, 'HTTP/2: a duplicate');
$h2->close;


# the ttl ends

$id = new_id();
$body = event('file.written', id => $id);

my $start = time();

is_new(deliver('/short', $body), 'ttl=3s: the first passes');
is_duplicate(deliver('/short', $body), $id, 'ttl=3s: a duplicate');
ok(wait_until { deliver('/short', $body); $backend->count($id) > 1 },
    'ttl=3s: passes when it is over');
cmp_ok(time() - $start, '>=', 3, 'and not before');
is_duplicate(deliver('/short', $body), $id, 'and is a duplicate again');


# the lease of a request that lives is renewed

$id = new_id();
$body = event('file.written', id => $id);
$backend->on($id, gate => 'lease');

($first) = many_start($nginx->port, event_request('/lease', $body,
    secret => $secret));
$backend->wait_count(1, $id);
$start = time();

my %status;

wait_until {
    $status{ deliver('/lease', $body)->status }++;
    time() - $start > 4;
};

is_deeply([ keys %status ], [ 409 ], 'lease=1s: four seconds long inflight');

$backend->open_gate('lease');
is_new(many_finish($first), 'lease=1s: the first gets its answer');
is_duplicate(deliver('/lease', $body), $id, 'lease=1s: then a duplicate');
is($backend->count($id), 1, 'lease=1s: processed once');


$nginx->no_errors(qr/trove: event refused, mismatch/);
is(scalar $nginx->log_lines(qr/ \[warn\] .*lease/), 0, 'no lease ran out');

done_testing();
