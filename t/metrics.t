#!/usr/bin/perl

# The metrics: what they count, that promtool likes them, that they live on.

use lib 't/lib';
use Trove;

my $backend = backend();
my $http = <<'EOF';
    trove_dedup_zone zone=events:1m;
    trove_dedup_zone zone=other:64k;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name "a.example";

        trove_verify on;
        trove_secret s3cret;

        location /gate {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location ~ "^/re\d+\"$" {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /open { return 200; }
        location = /metrics { trove_metrics; }
%%MORE%%
    }
EOF

my $nginx = nginx($http, vars => { MORE => '' }, workers => 2)->start;

sub metrics {
    my $r = get($nginx->port, '/metrics');

    is($r->status, 200, 'metrics, though trove_verify is inherited');
    is($r->header('Content-Type'), 'text/plain; version=0.0.4', 'their type');

    my $file = testdir() . '/metrics.txt';
    spew($file, $r->body);
    is(qx{promtool check metrics <"$file" 2>&1}, '', 'promtool finds nothing');
    is($? >> 8, 0, 'and says so');

    return { $r->body =~ /^(\w+(?:\{.*\})?) (\S+)$/mg };
}

sub named {
    my ($metric, $label) = @_;

    return qq($metric\{server="a.example",location="/gate"$label\});
}

my $m = metrics();
is($m->{named('trove_verify_total', ',verdict="ok"')}, 0, 'nothing yet');
is($m->{'trove_zone_used{zone="events",state="done"}'}, 0, 'an empty zone');
cmp_ok($m->{'trove_zone_slots{zone="events"}'}, '>', 30000, 'room for events');
is($m->{'trove_verify_total{server="a.example",location="~ ^/re\\\\d+\\"$",'
    . 'verdict="ok"}'}, 0, 'a name with quotes and backslashes');

my $body = event();
my @gate = ($nginx->port, '/gate', $body);

is(post_event(@gate, secret => 's3cret')->status, 200, 'new');
is(post_event(@gate, secret => 's3cret')->status, 200, 'duplicate') for 1 .. 3;
is(post_event(@gate, secret => 'wrong')->status, 400, 'mismatch');
is(post_event(@gate)->status, 400, 'missing');
is(post_event(@gate, secret => 's3cret', t => time() - 1000)->status, 400,
    'stale');
is(post($nginx->port, '/open', $body)->status, 200, 'return goes round the gate');

my $want = sub {
    my ($m, $name) = @_;

    is($m->{named('trove_verify_total', ',verdict="ok"')}, 4, "$name: ok");
    is($m->{named('trove_verify_total', ',verdict="mismatch"')}, 1,
        "$name: mismatch");
    is($m->{named('trove_verify_total', ',verdict="missing"')}, 1,
        "$name: missing");
    is($m->{named('trove_verify_total', ',verdict="stale"')}, 1,
        "$name: stale");
    is($m->{named('trove_dedup_total', ',outcome="new"')}, 1, "$name: new");
    is($m->{named('trove_dedup_total', ',outcome="duplicate"')}, 3,
        "$name: duplicate");
    is($m->{named('trove_dedup_total', ',outcome="inflight"')}, 0,
        "$name: inflight");
    cmp_ok($m->{named('trove_verify_seconds_total', '')}, '>', 0,
        "$name: time");
    cmp_ok($m->{named('trove_verify_seconds_total', '')}, '<', 1,
        "$name: not much of it");
    is($m->{'trove_unverified_responses_total{server="a.example",'
        . 'location="= /open"}'}, 1, "$name: unverified");
    is($m->{'trove_zone_used{zone="events",state="done"}'}, 1,
        "$name: one event in the zone");
    is($m->{'trove_zone_used{zone="other",state="done"}'}, 0,
        "$name: none in the other");
};

$want->(metrics(), 'counted');

ok($nginx->reload, 'reload');
$want->(metrics(), 'after a reload');

# more locations than there was room for: the zone gets another size

$nginx->{opt}{vars}{MORE} = join '', map
    { "location = /more$_ { proxy_pass http://127.0.0.1:%%BACKEND%%; }\n" }
    1 .. 40;

ok($nginx->reload($http), 'reload with more locations');
$want->(metrics(), 'after it has grown');

is(post_event(@gate, secret => 's3cret')->status, 200, 'duplicate');
is(metrics()->{named('trove_dedup_total', ',outcome="duplicate"')}, 4,
    'and goes on');

# fewer of them again: those that stay keep their counters

$nginx->{opt}{vars}{MORE} = '';

ok($nginx->reload($http), 'reload with fewer locations');
is(metrics()->{named('trove_dedup_total', ',outcome="duplicate"')}, 4,
    'after it has shrunk');
is(metrics()->{named('trove_verify_total', ',verdict="mismatch"')}, 1,
    'mismatch after it has shrunk');
is(metrics()->{'trove_unverified_responses_total{server="a.example",'
    . 'location="= /open"}'}, 1, 'unverified after it has shrunk');
is(scalar($nginx->log_lines(qr/no room for the metrics/)), 0,
    'nothing is without room');

is(request($nginx->port, 'HEAD', '/metrics')->status, 200, 'HEAD');
is(request($nginx->port, 'POST', '/metrics', body => 'x')->status, 405,
    'neither POST');

for my $conf ('trove_metrics; trove_metrics;',
    'trove_metrics; proxy_pass http://127.0.0.1:1;',
    'proxy_pass http://127.0.0.1:1; trove_metrics;')
{
    my ($code, $text) = nginx_t("server { location / { $conf } }");

    is($code, 1, "$conf is refused");
    like($text, qr/"trove_metrics" (?:directive is dup|.*another content handler)/,
        'and why');
}

done_testing();
