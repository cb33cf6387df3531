#!/usr/bin/perl

# The metrics of targets: each delivery is counted once and under the right
# name; what is in flight or waiting comes back to 0, whoever dies.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-metrics';
my $backend = backend();

my @outcomes = qw/
    delivered 3xx 4xx 5xx timeout no_response skipped truncated max_queue
    max_wait no_memory aborted
/;

my @seconds = qw/ 0.005 0.025 0.1 0.25 1 2.5 10 30 60 +Inf /;


# the inside of http { }, with these locations

sub conf {
    my ($locations) = @_;

    return <<"EOC";
    trove_dedup_zone zone=events:1m;
    trove_verify on;
    trove_secret $secret;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Worker \$pid;

    upstream backend { server 127.0.0.1:%%BACKEND%%; keepalive 8; }
    upstream nobody { server 127.0.0.1:%%PORT_9%%; }

    # of the same name, where /same is another

    server {
        listen 127.0.0.1:%%PORT_2%%;
        server_name gate;
        location = /same { proxy_pass http://backend; }
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        server_name gate;

$locations

        location = /metrics { trove_metrics; }
        location = /same { trove_fanout /t; }

        location = /t {
            internal;
            proxy_pass http://backend;
        }

        location = /late {
            internal;
            proxy_read_timeout 100ms;
            proxy_pass http://backend;
        }

        location = /nobody {
            internal;
            proxy_pass http://nobody;
        }

        location = /closed {
            internal;
            return 444;
        }

        location = /page {
            internal;
            return 503;
        }
    }
EOC
}


sub post_to {
    my ($nginx, $uri, $body) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret);
}


sub start_to {
    my ($nginx, $uri, $body) = @_;

    return (many_start($nginx->port,
        event_request($uri, $body, secret => $secret)))[0];
}


sub metrics {
    my ($nginx) = @_;

    # a worker may die before it answers

    my $r;
    wait_until { $r = get($nginx->port, '/metrics') };

    return { $r->body =~ /^(\w+(?:\{.*\})?) (\S+)$/mg };
}


sub linted {
    my ($nginx) = @_;

    my $file = testdir() . '/metrics.txt';
    spew($file, get($nginx->port, '/metrics')->body);

    return qx{promtool check metrics <"$file" 2>&1} . ($? >> 8);
}


