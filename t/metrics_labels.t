#!/usr/bin/perl

# The labels of metrics: each server and location has its own, which stay the
# same over reloads; what is configured, and since when.

use lib 't/lib';
use Trove;
use Trove::Metrics;

my $conf = <<'EOF';
    trove_verify log;
    trove_secret trove-whsec-labels;

%%BEFORE%%

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /metrics { trove_metrics; }
        location = /e { return 204; }
        location /e { return 204; }
        location ~ /e { return 204; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        listen 127.0.0.1:%%PORT_1%%;
        server_name _;

        location = /e { return 204; }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        server_name named;

        location = /e { return 204; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        listen unix:%%TESTDIR%%/nginx.sock;
        server_name "";

        location = /e { return 204; }
    }

    server {
        listen unix:%%TESTDIR%%/other.sock;
        listen 127.0.0.2:%%PORT_3%%;
        listen 127.0.0.1:%%PORT_3%%;

        location = /e { return 204; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;
        server_name "quo\"te\\d" other;

        location = /e { return 204; }
        location @named { return 204; }
    }
EOF

my $before = time();
my $nginx = nginx($conf, vars => { BEFORE => '' }, workers => 2)->start;

my @address = map { '127.0.0.1:' . $nginx->port($_) } 0 .. 4;
my ($low) = sort { $a <=> $b } $nginx->port(1), $nginx->port(2);


# "SERVER LOCATION" of all samples of a name

sub all_of {
    my ($name) = @_;

    return sort map { /^\Q$name\E\{server="(.*?)",location="(.*?)"[,}]/
        ? "$1 $2" : () } keys %{ metrics($nginx) };
}

# of two nameless servers of one address the first has it

my @want = sort "$address[0] = /e", "$address[0] /e", "$address[0] ~ /e",
    "127.0.0.1:$low = /e", 'named = /e', 'unix:' . $nginx->dir
    . '/nginx.sock = /e', "$address[3] = /e", 'quo\\"te\\\\d = /e',
    'quo\\"te\\\\d @named';

my @all = grep { !/ $/ } all_of('trove_verify_seconds_total');

is_deeply(\@all, \@want, 'each location has its own labels')
    or diag(explain(\@all));
is((grep { / $/ } all_of('trove_location_info')), 6,
    'and so has each server for what matches none');
is(metrics_lint($nginx), '', 'promtool finds nothing');

for my $name (qw/ trove_location_info trove_unverified_responses_total /) {
    is_deeply([ grep { !/ $/ } all_of($name) ], \@want, "$name: the same");
}

get($nginx->port(0), '/e') for 1 .. 3;
get($nginx->port(0), '/else/e');
get($nginx->port(3), '/e');

my @info = metric($nginx, 'trove_location_info',
    { location => '= /e', verify => 'log', dedup => 'off', fanout => 'off' });
is("@info", '1 1 1 1 1 1', 'what is in force');


# the numbers of lines and of the servers before do not matter

my %was = %{ metrics($nginx) };
my $loaded = $was{trove_config_last_reload_timestamp_seconds};

cmp_ok($loaded, '>=', $before, 'the configuration is of after this began');
cmp_ok($loaded, '<=', time(), 'and not of later');

ok((wait_until { time() > $loaded }), 'a second later');

$nginx->{opt}{vars}{BEFORE} = <<'EOF';
    server {
        listen 127.0.0.1:%%PORT_5%%;
        listen 127.0.0.1:%%PORT_2%%;
        server_name before;
        location = /e { return 204; }
    }
EOF

ok($nginx->reload($conf), 'a reload with a server before');

my $now = metrics($nginx);

cmp_ok(delete $now->{trove_config_last_reload_timestamp_seconds}, '>', $loaded,
    'the configuration is another');
delete $was{trove_config_last_reload_timestamp_seconds};

is_deeply({ map { exists $was{$_} ? ($_ => $now->{$_}) : () } keys %$now },
    \%was, 'all others are as they were');
is((grep { !exists $was{$_} && !/server="before"/ } keys %$now), 0,
    'and only those of the server are new');


# a reload that is refused

$loaded = metric($nginx, 'trove_config_last_reload_timestamp_seconds');
wait_until { time() > $loaded };
$nginx->expect(qr/unknown directive "nonsense"/);
$nginx->reload("nonsense;\n$conf");
is(metric($nginx, 'trove_config_last_reload_timestamp_seconds'), $loaded,
    'a configuration that is refused is not counted');
done_testing();
