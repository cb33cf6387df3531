#!/usr/bin/perl

# The metrics of zones, and of what becomes of events: conflicts, evictions,
# claims of workers that were killed; across reloads, other sizes and restarts.

use lib 't/lib';
use Trove;

my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=small:32k;
    trove_dedup_zone zone=kept:%%SIZE%% state=kept.state;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name example.com;

        trove_verify on;
        trove_secret s3cret;

        location = /small {
            trove_dedup zone=small lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /kept {
            trove_dedup zone=kept lease=3s ttl=5s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /metrics { trove_metrics; }
    }
EOF

my $nginx = nginx($http, vars => { SIZE => '32k' }, workers => 2)->start;
my $text = testdir() . '/metrics.txt';

sub metrics {
    my $body = get($nginx->port, '/metrics')->body;

    return { $body =~ /^(\w+(?:\{.*\})?) (\S+)$/mg };
}


# one of them, of a zone, and of a location

sub metric {
    my ($zone, $name, $state) = @_;

    $state = defined $state ? qq/,state="$state"/ : '';

    return metrics()->{qq/trove_zone_$name\{zone="$zone"$state\}/};
}


sub outcome {
    my ($location, $outcome) = @_;

    return metrics()->{'trove_dedup_total{server="example.com",'
        . qq/location="= \/$location",outcome="$outcome"}/};
}


sub deliver {
    my ($uri, $body) = @_;

    my $r = post_event($nginx->port, $uri, $body, secret => 's3cret');

    return $r ? $r->status : 'none';
}


sub hold {
    my ($uri) = @_;

    my $body = event();
    my ($id) = $body =~ /"id":"([^"]+)/;

    $backend->on($id, gate => $id, times => 1);

    my ($conn) = many_start($nginx->port,
        event_request($uri, $body, secret => 's3cret'));

    $backend->wait_count(1, $id) or die 'not in flight';

    return { body => $body, id => $id, conn => $conn };
}


# what the module says of itself

my ($version) = slurp('CHANGES') =~ /^Changes with ngx_trove_module (\S+)/m;
my ($build) = grep { /^trove_build_info/ } keys %{ metrics() };

like($build, qr/version="\Q$version\E"/, 'the version is that of CHANGES');

# conflicts

is(metric('small', 'used', 'inflight'), 0, 'nothing is in flight');

my $held = hold('/small');

is(deliver('/small', $held->{body}), 409, 'a conflict') for 1 .. 3;
is(outcome('small', 'inflight'), 3, 'three conflicts');
is(metric('small', 'used', 'inflight'), 1, 'one is in flight');

$backend->open_gate($held->{id});
is($held->{conn}->response->status, 200, 'it ends');
$held->{conn}->close;
is(metric('small', 'used', 'inflight'), 0, 'none is');
is(metric('small', 'used', 'done'), 1, 'one is done');

# evictions, in the smallest zone

my $slots = metric('small', 'slots');

cmp_ok($slots, '>', 1000, 'slots');
is(metric('small', 'evictions_total'), 0, 'nothing was forgotten');

my $sent = $slots + 500;
my @conns = map { conn($nginx->port) } 1 .. 10;

for (1 .. $sent) {
    my $conn = shift @conns;

    $conn->send(event_request('/small', event(), secret => 's3cret'));
    push @conns, $conn;

    # each has had time while the others were asked

    next if $_ < @conns;
    $conns[0]->response->status == 200 or die 'no 200';
}

$_->response for @conns[1 .. $#conns];
$_->close for @conns;

my $evicted = metric('small', 'evictions_total');
my $done = metric('small', 'used', 'done');

cmp_ok($done, '<=', $slots, 'no more than there is room for');
is($evicted, $sent + 1 - $done, 'what is not there any more was counted');
is(outcome('small', 'new'), $sent + 1, 'all of them were new');

spew($text, get($nginx->port, '/metrics')->body);
is(qx{promtool check metrics <"$text" 2>&1}, '', 'promtool finds nothing');

# claims of a worker that is killed

$held = hold('/kept');
$nginx->kill_worker($_) for $nginx->workers;
is(metric('kept', 'used', 'inflight'), 1, 'a claim is left behind');
$held->{conn}->close;

ok((wait_until { metric('kept', 'used', 'inflight') == 0 } 10),
    'until its lease runs out');
is(metric('kept', 'takeovers_total'), 0, 'nobody wanted it');

is(deliver('/kept', $held->{body}), 200, 'then it is new');
cmp_ok(metric('kept', 'takeovers_total'), '<=', 1, 'and taken over');
is(metric('kept', 'used', 'done'), 1, 'done');
ok((wait_until { metric('kept', 'used', 'done') == 0 } 10),
    'for its ttl');

# all of that lives on

is(metric('small', 'evictions_total'), $evicted, 'alive after the kills');
ok($nginx->reload, 'reload');
is(metric('small', 'evictions_total'), $evicted, 'alive after a reload');
is(outcome('small', 'inflight'), 3, 'and so are conflicts');

my $takeovers = metric('kept', 'takeovers_total');

$nginx->{opt}{vars}{SIZE} = '1m';
ok($nginx->reload($http), 'reload with another size');
is(metric('kept', 'takeovers_total'), $takeovers, 'alive after that');
cmp_ok(metric('kept', 'slots'), '>', 30000, 'which there is more room in');
is(metric('small', 'slots'), $slots, 'the other one is as it was');

$nginx->restart;
is(metric('small', 'evictions_total'), 0, 'a restart begins anew');
is(outcome('small', 'inflight'), 0, 'also with conflicts');
is(metric('kept', 'takeovers_total'), $takeovers,
    'but what is in a state file');

done_testing();
