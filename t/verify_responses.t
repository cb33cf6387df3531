#!/usr/bin/perl

# What a refused sender gets, what "log" only says, and what is logged.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-answers';

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my @codes = (400, 401, 403, 404, 405, 409, 410, 413, 422, 429, 500, 503, 599);
my $coded = join '', map { "location = /status_$_ {
    trove_verify on; trove_verify_status $_; $pass }\n" } @codes;
my $nginx = nginx(<<EOF);
    map \$http_x_tenant \$tenant_secret {
        known  $secret;
    }

    log_format verdict '\$uri \$status [\$trove_verify] \$trove_event_id';

    server {
        listen 127.0.0.1:%%PORT_0%%;
        access_log %%TESTDIR%%/logs/verdict.log verdict;
        root %%TESTDIR%%/html;
        trove_secret $secret;
        trove_tolerance 30s;

        location = /on {
            trove_verify on;
            $pass
        }

        location = /log {
            trove_verify log;
            proxy_set_header X-Verdict \$trove_verify;
            $pass
        }

        location = /off {
            trove_verify off;
            proxy_set_header X-Verdict "[\$trove_verify]";
            $pass
        }

        location = /tolerant {
            trove_verify on;
            trove_tolerance off;
            $pass
        }

        location = /tenant {
            trove_verify on;
            trove_secret \$tenant_secret;
            $pass
        }

        location = /tenant_log {
            trove_verify log;
            trove_secret \$tenant_secret;
            proxy_set_header X-Verdict \$trove_verify;
            $pass
        }

        $coded

        location /page/ {
            trove_verify on;
            trove_verify_status 403;
            default_type text/plain;

            location = /page/file { error_page 403 /refused.html; $pass }
            location = /page/as { error_page 403 =499 /refused.html; $pass }
            location = /page/ok { error_page 403 =200 /refused.html; $pass }
            location = /page/named { error_page 403 \@refused; $pass }
            location = /page/away { error_page 403 =302 http://a/b; $pass }
            location = /page/none { error_page 403 /nowhere; $pass }
            location = /page/another { error_page 404 /refused.html; $pass }
        }

        location = /refused.html {
        }

        location \@refused {
            return 200 "\$trove_verify";
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        trove_secret $secret;
        trove_verify on;
        trove_verify_status 401;
        trove_tolerance 1d;

        location / {
            $pass
        }

        location /inner {
            trove_verify_status 402;
            trove_tolerance 1s;

            location /inner/most {
                $pass
            }
        }
    }
EOF

mkdir $nginx->dir . '/html';
$nginx->write('html/refused.html', "sorry\n");
$nginx->start;

my $port = $nginx->port;
my $body = event(undef, id => 'evt-answers');
my $now = time();

# of each verdict: the body, the header, how it is logged

my %case = (
    missing => [ $body, undef, 'info', qr/no X-Trove-Signature/ ],
    malformed => [ $body, 'x', 'error',
        qr/X-Trove-Signature is not "t=SECONDS,v1=HEX"/ ],
    stale => [ $body, sign($secret, $body, $now - 1000), 'error',
        qr/signed 100\d s ago, "trove_tolerance" is 30 s; increase it if/ ],
    mismatch => [ $body, sign('x', $body, $now), 'error',
        qr/the signature does not match the body with any "trove_secret"/ ],
    bad_json => [ "$body}", sign($secret, "$body}", $now), 'error',
        qr/the signature is valid, but the event is not: syntax error/ ],
    bad_event => [ '[]', sign($secret, '[]', $now), 'error',
        qr/the signature is valid, but the event is not: not an object/ ],
    no_secret => [ $body, sign($secret, $body, $now), 'error',
        qr/every "trove_secret" is empty for this request/ ],
);


sub send_case {
    my ($uri, $verdict, %opt) = @_;

    my ($body, $header) = @{ $case{$verdict} };

    return request($opt{port} // $port, $opt{method} // 'POST', $uri,
        body => $body, chunked => $opt{chunked},
        headers => [ defined $header ? ('X-Trove-Signature' => $header) : () ]);
}


for my $verdict (sort keys %case) {
    my ($sent, undef, $level, $regex) = @{ $case{$verdict} };
    my $tenant = $verdict eq 'no_secret';

    # refused

    $backend->forget;
    $nginx->mark;

    my $response = send_case($tenant ? '/tenant' : '/on', $verdict);

    is($response->status, 400, "$verdict: refused");
    is($response->body, qq({"error":"$verdict"}), "$verdict: says why");
    is($response->header('Content-Type'), 'application/json',
        "$verdict: in JSON");
    is($response->header('Content-Length'), length $response->body,
        "$verdict: of a known length");
    is($response->header('Connection'), 'keep-alive',
        "$verdict: the connection stays");
    is($backend->count, 0, "$verdict: goes no further");

    my @lines = $nginx->log_lines(qr/trove:/);

    is(@lines, 1, "$verdict: one line is logged");
    like($lines[0], qr/\[$level\] .*trove: event refused, $verdict: $regex/,
        "$verdict: the reason, as $level");
    like($lines[0], qr/request: "POST \/\w+ HTTP/, "$verdict: and where");

    # HEAD has no body

    $response = request($port, 'HEAD', '/on');
    is($response->status . $response->body, '405', 'HEAD');
    ok($response->header('Content-Length'), 'HEAD: but its length');

    # passes

    $nginx->mark;

    $response = send_case($tenant ? '/tenant_log' : '/log', $verdict);

    is($response->status, 200, "$verdict: log lets it pass");
    is($backend->count, 1, "$verdict: once");
    is($backend->last->{body}, $sent, "$verdict: byte for byte");
    is($backend->header($backend->last, 'X-Verdict'), $verdict,
        "$verdict: and the verdict is known");
    is($nginx->log_lines(qr/\[$level\] .*trove: .*$verdict: $regex/), 1,
        "$verdict: and logged");

    is(send_case($tenant ? '/tenant_log' : '/log', $verdict, chunked => 40)
        ->status, 200, "$verdict: chunked, too");
    is($backend->last->{body}, $sent, "$verdict: as a whole");
}

post_event($port, '/log', $body, secret => $secret);
is($backend->header($backend->last, 'X-Verdict'), 'ok', 'ok is a verdict, too');

$nginx->mark;
post_event($port, '/off', $body);
is($backend->header($backend->last, 'X-Verdict'), '[]', 'off has none');
is($nginx->log_lines(qr/trove/), 0, 'and says nothing');


# from the future

$nginx->mark;
is(post_event($port, '/on', $body, secret => $secret, t => time() + 1000)
    ->body, '{"error":"stale"}', 'signed ahead of time');
ok($nginx->log_lines(
    qr/signed (?:1000|999) s in the future, "trove_tolerance" is 30 s; check the clock/),
    'is said so');
is(post_event($port, '/tolerant', $body, secret => $secret, t => $_)->status,
    200, "without a tolerance, at $_") for 0, 1, $now + 1e6, 999999999999;
is(post_event($port, '/tenant', $body, secret => $secret,
    headers => [ 'X-Tenant' => 'known' ])->status, 200,
    'with a tenant there is a secret');


# another status

for my $code (@codes) {

    for my $verdict (qw/ missing mismatch bad_event /) {
        my $response = send_case("/status_$code", $verdict);

        is($response->status, $code, "$verdict: $code");
        is($response->body, qq({"error":"$verdict"}), "$verdict: $code, why");
    }

    is(post_event($port, "/status_$code", $body, secret => $secret)->status,
        200, "$code: not for good ones");
}

is(send_case('/', 'missing', port => $nginx->port(1))->status, 401,
    'that of the server');
is(send_case('/inner/most', 'missing', port => $nginx->port(1))->status, 402,
    'that of the outer location');
is(post_event($nginx->port(1), '/', $body, secret => $secret, t => $now - 3600)
    ->status, 200, 'the tolerance of the server');
is(post_event($nginx->port(1), '/inner/most', $body, secret => $secret,
    t => $now - 60)->status, 402, 'the tolerance of the outer location');


# the user's own page

for my $verdict (qw/ missing mismatch bad_json /) {

    for my $case ([ file => 403, "sorry\n" ], [ as => 499, "sorry\n" ],
        [ ok => 200, "sorry\n" ], [ named => 403, $verdict ],
        [ away => 302, qr/302 Found/ ], [ none => 404, qr/404 Not Found/ ],
        [ another => 403, qq({"error":"$verdict"}) ])
    {
        my ($uri, $status, $text) = @$case;

        $backend->forget;

        my $response = send_case("/page/$uri", $verdict);

        is($response->status, $status, "$verdict, error_page $uri: status");
        ref $text ? like($response->body, $text, "$verdict, $uri: its page")
            : is($response->body, $text, "$verdict, $uri: its page");
        is($backend->count, 0, "$verdict, $uri: goes no further");
    }
}

is(send_case('/page/away', 'missing')->header('Location'), 'http://a/b',
    'a redirect');


# the access log

my $log = $nginx->read_log('logs/verdict.log');

for my $verdict (sort keys %case) {
    my ($prefix, $passed) = $verdict eq 'no_secret'
        ? ('/tenant', '/tenant_log') : ('/on', '/log');

    like($log, qr{^$prefix 400 \[$verdict\] -$}m, "$verdict: in the log");
    like($log, qr{^$passed 200 \[$verdict\] -$}m,
        "$verdict: in the log, passed");
}

like($log, qr{^/log 200 \[ok\] evt-answers$}m, 'the event of a good one');
like($log, qr{^/off 200 \[-\] -$}m, 'without verification neither');
is($nginx->log_lines(qr/was read before/), 0, 'all of it without a warning');

done_testing();
