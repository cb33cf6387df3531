#!/usr/bin/perl

# The alerts and the dashboard of examples/: Prometheus takes them, each alert
# is raised when it should be, and all that they name exists.

use lib 't/lib';
use Trove;
use Trove::Metrics;

use Cwd qw/ abs_path /;
use JSON::PP ();

my $prometheus = abs_path('examples/prometheus');
my $alerts = slurp("$prometheus/trove-alerts.yml");
my $tests = slurp("$prometheus/trove-alerts-test.yml")
    . slurp("$prometheus/trove-alerts-slow-test.yml");

for my $what ('check rules trove-alerts.yml',
    'test rules trove-alerts-test.yml trove-alerts-slow-test.yml')
{
    my $said = qx{cd "$prometheus" && promtool $what 2>&1};

    is($?, 0, "promtool $what") or diag($said);
}


# each alert has a test, and what somebody who is woken needs

my @alerts = map { { text => $_ } } split /^  - (?=alert: )/m, $alerts;

shift @alerts;
cmp_ok(scalar(@alerts), '>=', 15, 'there are alerts');

my %anchors = map { lc($_) => 1 }
    slurp('docs/metrics.md') =~ /^### (Trove\w+)$/mg;

for my $alert (@alerts) {
    my ($name) = $alert->{text} =~ /^alert: (\w+)$/m;

    like($tests, qr/alertname: $name\n.*\n    exp_alerts:\n    - /,
        "$name: is raised in a test");
    like($tests, qr/alertname: $name\n.*\n    exp_alerts: \[\]/,
        "$name: and is not in another");
    like($alert->{text}, qr/^      severity: (?:page|ticket)$/m,
        "$name: its severity");
    like($alert->{text}, qr/^      summary: \S/m, "$name: its summary");

    my ($runbook) = $alert->{text}
        =~ m{^      runbook: docs/metrics\.md#(\w+)$}m;

    is($runbook, lc $name, "$name: its section of the documentation");
    ok(delete $anchors{lc $name}, "$name: which is there");
}

is_deeply([ sort keys %anchors ], [], 'no section is about another alert');


# the dashboard

my $dashboard = JSON::PP->new->decode(
    slurp('examples/grafana/trove-dashboard.json'));
my (%ids, @exprs);

for my $panel (@{ $dashboard->{panels} }) {
    my $title = $panel->{title};

    ok($title && !$ids{$panel->{id}}++, "panel $panel->{id} has a title");
    next if $panel->{type} eq 'row';

    ok($panel->{description}, "$title: a description");
    ok($panel->{fieldConfig}{defaults}{unit}, "$title: a unit");
    ok(scalar @{ $panel->{targets} }, "$title: something to show");

    push @exprs, map { $_->{expr} } @{ $panel->{targets} };
}

# what it has in place of a variable does not matter for the syntax

my $rules = testdir() . '/dashboard.yml';
my $serial = 0;

spew($rules, join '', "groups:\n- name: dashboard\n  rules:\n", map {
    my $expr = s/\$__rate_interval/5m/gr =~ s/\$(\w+)/$1/gr;
    "  - record: expr" . $serial++ . "\n    expr: |\n      $expr\n"
} @exprs);

my $said = qx{promtool check rules "$rules" 2>&1};
is($?, 0, 'promtool takes all that the dashboard asks for') or diag($said);

push @exprs, map { $_->{definition} // () }
    @{ $dashboard->{templating}{list} };


# all metrics and labels that they name are in a scrape of what has everything

my $backend = backend();
my $nginx = nginx(<<'EOF')->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_dedup_zone zone=events:1m;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        trove_verify on;
        trove_secret trove-whsec-alerts;
        trove_dedup zone=events;

        location = /metrics { trove_metrics; }
        location = /app { proxy_pass http://127.0.0.1:%%BACKEND%%; }
        location = /wait { trove_fanout /target; }

        location = /spool {
            trove_fanout_mode spool;
            trove_fanout /target;
        }

        location = /target {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

for my $uri ('/app', '/wait', '/spool') {
    like(post_event($nginx->port, $uri, event(),
        secret => 'trove-whsec-alerts')->status, qr/^20[02]$/, "$uri: an event");
}

ok(metric_wait($nginx, 'trove_spool_deliveries', { state => 'delivered' }, 1),
    'all has happened');

my %known;

for my $sample (keys %{ metrics($nginx) }) {
    my ($name, $labels) = $sample =~ /^(\w+)(?:\{(.*)\})?$/;

    $known{$name}{$_} = 1
        for qw/ job instance /, ($labels // '') =~ /(\w+)="/g;
}

# "by", "on" and the like, too, but not what is between quotes

sub named {
    my ($text) = @_;

    my (%metrics, %labels);

    $text =~ s/^\s*#.*$//mg;

    while ($text =~ /\b(trove_\w+)\b(?:\{([^}]*)\})?/g) {
        my ($metric, $selector) = ($1, $2 // '');

        $metrics{$metric}{$_} = 1 for '', $selector =~ /(\w+)(?:=|!=|=~|!~)/g;
    }

    return \%metrics;
}

my %asked;

for my $text ((map { $_->{text} =~ /expr: (.*?)\n    (?:for|labels):/s }
    @alerts), @exprs)
{
    my $metrics = named($text =~ s/"[^"]*"/""/gr);

    for my $metric (keys %$metrics) {
        ok($known{$metric}, "$metric is in a scrape") unless $asked{$metric}++;

        my @unknown = grep { length && !$known{$metric}{$_} }
            sort keys %{ $metrics->{$metric} };
        is("@unknown", '', "$metric: with the labels in $text") if @unknown;
    }
}

cmp_ok(scalar(keys %asked), '>=', 30, 'many are asked for');

# and each that there is can be seen

my %family = map { s/_(?:bucket|sum|count)$//r => 1 } keys %asked;

is_deeply([ grep { !$family{$_} } sort map { s/_(?:bucket|sum|count)$//r }
    keys %known ], [], 'no metric is left out');

done_testing();
