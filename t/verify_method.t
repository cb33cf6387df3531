#!/usr/bin/perl

# A signature says nothing of the method: an event that somebody sends again as
# a GET must not reach the application, whose 200 would make a duplicate of the
# genuine retry.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-method';

# TRACE and CONNECT, and methods in lower case, are refused by NGINX itself

my @methods = qw/ GET HEAD PUT DELETE PATCH OPTIONS PROPFIND SEARCH POSTS POS
    PO-ST /;

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF)->start;
    trove_dedup_zone zone=events:1m;
    trove_spool %%TESTDIR%%/temp/trove.spool;
    client_body_buffer_size 1k;
    proxy_set_header X-Id \$trove_event_id;
    proxy_set_header X-Verdict \$trove_verify;
    proxy_set_header X-Dedup \$trove_dedup;
    trove_secret $secret;

    map \$trove_event_id \$named {
        volatile;
        default \$trove_event_id;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location /gate {
            trove_verify on;
            trove_dedup zone=events;
            $pass
        }

        location = /status {
            trove_verify on;
            trove_verify_status 451;
            $pass
        }

        location /log {
            trove_verify log;
            trove_dedup zone=events;
            $pass
        }

        location /off {
            trove_verify off;
            trove_dedup zone=events;
            $pass
        }

        location = /off_key {
            trove_verify off;
            trove_dedup zone=events key=key:\$trove_event_id;
            $pass
        }

        location = /off_other_key {
            trove_verify off;
            trove_dedup zone=events key=\$http_x_key;
            $pass
        }

        # fan-out and spool

        location = /fan {
            trove_verify on;
            trove_dedup zone=events;
            trove_fanout /target;
        }

        location = /fan_off {
            trove_verify off;
            trove_dedup zone=events;
            trove_fanout /target;
        }

        location = /fan_log {
            trove_verify log;
            trove_dedup zone=events;
            trove_fanout /target;
        }

        location = /fan_not_deduplicated {
            trove_verify off;
            trove_fanout /target;
        }

        location = /spool {
            trove_verify on;
            trove_fanout_mode spool;
            trove_fanout /target;
        }

        location = /spool_off {
            trove_verify off;
            trove_fanout_mode spool;
            trove_fanout /target;
        }

        location = /spool_log {
            trove_verify log;
            trove_fanout_mode spool;
            trove_fanout /target;
        }

        location = /target {
            internal;
            trove_sign trove-whsec-own;
            $pass
        }

        # what makes a GET of it, or seems to

        location = /missing {
            trove_verify off;
            error_page 404 = /gate/missing;
            root %%TESTDIR%%/nowhere;
        }

        location = /missing_named {
            trove_verify off;
            error_page 404 = \@gate;
            root %%TESTDIR%%/nowhere;
        }

        location \@gate {
            trove_verify on;
            rewrite ^ /named break;
            $pass
        }

        location /accel/ {
            trove_verify off;
            $pass
        }

        location = /as_post {
            trove_verify on;
            proxy_method POST;
            $pass
        }

        location = /limit_except {
            trove_verify on;
            limit_except POST {
                deny all;
            }
            $pass
        }

        location = /limit_except_get {
            trove_verify on;
            limit_except GET HEAD {
                allow all;
            }
            $pass
        }

        location = /if {
            trove_verify on;
            if (\$request_method != POST) {
                return 403;
            }
            $pass
        }

        location = /preflight {
            trove_verify on;
            if (\$request_method = OPTIONS) {
                add_header Access-Control-Allow-Methods POST;
                return 204;
            }
            $pass
        }

        location = /page_off {
            trove_verify on;
            error_page 405 =200 \@page;
            $pass
        }

        location \@page {
            return 200 "\$trove_verify\\n";
        }

        location = /page_on {
            trove_verify on;
            error_page 405 = \@gate;
            $pass
        }

        location = /page_gate {
            trove_verify on;
            error_page 405 /gate;
            $pass
        }
    }
EOF

my $port = $nginx->port;


sub refused {
    my ($response, $name, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response->status, 405, "$name: 405");
    is($response->header('Allow'), 'POST', "$name: what is allowed");
    is($response->header('Content-Type'), 'application/json', "$name: as JSON");
    is($response->body, $opt{head} ? '' : '{"error":"method"}',
        "$name: the error");
}


# an event whose application is down, and then somebody else's copies of it

