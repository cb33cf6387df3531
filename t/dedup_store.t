#!/usr/bin/perl

# A store that answers claims later: requests wait for it in the event loop, and
# may end before it answers.  The tests of deduplication hold for it as well.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-store';
my $backend = backend();

my $nginx = nginx(<<'EOF', modules => [ 'later' ], workers => 2)->start;
    trove_secret trove-whsec-store;
    trove_verify on;
    trove_dedup_zone zone=events:1m;
    trove_dedup zone=events;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location /plain {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /page {
            error_page 409 = /page409;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /page409 {
            return 425;
        }

        location /redirect {
            error_page 502 = @other;
            proxy_pass http://127.0.0.1:%%PORT_9%%;
        }

        location @other {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /unverified {
            trove_verify off;
            trove_dedup zone=events key=$arg_key;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /post {
            post_action /after;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /after {
            internal;
            trove_verify off;
            trove_dedup off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /clock {
            trove_verify off;
            trove_dedup zone=events key=$msec;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

ok($nginx->wait_log(qr/stores answer later/), 'the store is another one');


# outcomes

sub send_event {
    my ($id, $uri) = @_;

    return post_event($nginx->port, $uri // '/plain',
        event('file.written', id => $id), secret => $secret);
}

for my $uri (qw{ /plain /redirect }) {
    my $id = new_id();

    is(send_event($id, $uri)->status, 200, "$uri: an event");
    is($backend->count($id), 1, "$uri: reaches the application");
    is(send_event($id, $uri)->json->{status}, 'duplicate', "$uri: a duplicate");
    is($backend->count($id), 1, "$uri: does not");
}

for my $round (1 .. 5) {
    my $id = new_id();
    my $request = event_request('/page', event('file.written', id => $id),
        secret => $secret);

    my %status;
    $status{$_->status}++ for many($nginx->port, ($request) x 20);

    is($backend->count($id), 1, "20 copies at once, $round: one passes");
    is(join(' ', grep { !/^(200|425)$/ } keys %status), '',
        'the others are duplicates, or get the error_page');
}

is(request($nginx->port, 'POST', "/unverified?key=$_", body => 'text')->status,
    200, "unverified: $_") for qw/ a b a a /;
is($backend->count('/unverified'), 2, 'each key once');

is(request($nginx->port, 'POST', '/clock', body => 'text')->status, 200,
    'a key that is another one by then') for 1 .. 5;
is($backend->count('/clock'), 5, 'each passes once');


# who leaves while the store is asked holds nothing

sub cancelled {
    my @lines = $nginx->lines_now(qr/a claim is cancelled$/);
    return scalar @lines;
}

sub leave {
    my ($how, $send) = @_;

    my ($before, @ids) = (cancelled());

    wait_until {
        push @ids, new_id();
        $send->($ids[-1]);
        cancelled() >= $before + 3;
    } 30;

    cmp_ok(cancelled(), '>=', $before + 3, "$how: claims are cancelled");

    my @lost = grep {
        my $id = $_;
        !(wait_until { send_event($id)->status == 200 })
            || !$backend->count($id);
    } @ids;

    is("@lost", '', "$how: the events are accepted afterwards");
}

for my $how (qw/ close reset /) {
    leave($how, sub {
        my ($id) = @_;

        my $conn = conn($nginx->port);
        $conn->send(event_request('/plain', event('file.written', id => $id),
            secret => $secret));
        $conn->$how;
    });
}

my $h2 = h2($nginx->port(1));

leave('RST_STREAM', sub {
    my ($id) = @_;

    my $body = event('file.written', id => $id);
    my $stream = $h2->headers(POST => '/plain', headers => [
        'content-length' => length $body,
        'x-trove-signature' => sign($secret, $body),
    ]);

    $h2->data($stream, $body, end => 1);
    $h2->send_rst($stream);
});

$h2->close;


# a post_action is not disturbed by the answer to a request that is gone

$backend->on('/after', delay => 0.2);

my @left = map { new_id() } 1 .. 20;

for my $id (@left) {
    my $conn = conn($nginx->port);
    $conn->send(event_request('/post', event('file.written', id => $id),
        secret => $secret));
    $conn->close;
}

ok((wait_until { $backend->count('/after') >= @left } 30), 'post_action');

my @lost = grep {
    my $id = $_;
    !(wait_until { send_event($id)->status == 200 })
} @left;

is("@lost", '', 'post_action: the events are accepted afterwards');
is($backend->count('/after'), scalar @left, 'post_action: once a request');


# a reload finishes what waits, a stop does not crash

my @requests = map {
    event_request('/plain', event(), secret => $secret)
} 1 .. 50;

my @conns = many_start($nginx->port, @requests);
ok($nginx->reload, 'a reload while the store is asked');
is(scalar(grep { $_ && $_->status == 200 } many_finish(@conns)), 50,
    'all are answered');
ok($nginx->wait_old, 'the old workers leave');

@conns = many_start($nginx->port, @requests);
$nginx->stop('TERM');


# what holds for the zone

for my $name (qw/ dedup dedup_redirect dedup_release fanout_client /) {
    local $ENV{TROVE_LOAD} = 'later';

    my $out = testdir() . "/$name.out";
    my $status = system("'$^X' -It/lib t/$name.t >'$out' 2>&1");

    is($status, 0, "t/$name.t") or diag(slurp($out));
}

done_testing();
