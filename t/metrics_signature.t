#!/usr/bin/perl

# By which secret events are verified, by its number, and how old signatures
# are: as metrics and as a variable.

use lib 't/lib';
use Trove;
use Trove::Metrics;

my $backend = backend();

my $nginx = nginx(<<'EOF', workers => 2);
    log_format number "$uri [$trove_secret_number] $trove_verify";
    access_log logs/number.log number;

    map $http_x_tenant $tenant_secret {
        volatile;
        acme     trove-whsec-acme;
        default  "";
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name gate;

        trove_verify on;
        trove_secret file:%%TESTDIR%%/secrets;
        trove_secret trove-whsec-three;

        proxy_set_header X-Number $trove_secret_number;
        recursive_error_pages on;

        location = /metrics { trove_metrics; }

        location = /e {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        # those with variables have the numbers after all others

        location = /tenant {
            trove_secret trove-whsec-$http_x_first;
            trove_secret trove-whsec-fixed;
            trove_secret $tenant_secret;
            trove_secret $http_x_last;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /log {
            trove_verify log;
            trove_tolerance off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /off {
            trove_verify off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        # the verdict holds in a location with the same secrets, and not in one
        # with others

        location = /same {
            error_page 418 = /e;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%BACKEND%%/?status=418;
        }

        location = /others {
            error_page 418 = /other;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%BACKEND%%/?status=418;
        }

        location = /other {
            trove_secret trove-whsec-other;
            trove_secret trove-whsec-two;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

$nginx->write('secrets', "# rotated\ntrove-whsec-one\n\ntrove-whsec-two\n",
    0600);
$nginx->start;


sub number {
    my ($uri, $secret, %more) = @_;

    my $r = post_event($nginx->port, $uri, event(), secret => $secret, %more);

    return $r->status if $r->status != 200;
    return $backend->header($backend->last, 'X-Number') // 'none';
}


# "1=2 3=1": what was counted in a location, and up to which number

sub counted {
    my ($location) = @_;

    my $metrics = metrics($nginx);
    my @all;

    for my $n (1 .. 17) {
        my $value = $metrics->{qq(trove_secret_matches_total{server="gate",)
            . qq(location="= $location",secret="$n"})};
        push @all, "$n=$value" if defined $value;
    }

    return "@all";
}


is(counted('/e'), '1=0 2=0 3=0', 'one line for each that is configured');
is(counted('/off'), '', 'none where nothing is verified');
is(counted('/tenant'), '1=0 2=0 3=0 4=0', 'those with variables, too');

is(number('/e', 'trove-whsec-one'), 1, 'the first line of a file');
is(number('/e', 'trove-whsec-two'), 2, 'the second one') for 1 .. 2;
is(number('/e', 'trove-whsec-three'), 3, 'what comes after the file');
is(number('/e', 'trove-whsec-four'), 400, 'none of them');
is(counted('/e'), '1=1 2=2 3=1', 'all are counted');

is(number('/tenant', 'trove-whsec-fixed'), 1, 'fixed: before variables');
is(number('/tenant', 'trove-whsec-f', headers => [ 'X-First' => 'f' ]), 2,
    'the first with variables');
is(number('/tenant', 'trove-whsec-acme', headers => [ 'X-Tenant' => 'acme' ]),
    3, 'the second one');
is(number('/tenant', 'last', headers => [ 'X-Last' => 'last' ]), 4,
    'one keeps its number where those before are empty');
is(counted('/tenant'), '1=1 2=1 3=1 4=1', 'and so they are counted');

# of several that match the first counts; a header may have several MACs

my $body = event();
my $t = time();
my @mac = map { signature("trove-whsec-$_", $body, $t) } qw/ three two none /;

is(post($nginx->port, '/e', $body,
    'X-Trove-Signature' => "t=$t,v1=$mac[2],v1=$mac[0],v1=$mac[1]")->status,
    200, 'signed by two of them');
is(counted('/e'), '1=1 2=3 3=1', 'counted once, for the first');

is(number('/log', 'trove-whsec-two'), 2, 'log: by the second');
is(number('/log', 'nobody'), 'none', 'log: empty where none matches');
is(number('/off', 'trove-whsec-two'), 'none', 'off: empty');
is(counted('/log'), '1=0 2=1 3=0', 'log: counted');

# well signed, but no event

is(post_event($nginx->port, '/e', 'no JSON', secret => 'trove-whsec-one')
    ->status, 400, 'no event');
is(counted('/e'), '1=1 2=3 3=1', 'is not counted');

# redirects

is(number('/same', 'trove-whsec-three'), 3, 'after a redirect: known still');
is(counted('/same'), '1=0 2=0 3=1', 'counted where it was verified');
is(counted('/e'), '1=1 2=3 3=1', 'and not again');
is(number('/others', 'trove-whsec-two'), 2, 'other secrets, another number');
is(counted('/others') . ' ' . counted('/other'), '1=0 2=1 3=0 1=0 2=1',
    'both are counted');

my @log;

ok((wait_until {
    @log = split /\n/, $nginx->read_log('logs/number.log');
    grep { m{^/other } } @log;
}), 'the log');
is((grep { $_ eq '/e [2] ok' } @log), 3, 'log: the second secret');
is((grep { $_ eq '/e [-] mismatch' } @log), 1, 'log: no secret');
is((grep { $_ eq '/e [-] bad_json' } @log), 1, 'log: no event');


# ages

sub histogram {
    my ($name, $location) = @_;

    my %labels = (location => "= $location");
    my $metrics = metrics($nginx);
    my $prefix = qq(trove_signature_${name}_seconds);
    my $in = qq(server="gate",location="= $location");

    return join ' ', (map {
        my $n = $metrics->{qq(${prefix}_bucket{$in,le="$_"})};
        defined $n ? "$_:$n" : ()
    } qw/ 1 2 5 10 30 60 300 900 3600 +Inf /),
        map { "$_=" . ($metrics->{"${prefix}_$_\{$in}"} // 'none') }
        qw/ sum count /;
}

my $seconds = sub { histogram(@_) =~ /sum=(\d+)/ ? $1 : 'none' };

is(histogram('age', '/log') =~ s/sum=\d+ //r,
    '1:1 2:1 5:1 10:1 30:1 60:1 300:1 900:1 3600:1 +Inf:1 count=1',
    'a fresh signature');
is(histogram('ahead', '/log'), '1:0 5:0 30:0 60:0 300:0 +Inf:0 sum=0 count=0',
    'none ahead');
is(histogram('age', '/off'), 'sum=none count=none',
    'none where nothing is verified');

my $was = $seconds->('age', '/log');

for my $age (20, 100, 2000, 100_000) {
    is(number('/log', 'trove-whsec-one', t => time() - $age), 1, "of $age s");
}

is(histogram('age', '/log') =~ s/sum=\d+ //r,
    '1:1 2:1 5:1 10:1 30:2 60:2 300:3 900:3 3600:4 +Inf:5 count=5',
    'older ones');

# the clock may go on meanwhile

my $sum = $seconds->('age', '/log') - $was;

cmp_ok($sum, '>=', 102_120, 'the sum of their ages');
cmp_ok($sum, '<=', 102_160, 'and not more');
is(histogram('ahead', '/log'), '1:0 5:0 30:0 60:0 300:0 +Inf:0 sum=0 count=0',
    'none ahead still');

for my $ahead (55, 200, 1000) {
    is(number('/log', 'trove-whsec-one', t => time() + $ahead), 1,
        "$ahead s ahead");
}

like(histogram('ahead', '/log'),
    qr/^1:0 5:0 30:0 60:1 300:2 \+Inf:3 sum=12\d\d count=3$/, 'those ahead');
is($seconds->('age', '/log'), $was + $sum, 'the others are as they were');

is(number('/log', 'nobody', t => time() - 100), 'none', 'what is not verified');
is(number('/e', 'trove-whsec-one', t => time() - 1000), 400, 'what is stale');
like(histogram('age', '/log'), qr/count=5$/, 'has no age');
like(histogram('age', '/e'), qr/count=5$/, 'neither');

is(metrics_lint($nginx), '', 'promtool finds nothing');

# a secret less: the numbers are those of the new configuration

$nginx->write('secrets', "trove-whsec-two\n", 0600);
ok($nginx->reload, 'reload with a secret less');
is(number('/e', 'trove-whsec-two'), 1, 'the other one is the first');
is(counted('/e'), '1=2 2=3', 'which is shown');

done_testing();