sub value {
    my ($m, $metric, $location, $target, $more) = @_;

    $location = "= $location" if $location =~ m{^/};

    my $labels = qq(server="gate",location="$location",target="$target")
        . ($more // '');

    return $m->{"$metric\{$labels\}"};
}


# "delivered=2 5xx=1": those that are not 0

sub outcomes {
    my ($m, $location, $target) = @_;

    return join ' ', map {
        my $n = value($m, 'trove_deliveries_total', $location, $target,
            qq(,outcome="$_"));
        !defined $n ? "$_=none" : $n ? "$_=$n" : ()
    } @outcomes;
}


sub gauges {
    my ($m, $location, $target) = @_;

    return join '/', map {
        value($m, "trove_deliveries_$_", $location, $target) // 'none'
    } qw/ inflight waiting /;
}


sub wait_gauges {
    my ($nginx, $location, $target, $want, $name) = @_;

    my $is;

    wait_until { ($is = gauges(metrics($nginx), $location, $target)) eq $want };
    is($is, $want, $name);
}


# the histogram of a target holds together, and is about so many

sub histogram {
    my ($m, $location, $target, $count) = @_;

    my @n = map {
        value($m, 'trove_delivery_seconds_bucket', $location, $target,
            qq(,le="$_")) // 'none'
    } @seconds;

    is(join(' ', @n), join(' ', sort { $a <=> $b } @n), "$target: grows");
    is($n[-1], $count, "$target: all of them");
    is(value($m, 'trove_delivery_seconds_count', $location, $target), $count,
        "$target: as many");

    return value($m, 'trove_delivery_seconds_sum', $location, $target);
}


# outcomes, each once

my %want = (
    ok => 'delivered', created => 'delivered', moved => '3xx', gone => '4xx',
    broken => '5xx', gateway => '5xx', page => '5xx', late => 'timeout',
    theirs => 'timeout', nobody => 'no_response', silent => 'no_response',
    cut => 'truncated', closed => 'aborted',
);

my $nginx = nginx(conf(<<'EOC'))->start;
        location = /each {
            trove_dedup zone=events;
            trove_fanout /t?status=200 name=ok;
            trove_fanout /t?status=201 name=created;
            trove_fanout /t?status=302 name=moved optional;
            trove_fanout /t?status=404 name=gone optional;
            trove_fanout /t?status=500 name=broken optional;
            trove_fanout /t?status=502 name=gateway optional;
            trove_fanout /page name=page optional;
            trove_fanout /late?gate=never name=late optional;
            trove_fanout /t?status=504 name=theirs optional;
            trove_fanout /nobody name=nobody optional;
            trove_fanout /t?drop=before name=silent optional;
            trove_fanout /t?drop=half&size=100000 name=cut optional;
            trove_fanout /closed name=closed optional;
            trove_fanout /t name=other events=key.created;
        }

        location = /retry {
            trove_dedup zone=events;
            trove_fanout /t?a name=a;
            trove_fanout /t?b name=b;
        }

        location = /queue {
            trove_dedup zone=events;
            trove_fanout /t?gate=queue name=q max_inflight=1 max_queue=1;
        }

        location = /wait {
            trove_dedup zone=events;
            trove_fanout /t?gate=wait name=w max_inflight=1 max_wait=50ms;
        }

        location ~ "^/quote\"\d$" {
            trove_verify off;
            trove_fanout /t?gate=quote;
        }
EOC

my $m = metrics($nginx);

for my $target (sort(keys %want), 'other') {
    is(outcomes($m, '/each', $target), '', "$target: nothing yet");
    is(gauges($m, '/each', $target), '0/0', "$target: nobody");
}

is(post_to($nginx, '/each', event())->status, 200, 'an event to all') for 1, 2;

$m = metrics($nginx);

for my $target (sort keys %want) {
    is(outcomes($m, '/each', $target), "$want{$target}=2", "$target counted");
    is(gauges($m, '/each', $target), '0/0', "$target: nobody left");

    my $sum = histogram($m, '/each', $target, 2);

    if ($target eq 'late') {
        cmp_ok($sum, '>=', 0.2, 'late: as long as its timeout');
        is(value($m, 'trove_delivery_seconds_bucket', '/each', 'late',
            ',le="0.025"'), 0, 'late: none of them fast');
    }

    cmp_ok($sum, '<', 20, "$target: not for ever");
}

is(outcomes($m, '/each', 'other'), '', 'filtered out: nothing');
histogram($m, '/each', 'other', 0);

my $loc = 'server="gate",location="= /each"';
is($m->{qq(trove_fanout_total{$loc,response="delivered"})}, 2, 'delivered');
is($m->{qq(trove_fanout_total{$loc,response="partial"})}, 0, 'none partial');
is($m->{qq(trove_fanout_unmatched_total{$loc})}, 0, 'none unmatched');
is((grep { /^trove_fanout_total/ } keys %$m), 12,
    'of locations without fan-out nothing');

is(linted($nginx), 0, 'promtool finds nothing');


is(post_to($nginx, '/same', event())->status, 200, 'a location that is twice');
is(metrics($nginx)->{'trove_fanout_total{server="gate",location="= /same",'
    . 'response="delivered"}'}, 1, 'is counted for its fan-out, too');


# a retry skips, and does not count again

$backend->on(my $id = new_id(), status => 500, times => 4);
my $body = event('file.written', id => $id);

is(post_to($nginx, '/retry', $body)->status, 502, 'both fail');
is(post_to($nginx, '/retry', $body)->status, 502, 'both again');

$backend->on($id = new_id(), status => 503, times => 1);
$body = event('file.written', id => $id);
is(post_to($nginx, '/retry', $body)->status, 502, 'one fails');

$m = metrics($nginx);
is($m->{'trove_zone_acks{zone="events"}'}, 1, 'one ack');
is($m->{'trove_zone_acks_dropped_total{zone="events"}'}, 0, 'none dropped');

is(post_to($nginx, '/retry', $body)->status, 200, 'the retry');
is(post_to($nginx, '/retry', $body)->json->{status}, 'duplicate', 'done');

$m = metrics($nginx);

is_deeply([ sort map { outcomes($m, '/retry', $_) } qw/ a b / ],
    [ 'delivered=1 5xx=2 skipped=1', 'delivered=1 5xx=3' ],
    'one is skipped, the other not');
histogram($m, '/retry', $_, outcomes($m, '/retry', $_) =~ /skipped/ ? 3 : 4)
    for qw/ a b /;

$loc = 'server="gate",location="= /retry"';
is($m->{qq(trove_fanout_total{$loc,response="delivered"})}, 1, 'one delivered');
is($m->{qq(trove_fanout_total{$loc,response="partial"})}, 3, 'three partial');


# a queue

my @conns = map { start_to($nginx, '/queue', event()) } 1 .. 2;
wait_gauges($nginx, '/queue', 'q', '1/1', 'one in flight, one waits');

is(post_to($nginx, '/queue', event())->status, 502, 'no room for a third');
is(gauges(metrics($nginx), '/queue', 'q'), '1/1', 'which changes nothing');

$backend->open_gate('queue');
is($_->response->status, 200, 'then both are delivered') for @conns;
$_->close for @conns;

$m = metrics($nginx);
is(outcomes($m, '/queue', 'q'), 'delivered=2 max_queue=1', 'counted');
is(gauges($m, '/queue', 'q'), '0/0', 'nobody left');
histogram($m, '/queue', 'q', 2);

@conns = (start_to($nginx, '/wait', event()));
wait_gauges($nginx, '/wait', 'w', '1/0', 'one in flight');
is(post_to($nginx, '/wait', event())->status, 502, 'a second waits in vain');
is(gauges(metrics($nginx), '/wait', 'w'), '1/0', 'and is gone');
$backend->open_gate('wait');
is($conns[0]->response->status, 200, 'the first is delivered');
$conns[0]->close;

$m = metrics($nginx);
is(outcomes($m, '/wait', 'w'), 'delivered=1 max_wait=1', 'counted');
is(gauges($m, '/wait', 'w'), '0/0', 'nobody left');
histogram($m, '/wait', 'w', 1);


# the client goes away; names with quotes; nobody verifies

my $quoted = '~ ^/quote\"\\\\d$';

my $conn = conn($nginx->port);
$conn->send(build('POST', '/quote"1', body => event()));
wait_gauges($nginx, $quoted, '/t', '1/0', 'in flight');
$conn->close;
$backend->open_gate('quote');
wait_gauges($nginx, $quoted, '/t', '0/0', 'and over, though its client left');
is(outcomes(metrics($nginx), $quoted, '/t'), 'delivered=1', 'counted');
is(linted($nginx), 0, 'promtool finds nothing');

$backend->close_gate('quote');
$conn = h2($nginx->port(1));
$body = event();
my $stream = $conn->headers('POST', '/quote"2',
    headers => [ 'content-length' => length $body ]);
$conn->data($stream, $body, end => 1);
wait_gauges($nginx, $quoted, '/t', '1/0', 'HTTP/2: in flight');
$conn->send_rst($stream);
$backend->open_gate('quote');
wait_gauges($nginx, $quoted, '/t', '0/0', 'HTTP/2: and over');
is(outcomes(metrics($nginx), $quoted, '/t'), 'delivered=2', 'HTTP/2: counted');
$conn->close;

$nginx->stop;


# reload, and kills

my $both = <<'EOC';
        location = /e {
            trove_dedup zone=events;
            trove_fanout /t?gate=slow name=slow max_inflight=1;
            trove_fanout /t name=fast;
        }
EOC

my $other = <<'EOC';
        location = /e {
            trove_dedup zone=events;
            trove_fanout /t name=new;
            trove_fanout /t name=fast;
            trove_fanout /t?gate=slow name=slow max_inflight=1;
        }
EOC

$nginx = nginx(conf($both), workers => 2)->start;
$nginx->expect(qr/exited on signal 9/);

$conn = start_to($nginx, '/e', event());
wait_gauges($nginx, '/e', 'slow', '1/0', 'before a reload');
wait_gauges($nginx, '/e', 'fast', '0/0', 'of the other nothing');

ok($nginx->reload(conf($other)), 'reload with other targets');

$m = metrics($nginx);
is(gauges($m, '/e', 'slow'), '1/0', 'an old worker has it still');
is(outcomes($m, '/e', 'new'), '', 'a new target');
is(outcomes($m, '/e', 'fast'), 'delivered=1', 'the other goes on');

my $second = start_to($nginx, '/e', event());
wait_gauges($nginx, '/e', 'slow', '2/0', 'a new worker has one, too');

$backend->open_gate('slow');
is($_->response->status, 200, 'delivered') for $conn, $second;
$_->close for $conn, $second;
ok($nginx->wait_old, 'the old workers end');

$m = metrics($nginx);
is(gauges($m, '/e', 'slow'), '0/0', 'nobody left');
is(outcomes($m, '/e', $_->[0]), "delivered=$_->[1]", "$_->[0] counted")
    for [ slow => 2 ], [ fast => 2 ], [ new => 1 ];
histogram($m, '/e', 'slow', 2);

# a worker is killed with one in flight and one that waits, and another comes

sub worker_of {
    my ($id) = @_;

    $backend->wait_count(2, $id);
    my ($request) = $backend->by_id($id);

    return $backend->header($request, 'X-Worker');
}

$backend->close_gate('slow');

for my $round (1 .. 3) {
    $id = new_id();
    $conn = start_to($nginx, '/e', event('file.written', id => $id));
    wait_gauges($nginx, '/e', 'slow', '1/0', "round $round: in flight");
    $nginx->kill_worker(worker_of($id));
    wait_gauges($nginx, '/e', 'slow', '0/0', 'not after a kill');
    $conn->close;
}

# of old workers, whom nobody succeeds

$id = new_id();
$conn = start_to($nginx, '/e', event('file.written', id => $id));
my $worker = worker_of($id);
wait_gauges($nginx, '/e', 'slow', '1/0', 'in flight again');
ok($nginx->reload(conf($both)), 'reload');
is(gauges(metrics($nginx), '/e', 'slow'), '1/0', 'still');
kill 'KILL', $worker;
wait_gauges($nginx, '/e', 'slow', '0/0', 'not after a kill of an old worker');
$conn->close;

# terminated, without a cleanup

$id = new_id();
$conn = start_to($nginx, '/e', event('file.written', id => $id));
$worker = worker_of($id);
wait_gauges($nginx, '/e', 'slow', '1/0', 'in flight again');
kill 'TERM', $worker;
wait_gauges($nginx, '/e', 'slow', '0/0', 'not after a fast exit');
$conn->close;
$backend->open_gate('slow');


# an old worker that is not let finish

ok($nginx->reload(conf($both), main => 'worker_shutdown_timeout 1s;'),
    'reload');
$backend->close_gate('slow');

my %was = map { $_ => outcomes(metrics($nginx), '/e', $_) } qw/ slow fast /;
my ($delivered) = $was{fast} =~ /delivered=(\d+)/;

$id = new_id();
$conn = start_to($nginx, '/e', event('file.written', id => $id));
wait_gauges($nginx, '/e', 'slow', '1/0', 'in flight again');
ok($nginx->reload, 'reload');
ok($nginx->wait_old, 'worker_shutdown_timeout ends the old worker');
$conn->close;

$m = metrics($nginx);
is(gauges($m, '/e', 'slow'), '0/0', 'nothing left');
is(outcomes($m, '/e', 'slow'), "$was{slow} aborted=1", 'aborted');
is(outcomes($m, '/e', 'fast'), 'delivered=' . ($delivered + 1), 'the other not');
$backend->open_gate('slow');


# more targets than there was room for

my $before = outcomes(metrics($nginx), '/e', 'fast');

ok($nginx->reload(conf(<<EOC)), 'reload with 1,000 targets');
$both
        location = /thousand {
            trove_dedup zone=events;
@{[ join "\n", map { "trove_fanout /page name=t$_ optional;" } 1 .. 1000 ]}
        }
EOC

is(outcomes(metrics($nginx), '/e', 'fast'), $before, 'what was counted stays');
is(post_to($nginx, '/thousand', event())->status, 200, 'an event to all');

$m = metrics($nginx);
my @bad = grep { outcomes($m, '/thousand', "t$_") ne '5xx=1'
    || gauges($m, '/thousand', "t$_") ne '0/0' } 1 .. 1000;
is("@bad", '', 'each is counted once');
is(value($m, 'trove_delivery_seconds_count', '/thousand', 't1000'), 1,
    'to the last of them');
ok(defined $m->{'trove_zone_recovered_locks_total{zone="events"}'},
    'and what comes behind them');
is(linted($nginx), 0, 'promtool finds nothing');

$nginx->stop;


# without a master

$nginx = nginx(conf($both), main => 'master_process off;')->start;
$backend->close_gate('slow');

$conn = start_to($nginx, '/e', event());
wait_gauges($nginx, '/e', 'slow', '1/0', 'one process: in flight');
$backend->open_gate('slow');
is($conn->response->status, 200, 'one process: delivered');
is(gauges(metrics($nginx), '/e', 'slow'), '0/0', 'one process: over');
is(outcomes(metrics($nginx), '/e', 'slow'), 'delivered=1',
    'one process: counted');
$conn->close;


# which ends, though the shared memory that it began with is gone

$nginx->mark;
$nginx->reload(<<'EOF');
    server {
        listen 127.0.0.1:%%PORT_0%%;
    }
EOF

ok($nginx->wait_log(qr/using the "\w+" event method/),
    'one process: a reload without targets');

$nginx->stop('TERM');
ok(!-e $nginx->dir . '/nginx.pid', 'one process: it ends, and does not crash');

done_testing();
