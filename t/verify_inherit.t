#!/usr/bin/perl

# What is set for a server holds wherever nobody has said otherwise.  A location
# with "trove_metrics" or "trove_api" is exempt, but not a location inside of
# it: that was unverified, and not deduplicated.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-inherit';

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF)->start;
    trove_dedup_zone zone=events:1m;
    trove_spool %%TESTDIR%%/temp/trove.spool;
    proxy_set_header X-Verdict \$trove_verify;
    proxy_set_header X-Dedup \$trove_dedup;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        trove_verify on;
        trove_secret $secret;
        trove_dedup zone=events;

        location /metrics {
            trove_metrics;

            location /metrics/in {
                $pass

                location /metrics/in/in { $pass }
                location ~ ^/metrics/in/re { $pass }

                location /metrics/in/if {
                    if (\$http_x_if) {
                        $pass
                    }
                    $pass
                }

                location /metrics/in/limit {
                    limit_except GET {
                        $pass
                    }
                    $pass
                }
            }

            location /metrics/off {
                trove_verify off;
                trove_dedup off;

                location /metrics/off/in { $pass }
            }

            location /metrics/log {
                trove_verify log;
                $pass

                location /metrics/log/in { $pass }
            }

            location /metrics/again {
                trove_metrics;

                location /metrics/again/in { $pass }
            }
        }

        location /api {
            trove_api token-of-the-api;

            location /api/in {
                $pass

                location /api/in/in { $pass }
            }
        }

        location /fan {
            trove_fanout /target;

            location /fan/in { $pass }
        }

        location = /target { internal; $pass }

        # exempt, blocks and all

        location = /m_if {
            trove_metrics;
            if (\$http_x_if) {
                set \$nothing 1;
            }
        }

        location = /m_limit {
            trove_metrics;
            limit_except POST {
                allow all;
            }
        }

        location /a_if/ {
            trove_api token-of-the-api;
            if (\$http_x_if) {
                set \$nothing 1;
            }
        }

        location /a_limit/ {
            trove_api token-of-the-api;
            limit_except POST {
                allow all;
            }
        }

        # not exempt, because that is said, blocks and all

        location = /m_own {
            trove_metrics;
            trove_verify on;
            trove_dedup zone=events;

            if (\$http_x_if) {
                set \$nothing 1;
            }
        }

        location = /m_own_limit {
            trove_metrics;
            trove_verify on;

            limit_except GET {
                allow all;
            }
        }

        location /a_own/ {
            trove_api token-of-the-api;
            trove_verify on;

            if (\$http_x_if) {
                set \$nothing 1;
            }
        }

        # a block keeps what its location says

        location = /off {
            trove_verify off;
            trove_dedup off;
            if (\$http_x_if) {
                $pass
            }
            $pass
        }
    }

    # said for http only

    trove_verify on;
    trove_secret $secret;
    trove_dedup zone=events;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        server_name http.example;

        location /metrics {
            trove_metrics;
            location /metrics/in { $pass }
        }

        location /api {
            trove_api token-of-the-api;
            location /api/in { $pass }
        }
    }
EOF

my $port = $nginx->port;


# the verified, and those that are not

sub is_gate {
    my ($uri, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $p = delete $opt{port} // $port;
    my $body = event();

    $backend->forget;

    is(post_event($p, $uri, $body, %opt)->status, 400, "$uri: unsigned");
    is(post_event($p, $uri, $body, %opt, secret => 'x')->status, 400,
        "$uri: forged");
    is(get($p, $uri)->status, 405, "$uri: a GET");
    is($backend->count, 0, "$uri: none gets through");

    is(post_event($p, $uri, $body, %opt, secret => $secret)->status, 200,
        "$uri: genuine");
    is($backend->count, 1, "$uri: gets through");
    is($backend->header($backend->last, 'X-Dedup'), 'new', "$uri: new");
    like(post_event($p, $uri, $body, %opt, secret => $secret)->body,
        qr/^\{"status":"duplicate"/, "$uri: then a duplicate");
    is($backend->count, 1, "$uri: once");
}

is_gate($_) for qw{ /metrics/in /metrics/in/in /metrics/in/re /metrics/in/limit
    /metrics/in/if /metrics/again/in /api/in /api/in/in /fan/in };
is_gate('/metrics/in/if?if', headers => [ 'X-If' => 1 ]);
is_gate($_, port => $nginx->port(1)) for qw{ /metrics/in /api/in };

for my $uri (qw{ /metrics/off/in /off }) {

    for my $if ([], [ 'X-If' => 1 ]) {
        my $body = event();

        $backend->forget;
        is(post_event($port, $uri, $body, headers => $if)->status, 200,
            "$uri: off @$if") for 1 .. 2;
        is($backend->count, 2, "$uri: not deduplicated, @$if");
    }
}

for my $uri (qw{ /metrics/log /metrics/log/in }) {
    my $body = event();

    is(post_event($port, $uri, $body)->status, 200, "$uri: log");
    is($backend->header($backend->last, 'X-Verdict'), 'missing',
        "$uri: the verdict");
    is(post_event($port, $uri, $body, secret => $secret)->status, 200,
        "$uri: log, genuine");
    is($backend->header($backend->last, 'X-Dedup'), 'new',
        "$uri: deduplicated");
}


# who asks for metrics or manages signs nothing, in blocks, too

my @token = (Authorization => 'Bearer token-of-the-api');

for my $if ([], [ 'X-If' => 1 ]) {

    for my $uri (qw{ /metrics /metrics/again /m_if /m_limit }) {
        my $r = get($port, $uri, @$if);

        is($r->status, 200, "$uri: metrics, @$if");
        like($r->body, qr/^trove_verify_total/m, "$uri: indeed, @$if");
    }

    for my $uri (qw{ /api/v1/targets /a_if/v1/targets /a_limit/v1/targets }) {
        is(get($port, $uri, @$if, @token)->status, 200, "$uri: the API, @$if");
        is(get($port, $uri, @$if)->status, 401, "$uri: with a token, @$if");
    }

    is(request($port, 'POST', '/a_if/v1/targets/pause?target=x', body => '',
        headers => [ @$if, @token ])->status, 404, "the API, by POST, @$if");

    for my $uri (qw{ /m_own /m_own_limit /a_own/v1/targets }) {
        is(get($port, $uri, @$if, @token)->status, 405,
            "$uri: not exempt, a GET, @$if");
        is(post_event($port, $uri, event(), secret => 'x',
            headers => [ @$if, @token ])->status, 400,
            "$uri: not exempt, a forgery, @$if");
        is(post_event($port, $uri, event(), secret => $secret,
            headers => [ @$if, @token ])->status, 405,
            "$uri: an event there is in vain, @$if");
    }
}

# a block with a handler of its own, which was exempt with its location

for my $of ('trove_metrics', 'trove_api token-of-the-api') {

    for my $block ('if ($arg_x)', 'limit_except GET') {
        my ($code, $text) = nginx_t(<<"EOC");
    trove_spool %%TESTDIR%%/temp/trove.spool;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        trove_verify on;
        trove_secret $secret;

        location /in {
            $of;
            $block {
                $pass
            }
        }
    }
EOC

        isnt($code, 0, "$of, $block: refused");
        like($text, qr/in location "\/in" conflicts with another content handler/,
            "$of, $block: an error says why");
    }
}

done_testing();
