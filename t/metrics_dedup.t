#!/usr/bin/perl

# What became of claims, by the location that took them: completed or released,
# whatever way the request ends.

use lib 't/lib';
use Trove;
use Trove::Metrics;

my $secret = 'trove-whsec-settled';
my $backend = backend();

my $nginx = nginx(<<'EOF', workers => 2)->start;
    trove_dedup_zone zone=events:1m;
    trove_dedup_zone zone=tiny:32k;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        server_name gate;

        trove_verify on;
        trove_secret trove-whsec-settled;
        trove_dedup zone=events;
        proxy_set_header X-Worker $pid;

        location = /metrics { trove_metrics; }

        location = /app { proxy_pass http://127.0.0.1:%%BACKEND%%; }
        location = /nobody { proxy_pass http://127.0.0.1:%%PORT_9%%; }

        # the claim is of /first, wherever the request ends

        location = /first {
            error_page 418 = /second;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%BACKEND%%/?status=418;
        }

        location = /second { proxy_pass http://127.0.0.1:%%BACKEND%%; }

        location = /fallback {
            error_page 502 = @fallback;
            proxy_pass http://127.0.0.1:%%PORT_9%%;
        }

        location @fallback {
            trove_dedup off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /if {
            if ($http_x_if) { return 204; }
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /wait {
            trove_fanout /ok;
            trove_fanout /bad optional;
        }

        location = /partial {
            trove_fanout /ok;
            trove_fanout /bad;
        }

        location = /spool {
            trove_fanout_mode spool;
            trove_fanout /ok;
        }

        location = /ok {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /bad {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%/?status=503;
        }
    }

    # of the same name, at another address

    server {
        listen 127.0.0.1:%%PORT_2%%;
        server_name gate;
        location = /app { return 301 /; }
    }
EOF


sub deliver {
    my ($uri, $body) = @_;

    my $r = post_event($nginx->port, $uri, $body // event(),
        secret => $secret);

    return $r ? $r->status : 'none';
}


# "new/duplicate/inflight/completed/released" of a location

sub outcomes {
    my ($location) = @_;

    return join '/', map {
        metric($nginx, 'trove_dedup_total', { server => 'gate',
            location => $location =~ /^@/ ? $location : "= $location",
            outcome => $_ }) // 'none'
    } qw/ new duplicate inflight completed released /;
}


sub hold {
    my ($uri, $body) = @_;

    my ($id) = $body =~ /"id":"([^"]+)/;

    $backend->on($id, gate => $id, times => 1);

    my ($conn) = many_start($nginx->port,
        event_request($uri, $body, secret => $secret));

    $backend->wait_count(1, $id) or die 'not in flight';

    return ($conn, $id);
}


is(outcomes($_), '0/0/0/0/0', "$_: nothing yet")
    for qw{ /app /first /second /spool };

# the application

my $body = event();

is(deliver('/app', $body), 200, '2xx');
is(outcomes('/app'), '1/0/0/1/0', 'completed');
is(deliver('/app', $body), 200, 'again');
is(outcomes('/app'), '1/1/0/1/0', 'a duplicate settles nothing');

for my $status (500, 404, 302) {
    is(deliver("/app?status=$status"), $status, "answered $status");
}

is(outcomes('/app'), '4/1/0/1/3', 'all others are released');
is(deliver('/app?drop=before'), 502, 'no answer');
is(deliver('/nobody'), 502, 'nobody there');
is(outcomes('/app') . ' ' . outcomes('/nobody'), '5/1/0/1/4 1/0/0/0/1',
    'are released');

$body = event();
my ($conn, $id) = hold('/app', $body);

is(deliver('/app', $body), 409, 'in flight');
is(outcomes('/app'), '6/1/1/1/4', 'settled is nothing yet');
$conn->close;
ok(metric_wait($nginx, 'trove_dedup_total', { location => '= /app',
    outcome => 'released' }, 5), 'the client goes away: released');
$backend->open_gate($id);

# what is broken off after the header is complete

is(deliver('/app?drop=half&size=100000'), 200, 'half of a 200');
is(outcomes('/app'), '7/1/1/2/5', 'completed');

# locations

is(deliver('/first'), 200, 'a redirect to a location that claims, too');
is(outcomes('/first') . ' ' . outcomes('/second'), '1/0/0/1/0 1/0/0/1/0',
    'each claim counts where it was taken');
is(deliver('/fallback'), 200, 'to one that does not');
is(outcomes('/fallback'), '1/0/0/1/0', 'counts where it was taken');
is(outcomes('@fallback'), '0/0/0/0/0', 'and not there');
is(deliver('/if'), 200, 'an "if" that does not match');
is(outcomes('/if'), '1/0/0/1/0', 'is its location');

# a fan-out, a spool

is(deliver('/wait'), 200, 'fan-out');
is(deliver('/partial'), 502, 'to one that fails');
is(outcomes('/wait') . ' ' . outcomes('/partial'), '1/0/0/1/0 1/0/0/0/1',
    'completed, and released');

is(deliver('/spool', $body = event()), 202, 'a spool');
is(deliver('/spool', $body), 200, 'and again');
is(outcomes('/spool'), '1/1/0/1/0', 'completed when it is on the disk');

# HTTP/2

my $h2 = h2($nginx->port(1));

$h2->data($h2->headers('POST', '/app?status=503', headers => [
    'x-trove-signature' => sign($secret, $body = event()),
    'content-length' => length $body ]), $body, end => 1);
ok(metric_wait($nginx, 'trove_dedup_total', { location => '= /app',
    outcome => 'released' }, 6), 'HTTP/2: released');
$h2->close;

is(metrics_lint($nginx), '', 'promtool finds nothing');


# a worker that exits fast runs no cleanup, and one that is old goes on

my $was = { location => '= /app', outcome => 'released' };

$body = event();
($conn, $id) = hold('/app', $body);

my ($request) = $backend->by_id($id);
kill 'TERM', $backend->header($request, 'X-Worker');

ok(metric_wait($nginx, 'trove_dedup_total', $was, 7), 'TERM: released');
$conn->close;
$backend->open_gate($id);

($conn, $id) = hold('/app', event());
ok($nginx->reload, 'reload');
$backend->open_gate($id);
is($conn->response->status, 200, 'an old worker goes on');
$conn->close;
is(outcomes('/app'), '10/1/1/3/7', 'completed, for the same location');

done_testing();
