#!/usr/bin/perl

# Which outcome is final: a 2xx of the application, recorded before the sender
# can see it.  Any other gives the key back, at once.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-release';
my $backend = backend();
my $slow = backend(gate => 'mirror');

my $nginx = nginx(<<'EOF')->start;
    trove_verify on;
    trove_secret trove-whsec-release;
    trove_dedup_zone zone=events:1m;
    trove_dedup zone=events;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /plain {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /timeout {
            proxy_read_timeout 3s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /stream {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /ignore {
            proxy_ignore_client_abort on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /next {
            proxy_pass http://next;
            proxy_next_upstream error timeout http_500 non_idempotent;
        }

        location = /mirror {
            mirror /copy;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /mirror-ignore {
            mirror /copy;
            proxy_ignore_client_abort on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /copy {
            internal;
            proxy_ignore_client_abort on;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }
    }

    upstream next {
        server 127.0.0.1:%%PORT_9%%;
        server 127.0.0.1:%%BACKEND%%;
    }
EOF

sub deliver {
    my ($uri, $body) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret);
}

sub start {
    my ($uri, $body) = @_;

    my $conn = conn($nginx->port);

    $conn->send(event_request($uri, $body, secret => $secret));

    return $conn;
}


# The sender keeps its connection open: nothing of the request has ended yet
# when the next one comes, not even its log phase.

sub check {
    my ($uri, $name, $rule, $expect, @after) = @_;

    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, %$rule, times => 1);

    my $conn = start($uri, $body);
    my $response = $conn->response;

    is($response ? $response->status : 'none', $expect, "$uri, $name");

    my @got = map { dedup_outcome(deliver($uri, $body)) } @after;

    is_deeply(\@got, \@after, "$uri, $name: then @after");
    is($backend->count($id), 1 + grep({ $_ eq 'new' } @after),
        "$uri, $name: so often it reaches the application");

    $conn->close;
}


for my $uri (qw{ /plain /mirror }) {

    for my $status (200, 201, 202, 204, 206, 299) {
        check($uri, "$status", { status => $status }, $status,
            qw/ duplicate duplicate /);
    }

    for my $status (300, 301, 302, 304, 400, 401, 404, 409, 410, 429, 500, 502,
        503, 504, 599)
    {
        check($uri, "$status", { status => $status }, $status,
            qw/ new duplicate /);
    }

    check($uri, 'dropped', { drop => 'before' }, 502, qw/ new duplicate /);
    check($uri, 'reset', { drop => 'before', reset => 1 }, 502,
        qw/ new duplicate /);
    check($uri, 'no HTTP', { headers => [ 'X' => "a\x0d\x0a\0bad" ] }, 502,
        qw/ new duplicate /);
}

check('/timeout', 'too slow', { gate => 'timeout' }, 504,
    qw/ new duplicate /);
check('/next', 'a dead server, then one that answers', {}, 200, 'duplicate');

ok($slow->wait_count(1), 'the mirror was at work all the time');


# a client that waits for the end of the connection

for my $status (200, 500) {
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, status => $status, times => 1);

    my $conn = conn($nginx->port);
    $conn->send(event_request('/mirror', $body, secret => $secret,
        headers => [ Connection => 'close' ]));
    is($conn->response->status, $status, "Connection: close, $status");
    is(dedup_outcome(deliver('/mirror', $body)), $status == 200 ? 'duplicate' : 'new',
        "Connection: close, $status: at once");
    $conn->close;
}


# the head of a 2xx has left, its body has not

for my $drop ('half', undef) {
    my $name = $drop ? 'connection dropped in the body' : 'body on its way';
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, size => 1000, pieces => 2, pause => $drop ? 0.1 : 1,
        defined $drop ? (drop => $drop) : ());

    my $conn = start('/stream', $body);

    ok($conn->read_until(qr{^HTTP/1.1 200 }), "$name: the 200 is seen");
    is(dedup_outcome(deliver('/stream', $body)), 'duplicate', "$name: a duplicate");

    my $response = $conn->response;
    my $complete = $response && $response->complete && length $response->body;

    is($complete ? $complete : 0, $drop ? 0 : 1000, "$name: then the body");
    is(dedup_outcome(deliver('/stream', $body)), 'duplicate',
        "$name: still a duplicate");
    $conn->close;
}


# The client goes.  It is NGINX that has to notice, so the next one may be
# "inflight" for a moment.

sub passes {
    my ($uri, $body, $name) = @_;

    my $outcome;

    wait_until { ($outcome = dedup_outcome(deliver($uri, $body))) ne 'inflight' } 5;

    is($outcome, 'new', "$name: the next one gets through");
    is(dedup_outcome(deliver($uri, $body)), 'duplicate', "$name: then a duplicate");
}

my $h2 = h2($nginx->port(1));

my %gone = (
    'closed' => sub { $_[0]->close },
    'reset' => sub { $_[0]->reset },
);

for my $uri (qw{ /plain /mirror }) {

    for my $how (sort keys %gone) {
        my $body = event('file.written', id => my $id = new_id());

        $backend->on($id, gate => 'never', times => 1);

        my $conn = start($uri, $body);
        $backend->wait_count(1, $id);
        $gone{$how}->($conn);

        passes($uri, $body, "$uri, client $how");
    }

    for my $how ('stream reset', 'connection closed', 'connection reset') {
        my $body = event('file.written', id => my $id = new_id());

        $backend->on($id, gate => 'never', times => 1);

        my $c = $how eq 'stream reset' ? $h2 : h2($nginx->port(1));
        my $stream = $c->headers('POST', $uri, headers => [
            'content-length' => length $body,
            'x-trove-signature' => sign($secret, $body) ]);

        $c->data($stream, $body, end => 1);
        $backend->wait_count(1, $id);

        $how eq 'stream reset' ? $c->send_rst($stream)
            : $how eq 'connection closed' ? $c->close
            : $c->drop;

        passes($uri, $body, "HTTP/2, $uri, $how");
    }
}

is(dedup_outcome($h2->post('/plain', event(), 'x-trove-signature' => 'no')),
    'malformed', 'the connection with the reset streams is in order');
$h2->close;


# the client goes, but the application is let finish: its answer decides

for my $uri (qw{ /ignore /mirror-ignore }) {

    for my $status (200, 500) {

        for my $how (qw/ HTTP HTTP2 /) {
            my $body = event('file.written', id => my $id = new_id());
            my $name = "$uri, client of $how gone before the $status";

            $backend->on($id, gate => $id, status => $status, times => 1);

            if ($how eq 'HTTP2') {
                my $c = h2($nginx->port(1));
                my $stream = $c->headers('POST', $uri, headers => [
                    'content-length' => length $body,
                    'x-trove-signature' => sign($secret, $body) ]);
                $c->data($stream, $body, end => 1);
                $backend->wait_count(1, $id);
                $c->send_rst($stream);

            } else {
                my $conn = start($uri, $body);
                $backend->wait_count(1, $id);
                $conn->close;
            }

            is(dedup_outcome(deliver($uri, $body)), 'inflight', "$name: inflight");

            $backend->open_gate($id);

            my $outcome;
            wait_until {
                ($outcome = dedup_outcome(deliver($uri, $body))) ne 'inflight';
            } 5;
            is($outcome, $status == 200 ? 'duplicate' : 'new', "$name: after");
        }
    }
}


# half an event, and gone: nothing was claimed

{
    my $body = event('file.written', id => my $id = new_id());
    my $conn = conn($nginx->port);
    my $request = event_request('/plain', $body, secret => $secret);

    $conn->send(substr $request, 0, -10);
    is(dedup_outcome(deliver('/plain', $body)), 'new', 'half an event claims nothing');
    $conn->send(substr $request, -10);
    is(dedup_outcome($conn->response), 'duplicate', 'the rest comes too late');
    $conn->close;

    $body = event('file.written', id => $id = new_id());
    $conn = conn($nginx->port);
    $conn->send(substr event_request('/plain', $body, secret => $secret),
        0, -10);
    $conn->reset;
    is(dedup_outcome(deliver('/plain', $body)), 'new', 'nor when the rest never does');
}


$slow->open_gate('mirror');

$nginx->no_errors(qr/upstream|event refused, malformed/);
is(scalar $nginx->log_lines(qr/ \[warn\] .*lease/), 0, 'no lease ran out');

done_testing();
