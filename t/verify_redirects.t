#!/usr/bin/perl

# Internal redirects: what was verified stays so where the same secrets are in
# force, is verified again where others are, and what was not verified never
# gets through the back door.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-first';
my $other = 'trove-whsec-other';

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF);
    client_body_buffer_size 1k;
    client_max_body_size 100k;
    proxy_set_header X-Id \$trove_event_id;
    proxy_set_header X-Verdict \$trove_verify;

    map \$http_x_tenant \$tenant_secret {
        first  $secret;
        other  $other;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        trove_secret $secret;
        root %%TESTDIR%%/html;

        # X-Accel-Redirect: the application of /to/ names the location

        location /to/ {
            trove_verify on;
            $pass
        }

        location /unbuffered/to/ {
            trove_verify on;
            proxy_request_buffering off;
            $pass
        }

        location /log/to/ {
            trove_verify log;
            $pass
        }

        location /tolerant/to/ {
            trove_verify on;
            trove_tolerance off;
            $pass
        }

        location /off/to/ {
            $pass
        }

        location /off/unbuffered/to/ {
            proxy_request_buffering off;
            $pass
        }

        # where these lead

        location = /same {
            trove_verify on;
            $pass
        }

        location = /again {
            trove_verify on;
            trove_secret $secret;
            trove_secret more;
            $pass
        }

        location = /other {
            trove_verify on;
            trove_secret $other;
            $pass
        }

        location = /tenant {
            trove_verify on;
            trove_secret \$tenant_secret;
            $pass
        }

        location = /off {
            $pass
        }

        location \@same {
            trove_verify on;
            rewrite ^ /named break;
            $pass
        }

        location \@other {
            trove_verify on;
            trove_secret $other;
            $pass
        }

        # error_page, of what comes after the verification

        location /failed/ {
            trove_verify on;
            proxy_intercept_errors on;

            location /failed/same { error_page 500 /same; $pass }
            location /failed/named { error_page 500 = \@same; $pass }
            location /failed/other { error_page 500 /other; $pass }
            location /failed/again { error_page 500 = /again; $pass }
            location /failed/off { error_page 500 =202 /off; $pass }
        }

        location = /down {
            trove_verify on;
            error_page 502 = /same;
            proxy_pass http://127.0.0.1:%%PORT_9%%;
        }

        # and of what comes before it

        location /denied/ {
            deny all;
            trove_verify on;

            location /denied/same { error_page 403 /same; }
            location /denied/named { error_page 403 \@same; }
            location /denied/log {
                trove_verify log;
                error_page 403 /log;
            }
            location /denied/as { error_page 403 = /same; }
            location /denied/as_200 { error_page 403 =200 /same; }
            location /denied/as_named { error_page 403 = \@same; }
        }

        location = /log {
            trove_verify log;
            $pass
        }

        location /limited/ {
            client_max_body_size 3k;
            trove_verify on;

            location /limited/same { error_page 413 /same; $pass }
            location /limited/named { error_page 413 \@same; $pass }
            location /limited/as { error_page 413 = /same; $pass }
            location /limited/as_200 { error_page 413 =200 /same; $pass }
            location /limited/as_named { error_page 413 = \@same; $pass }
        }

        location /missing/ {
            location /missing/same { error_page 404 /same; }
            location /missing/as { error_page 404 = /same; }
        }

        location /refused/ {
            trove_verify on;

            location /refused/same { error_page 400 /same; $pass }
            location /refused/other { error_page 400 /other; $pass }
            location /refused/named { error_page 400 \@other; $pass }
            location /refused/as { error_page 400 = /other; $pass }
            location /refused/off { error_page 400 = /off; $pass }
            location /refused/cycle {
                $pass
                recursive_error_pages on;
                error_page 400 /refused/cycle;
            }
        }

        # try_files, rewrite, index

        location /try/ {
            trove_verify on;

            location /try/same { try_files /nowhere /same; }
            location /try/named { try_files /nowhere \@same; }
            location /try/other { try_files /nowhere /other; }
            location /try/none { try_files /nowhere =404; }
        }

        location /rewrite/ {
            trove_verify on;

            location /rewrite/same { rewrite ^ /same last; }
            location /rewrite/other { rewrite ^ /other last; }
            location /rewrite/off { rewrite ^ /off last; }
            location /rewrite/break {
                rewrite ^ /broken break;
                $pass
            }
        }

        location /dir/ {
            index index;
        }

        location = /dir/index {
            trove_verify on;
            $pass
        }

        location = /status {
            stub_status;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        trove_secret $secret;
        error_page 400 /verified;

        location = /verified {
            trove_verify on;
            $pass
        }
    }
EOF

mkdir $nginx->dir . "/$_" for qw{ html html/dir };
$nginx->write('html/dir/index', '');
$nginx->start;

for my $uri (qw{ /to /unbuffered/to /tolerant/to /log/to /off/to
    /off/unbuffered/to })
{
    $backend->on("$uri/$_", headers => [ 'X-Accel-Redirect' => "/$_" ])
        for qw/ same again other tenant off /;
    $backend->on("$uri/named",
        headers => [ 'X-Accel-Redirect' => '@same' ]);
}

$backend->on("/failed/$_", status => 500) for qw/ same named other again off /;

# small enough for memory, and not

my $small = event('file.written', id => 'evt-small');
my $spilled = event('file.written', id => 'evt-spilled',
    data => { pad => 'x' x 4000 });


# the status, and which locations have called the application

sub outcome {
    my ($uri, $body, %opt) = @_;

    $backend->forget;

    my $response = post_event($nginx->port, $uri, $body, %opt);
    my @called = map { $_->{uri} } $backend->requests;

    return join ' ', $response->status, @called;
}


sub is_outcome {
    my ($uri, $expected, $unsigned) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    for my $body ($small, $spilled) {
        my $name = $uri . ($body eq $small ? '' : ', spilled');

        is(outcome($uri, $body, secret => $secret), $expected, $name);
        is(outcome($uri, $body, secret => $secret, chunked => 300), $expected,
            "$name, chunked");

        if (defined $unsigned) {
            is(outcome($uri, $body), $unsigned, "$name, unsigned");
            is(outcome($uri, $body, secret => 'x'), $unsigned, "$name, forged");
        }
    }
}


# after the verification, by X-Accel-Redirect

for my $first (qw{ /to /unbuffered/to }) {

    is_outcome("$first/same", "200 $first/same /same", '400');
    is($backend->count, 0, "$first/same: nothing of what is not signed");

    outcome("$first/same", $small, secret => $secret);
    is($backend->header($backend->last, 'X-Id'), 'evt-small',
        "$first/same: the event is known");
    is($backend->header($backend->last, 'X-Verdict'), 'ok',
        "$first/same: and verified");

    is_outcome("$first/named", "200 $first/named /named", '400');
    is_outcome("$first/off", "200 $first/off /off", '400');
    is_outcome("$first/again", "200 $first/again /again", '400');
    is_outcome("$first/other", "400 $first/other", '400');
    is_outcome("$first/tenant", "400 $first/tenant", '400');
}

for my $body ($small, $spilled) {
    is(outcome('/to/tenant', $body, secret => $secret,
        headers => [ 'X-Tenant' => 'first' ]), '200 /to/tenant /tenant',
        'the secret of a variable is tried');
    is(outcome('/to/tenant', $body, secret => $secret,
        headers => [ 'X-Tenant' => 'other' ]), '400 /to/tenant',
        'and is another for another');
}

is(outcome('/tolerant/to/same', $small, secret => $secret, t => time() - 3600),
    '400 /tolerant/to/same', 'what is fresh enough here is stale there');
is(outcome('/tolerant/to/off', $small, secret => $secret, t => time() - 3600),
    '200 /tolerant/to/off /off', 'and not where nobody asks');


# from where nobody, or nobody in earnest, has verified

for my $first (qw{ /log/to /off/to }) {
    is_outcome("$first/same", "200 $first/same /same", "400 $first/same");
    is_outcome("$first/named", "200 $first/named /named",
        "400 $first/named");
    is_outcome("$first/again", "200 $first/again /again",
        "400 $first/again");
    is_outcome("$first/other", "400 $first/other", "400 $first/other");
}

# what was sent on while it came cannot be verified any more

for my $body ($small, $spilled) {
    like(outcome('/off/unbuffered/to/same', $body, secret => 'x'), qr/^[45]/,
        'read unbuffered, forged');
    unlike(outcome('/off/unbuffered/to/other', $body, secret => $secret),
        qr{ /other}, 'read unbuffered, of other secrets');
}


# after the verification, by error_page

is_outcome('/failed/same', '500 /failed/same /same', '400');
is_outcome('/failed/named', '200 /failed/named /named', '400');
is_outcome('/failed/again', '200 /failed/again /again', '400');
is_outcome('/failed/other', '400 /failed/other', '400');
is_outcome('/failed/off', '202 /failed/off /off', '400');
is_outcome('/down', '200 /same', '400');


# without it: the status that is there, and no further

is_outcome('/denied/same', '403', '403');
is_outcome('/denied/named', '403', '403');
is_outcome('/missing/same', '404', '404');

# where the user says that the location makes the status, it verifies

is_outcome('/denied/as', '200 /same', '400');
is_outcome('/denied/as_200', '200 /same', '400');
is_outcome('/denied/as_named', '200 /named', '400');
is_outcome('/missing/as', '200 /same', '400');

# "log" never refuses

is_outcome('/denied/log', '403 /log', '403 /log');

# a body that NGINX itself finds too large has been thrown away

for my $chunked (0, 300, 6000) {

    for my $opt ([ secret => $secret ], [ secret => 'x' ], []) {

        for my $uri (qw{ /limited/same /limited/named }) {
            is(outcome($uri, $spilled, chunked => $chunked, @$opt),
                $chunked && @$opt == 0 ? '400' : '413',
                "$uri, chunks of $chunked, @$opt: no further");
        }

        for my $uri (qw{ /limited/as /limited/as_200 /limited/as_named }) {
            is(outcome($uri, $spilled, chunked => $chunked, @$opt), '400',
                "$uri, chunks of $chunked, @$opt: no further");
        }
    }
}

# of our own

is_outcome('/refused/same', '200 /refused/same', '400');
is_outcome('/refused/other', '200 /refused/other', '400');
is_outcome('/refused/named', '200 /refused/named', '400');
is_outcome('/refused/as', '200 /refused/as', '400');
is(outcome('/refused/as', $small, secret => $other), '200 /other',
    'a second place for the events of another sender');
is(outcome('/refused/as', $spilled, secret => $other), '200 /other',
    'spilled ones, too');
is(outcome('/refused/off', $small), '200 /off', 'if the user says so');

is(outcome('/refused/cycle', $small), '500', 'NGINX ends a cycle');

# of NGINX's own, before there is a request that one could verify

for my $bytes ("GET / HTTP/1.1\x0d\x0aHost: a/b\x0d\x0a\x0d\x0a",
    "GET / HTTP/1.1\x0d\x0a\x0d\x0a", "GET  /\x01 X\x0d\x0a\x0d\x0a",
    "POST /verified HTTP/1.1\x0d\x0aHost: a\x0d\x0aTransfer-Encoding: x"
        . "\x0d\x0aContent-Length: -1\x0d\x0a\x0d\x0a")
{
    $backend->forget;
    is(http($nginx->port(1), $bytes)->status, 400, 'what is no request');
    is($backend->count, 0, 'goes no further');
}


# try_files, rewrite, index

is_outcome('/try/same', '200 /same', '400');
is_outcome('/try/named', '200 /named', '400');
is_outcome('/try/other', '400', '400');
is_outcome('/try/none', '404', '400');

is_outcome('/rewrite/same', '200 /same', '400');
is_outcome('/rewrite/other', '400', '400');
is(outcome('/rewrite/other', $small, secret => $other), '200 /other',
    'the last location decides');
is_outcome('/rewrite/off', '200 /off', '200 /off');
is_outcome('/rewrite/break', '200 /broken', '400');

is_outcome('/dir/', '200 /dir/index', '400');


ok(wait_until { stub_status($nginx->port)->{active} == 1 }, 'nothing is left');
is(scalar(() = glob $nginx->dir . '/temp/client_body/*'), 0,
    'nor a temporary file');
is($nginx->log_lines(qr/\[crit\]/), 0, 'nothing was broken');

done_testing();