for my $uri (qw{ /gate /fan /fan_off /fan_log }) {
    my $id = new_id();
    my $body = event('file.written', id => $id);

    $backend->forget;
    $backend->on($id, status => 503, times => 1);

    like(post_event($port, $uri, $body, secret => $secret)->status,
        qr/^50[23]$/, "$uri: the application is down");
    is($backend->count, 1, "$uri: it has seen the event");

    $nginx->mark;

    for my $method (@methods) {
        my %head = (head => $method eq 'HEAD');

        for my $chunked (0, 50) {
            refused(post_event($port, $uri, $body, secret => $secret,
                method => $method, chunked => $chunked),
                "$uri, $method, chunks of $chunked", %head);
        }

        refused(request($port, $method, $uri), "$uri, $method alone", %head);
    }

    is($backend->count, 1, "$uri: none reaches the application");
    is(scalar(() = $nginx->log_lines(qr/\[info\] .* event refused, method: /)),
        3 * @methods, "$uri: an info each");
    is(scalar(() = $nginx->log_lines(qr/method: "PO-ST" is not POST/)), 3,
        "$uri: that names the method");
    $nginx->no_errors;

    is(post_event($port, $uri, $body, secret => $secret)->status, 200,
        "$uri: the genuine retry");
    is($backend->count, 2, "$uri: gets through");
    is($backend->last->{method}, 'POST', "$uri: as a POST");
}


# before the body is there, however it may come

for my $uri (qw{ /gate /fan /fan_off /spool /spool_off }) {

    for my $more ([ 'Content-Length' => 1000 ], [ 'Content-Length' => 5000 ],
        [ 'Transfer-Encoding' => 'chunked' ],
        [ 'Content-Length' => 1000, Expect => '100-continue' ])
    {
        my $conn = conn($port);

        $conn->send(build('PUT', $uri, headers => $more));
        refused($conn->response, "$uri: without the body, @$more");
        $conn->close;
    }
}


# the spool

for my $uri (qw{ /spool /spool_off /spool_log }) {
    my $body = event('file.written', id => my $id = new_id());

    $backend->forget;

    refused(post_event($port, $uri, $body, secret => $secret, method => $_),
        "$uri, $_", head => $_ eq 'HEAD') for @methods;

    is(post_event($port, $uri, $body, secret => $secret)->status, 202,
        "$uri: a POST is accepted");
    ok($backend->wait_count(1, $id), "$uri: and delivered");
    is($backend->count, 1, "$uri: as the only one");
}

refused(post_event($port, '/fan_not_deduplicated', event(), method => 'PUT'),
    'a fan-out without deduplication');


# the status is not that of other refusals

refused(get($port, '/status'), 'with trove_verify_status');
is(http($port, build('get', '/gate'))->status, 400,
    'lower case: by NGINX itself');
is(http($port, build('post', '/gate'))->status, 400, 'of a POST, too');
is(request($port, 'TRACE', '/gate')->status, 405, 'TRACE: by NGINX itself');

# 400 since NGINX 1.31.5, because of the request target

like(request($port, 'CONNECT', '/gate')->status, qr/^40[05]$/,
    'CONNECT: by NGINX itself');


# "log" lets it pass, as nothing that is known

for my $uri (qw{ /log /off /off_key }) {

    for my $method (qw/ GET PUT DELETE /) {
        my $body = event();

        $backend->forget;

        is(post_event($port, $uri, $body, secret => $secret,
            method => $method)->status, 200, "$uri, $method: passes");
        is($backend->header($backend->last, 'X-Id') // '', '',
            "$uri, $method: without an id");
        is($backend->header($backend->last, 'X-Dedup') // '', '',
            "$uri, $method: not deduplicated");
        is($backend->header($backend->last, 'X-Verdict') // '',
            $uri eq '/log' ? 'method' : '', "$uri, $method: the verdict");

        is(post_event($port, $uri, $body, secret => $secret)->status, 200,
            "$uri, $method: the event");
        is($backend->header($backend->last, 'X-Dedup'), 'new',
            "$uri, $method: is new");
        is(post_event($port, $uri, $body, secret => $secret)->body,
            '{"status":"duplicate","id":"' . ($body =~ /"id":"(.*?)"/)[0]
            . '"}', "$uri, $method: and then a duplicate");
    }
}

# a key that needs no event

my @key = (method => 'PUT', headers => [ 'X-Key' => new_id() ]);

like(post_event($port, '/off_other_key', 'x', @key)->body, qr/ok/,
    'a PUT by a key');
like(post_event($port, '/off_other_key', 'x', @key)->body, qr/duplicate/,
    'is deduplicated');

for my $opt ([ secret => $secret ], [ secret => 'x' ], []) {
    $backend->forget;
    refused(post_event($port, '/fan_log', event(), @$opt, method => 'GET'),
        "a fan-out with log, @$opt");
    is($backend->count, 0, "a fan-out with log, @$opt: no delivery");
}


# what the client has sent counts, and not what became of it

