#!/usr/bin/perl

# What holds in each NGINX that the module may be built for or loaded into,
# whatever that was configured with: nothing here needs what NGINX's configure
# can leave out, but for the spool, which needs threads.  "make minimal" runs it
# with several of them.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-b';

my $nginx = nginx(<<'EOF', files => { 'trove.secret' => "$secret\n" })->start;
    trove_dedup_zone zone=events:1m state=%%TESTDIR%%/temp/events.state;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /trove-events {
            trove_verify on;
            trove_secret file:trove.secret;
            trove_dedup  zone=events;
            trove_fanout /target if=$arg_to;
        }

        location = /target { internal; trove_sign file:trove.secret; }

        location = /metrics { trove_metrics; }
    }
EOF

sub send_to {
    my ($uri, $body, %opt) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret, %opt);
}

my $body = event('file.written');
my $r = send_to('/trove-events', $body);

is($r->status, 200, 'an event is taken');
is($r->json->{status}, 'delivered', 'by all of no targets');
is(send_to('/trove-events', $body)->json->{status}, 'duplicate', 'once');
is(send_to('/trove-events', event(), secret => "${secret}x")->body,
    '{"error":"mismatch"}', 'a forged one is not');

# nothing answers a POST there

$r = send_to('/trove-events?to=1', event());

is($r->status, 502, 'a target that is there but fails');
like($r->json->{targets}[0]{status}, qr/^4\d\d$/, 'with the status of NGINX');

like(get($nginx->port, '/metrics')->body,
    qr/^trove_verify_total\{.*verdict="mismatch"\} 1$/m, 'the metrics count');

$nginx->restart;

is(send_to('/trove-events', $body)->json->{status}, 'duplicate',
    'a restart keeps the state');


# where there are no threads, each directive that needs them says so

my %spooling = (
    'trove_spool' => 'trove_spool %%TESTDIR%%/temp/trove.spool;',
    'trove_api' => 'server { location / { trove_api a-token-of-some-length; } }',
    'trove_fanout_mode spool' => <<'EOF',
        server {
            location = /e { trove_fanout_mode spool; trove_fanout /t; }
            location = /t { internal; }
        }
EOF
);

my $remedy
    = 'rebuild nginx itself with "./configure --with-threads"';

for my $directive (sort keys %spooling) {
    my ($code, $output) = nginx_t($spooling{$directive});
    my $needs = qr/\[emerg\] .*"\Q$directive\E" requires threads,/;

    if (!configured('--with-threads')) {
        isnt($code, 0, "$directive: refused by an nginx without threads");
        like($output, qr/$needs \Q$remedy/,
            "$directive: says why");
        next;
    }

    unlike($output, $needs, "$directive: there are threads");
    like($output, $directive eq 'trove_spool' ? qr/test is successful/
        : qr/"\Q$directive\E" in location .* add "trove_spool PATH"/,
        "$directive: it is like that");
}


# What stub_status counts are requests of clients, and no deliveries: also where
# the module was built without it.

if (configured('--with-threads')
    && configured('--with-http_stub_status_module'))
{
    my $spool = nginx(<<'EOF', files => { 'trove.secret' => "$secret\n" });
        trove_spool %%TESTDIR%%/temp/trove.spool;
        trove_retry base=1ms max=1ms;

        server {
            listen 127.0.0.1:%%PORT_0%%;

            location = /trove-events {
                trove_verify on;
                trove_secret file:trove.secret;
                trove_fanout_mode spool;
                trove_fanout /target;
            }

            location = /target {
                internal;
                trove_sign file:trove.secret;
                log_subrequest on;
                access_log logs/attempts.log;
            }

            location = /status { stub_status; }
        }
EOF

    $spool->start;

    my $before = stub_status($spool->port)->{requests};

    is(post_event($spool->port, '/trove-events', event(), secret => $secret)
        ->status, 202, 'an event is accepted');
    ok((wait_until {
        5 <= (() = slurp($spool->dir . '/logs/attempts.log') =~ /\n/g)
    }), 'and there are attempts to deliver it');

    my $status = stub_status($spool->port);

    is($status->{requests} - $before, 2, 'which are no requests');
    is($status->{reading}, 0, 'nor is anything read of them');
}

done_testing();