$backend->on('/accel/gate', headers => [ 'X-Accel-Redirect' => '/gate/a' ]);
$backend->on('/accel/named', headers => [ 'X-Accel-Redirect' => '@gate' ]);
$backend->on('/accel/fan', headers => [ 'X-Accel-Redirect' => '/fan_off' ]);

for my $uri (qw{ /missing_named /missing /accel/gate /accel/named
    /accel/fan })
{
    my $first = $uri =~ m{^/accel} ? 1 : 0;
    my $body = event();

    for my $method (qw/ GET HEAD /) {
        $backend->forget;
        refused(post_event($port, $uri, $body, secret => $secret,
            method => $method), "$uri, $method", head => $method eq 'HEAD');
        is($backend->count, $first, "$uri, $method: no further");
    }

    $backend->forget;
    is(post_event($port, $uri, $body, secret => $secret)->status, 200,
        "$uri, POST, which NGINX may have made a GET of");
    is($backend->count, $first + 1, "$uri, POST: goes further");
    next if $uri eq '/accel/fan';
    is(post_event($port, $uri, event(), secret => 'x')->status, 400,
        "$uri, POST: forged");
}

refused(post_event($port, '/as_post', event(), secret => $secret,
    method => 'GET'), 'proxy_method');


# other directives that look at the method

$backend->forget;
$nginx->mark;

is(get($port, '/limit_except')->status, 403, 'limit_except comes before');
refused(request($port, $_, '/limit_except_get', body => event()),
    "limit_except, $_") for qw/ GET PUT /;
is(get($port, '/if')->status, 403, 'an if comes before');

my $preflight = request($port, 'OPTIONS', '/preflight');
is($preflight->status, 204, 'a preflight');
is($preflight->header('Access-Control-Allow-Methods'), 'POST',
    'a preflight: answered by the configuration');
is($nginx->log_lines(qr/sent without verification from a location/), 0,
    'which is no answer to an event');
refused(request($port, 'OPTIONS', '/gate', headers => [
    Origin => 'http://a', 'Access-Control-Request-Method' => 'POST' ]),
    'a preflight that nobody has provided for');

my $page = get($port, '/page_off');
is($page->status . $page->body, "200method\n", 'an error_page of 405');
is($page->header('Allow'), 'POST', 'an error_page of 405: what is allowed');
refused(get($port, '/page_on'), 'to another gate');
is(get($port, '/page_gate')->status, 405, 'with its own status: no further');
is($backend->count, 0, 'and nothing reaches the application');
is(post_event($port, $_, event(), secret => $secret)->status, 200,
    "$_: a POST does") for qw{ /limit_except /limit_except_get /if /preflight
    /page_off /page_on /page_gate };
$nginx->no_errors(qr/access forbidden by rule/);


# HTTP/2

my $h2 = h2($nginx->port(1));

for my $uri (qw{ /gate /fan_off }) {
    my $id = new_id();
    my $body = event('file.written', id => $id);
    my @signed = ('x-trove-signature' => sign($secret, $body));

    $backend->on($id, status => 503, times => 1);
    like($h2->post($uri, $body, @signed)->status, qr/^50[23]$/,
        "HTTP/2, $uri: the application is down");
    $backend->forget;

    for my $method (grep { $_ ne 'PO-ST' } @methods) {
        my $stream = $h2->headers($method, $uri, headers => \@signed);

        $h2->data($stream, $body, end => 1);
        refused($h2->response($stream), "HTTP/2, $uri, $method",
            head => $method eq 'HEAD');

        $stream = $h2->headers($method, $uri, end => 1);
        refused($h2->response($stream), "HTTP/2, $uri, $method alone",
            head => $method eq 'HEAD');
    }

    my $stream = $h2->headers('post', $uri, headers => \@signed);
    $h2->data($stream, $body, end => 1);
    like($h2->response($stream)->status, qr/^(?:0|400)$/,
        "HTTP/2, $uri: lower case");
    $h2 = h2($nginx->port(1));

    is($backend->count, 0, "HTTP/2, $uri: none reaches the application");
    is($h2->post($uri, $body, @signed)->status, 200,
        "HTTP/2, $uri: the genuine retry");
    is($backend->count, 1, "HTTP/2, $uri: does");
}


# nothing is left of those whose body nobody has read

for my $n (1 .. 20) {
    my $conn = conn($port);

    $conn->send(build('PUT', '/gate', headers => [ 'Content-Length' => 10 ],
        body => 'x' x 10), event_request('/gate', event(), secret => $secret));
    is($conn->response->status, 405, "$n: refused");
    is($conn->response->status, 200, "$n: the next on the connection");
    $conn->close;
}

done_testing();
