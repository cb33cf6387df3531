#!/usr/bin/perl

# Requests that go on elsewhere: internal redirects, error pages, subrequests.
# A request does not get in its own way, and what decides is how it ends.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-redirect';
my $backend = backend();
my $fallback = backend(body => "fallback\n");

my $nginx = nginx(<<'EOF')->start;
    log_format dedup '$request_uri $uri [$trove_dedup] $status';
    access_log %%TESTDIR%%/logs/access.log dedup;

    trove_dedup_zone zone=events:1m;

    trove_verify on;
    trove_secret trove-whsec-redirect;
    proxy_intercept_errors on;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%TESTDIR%%/html;

        location / {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        # X-Accel-Redirect to these

        location /accel/plain {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location /accel/dedup {
            internal;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location /accel/off {
            internal;
            trove_dedup off;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location /accel/file {
            internal;
            alias %%TESTDIR%%/html/file;
        }

        location /key {
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /accel/key {
            internal;
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        # error_page to a fallback

        location = /page/uri {
            error_page 500 502 504 =200 /fallback/uri;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /page/named {
            error_page 500 502 504 = @named;
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /page/named-dedup {
            error_page 500 502 504 = @named_dedup;
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /page/keeps {
            error_page 500 /fallback/uri;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /page/silent {
            error_page 500 = @silent;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /fallback/ {
            internal;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location @named {
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location @named_dedup {
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location @silent {
            return 444;
        }

        # rewritten before, and again after

        location /rewrite/ {
            rewrite ^/rewrite(.*) /target$1 last;
        }

        location /target {
            trove_dedup zone=events;
            rewrite ^ /changed break;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /try {
            trove_dedup zone=events;
            try_files $uri /target;
        }

        # beside it

        location /mirrored {
            mirror /copy;
            mirror /copy;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /copy {
            internal;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location /auth {
            auth_request /authority;
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /authority {
            internal;
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        # error pages of the user for our own answers

        location = /own {
            error_page 409 503 /own.txt;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /own.txt {
            internal;
            trove_verify off;
        }

        location = /own-200 {
            error_page 409 =202 /own.txt;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /own-away {
            error_page 409 =307 http://example.com/elsewhere;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /own-named {
            error_page 409 @own;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location @own {
            return 409 "own\n";
        }

        location = /own-other {
            error_page 404 503 /own.txt;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    # all inherited: the error page is in a deduplicated location, too

    server {
        listen 127.0.0.1:%%PORT_1%%;
        root %%TESTDIR%%/html;

        trove_dedup zone=events key=all:$trove_event_id;
        error_page 409 500 /own.txt;

        location / {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /own.txt {
        }
    }
EOF

mkdir $nginx->dir . '/html' or die;
$nginx->write('html/own.txt', "own\n");
$nginx->write('html/file', "file\n");

sub deliver {
    my ($uri, $body, $port) = @_;

    return post_event($nginx->port($port), $uri, $body, secret => $secret);
}

sub start {
    my ($uri, $body, $port) = @_;

    my $conn = conn($nginx->port($port));

    $conn->send(event_request($uri, $body, secret => $secret));

    return $conn;
}

# the status, and what its body says, if that is not NGINX's own page

sub outcome {
    my ($response) = @_;

    return 'none' unless $response;

    my ($status, $body) = ($response->status, $response->body);
    my $json = $response->json || {};

    return $status if $body eq '' || $body =~ /<html>/;
    return "$status " . ($json->{status} || $json->{error} || $body =~ s/\n//r);
}

my $new = '200 {"ok":true}';
my $dup = '200 duplicate';
my $inflight = '409 inflight';


# Sends an event of which the application is to answer by %$rule, the first
# time, and then again what should have the outcomes @then.  The first sender
# keeps its connection open.

sub check {
    my ($name, $uri, $rule, $expect, @then) = @_;

    my $port = $uri =~ s/^(\d)// ? $1 : 0;
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, %$rule, times => 1);

    my $conn = start($uri, $body, $port);

    is(outcome($conn->response), $expect, "$name: $expect");
    is_deeply([ map { outcome(deliver($uri, $body, $port)) } @then ], \@then,
        "$name, $expect, then @then");
    $conn->close;

    return $id;
}

# while the application takes its time: the second one's outcome, and response

sub meanwhile {
    my ($uri, $port) = @_;

    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id);

    my $conn = start($uri, $body, $port);
    $backend->wait_count(1, $id);

    my $response = deliver($uri, $body, $port);

    $backend->open_gate($id);
    is(outcome($conn->response), $new, "$uri: the first is not disturbed");
    is(outcome(deliver($uri, $body, $port)), $dup, "$uri: then a duplicate");
    $conn->close;

    return (outcome($response), $response);
}


# X-Accel-Redirect: what it leads to decides

for my $target (qw/ plain dedup off /) {
    my @to = (headers => [ 'X-Accel-Redirect' => "/accel/$target" ]);

    check("to $target", '/', { @to }, '200 fallback', $dup, $dup);

    $fallback->on("/accel/$target", status => 202);
    check("to $target", '/', { @to }, '202 fallback', $dup);

    $fallback->on("/accel/$target", status => 404);
    check("to $target", '/', { @to }, '404 fallback', $new, $dup);

    $fallback->on("/accel/$target", drop => 'before');
    check("to $target", '/', { @to }, 502, $new, $dup);

    $fallback->on("/accel/$target");
}

check('to a file', '/', { headers => [ 'X-Accel-Redirect' => '/accel/file' ] },
    '200 file', $dup);
check('to a file that is not there', '/',
    { headers => [ 'X-Accel-Redirect' => '/accel/file/no' ] }, 404, $new, $dup);
check('to a location of the same key', '/key',
    { headers => [ 'X-Accel-Redirect' => '/accel/key' ] }, '200 fallback',
    $dup);
check('to itself', '/key', { headers => [ 'X-Accel-Redirect' => '/key' ] },
    $new, $dup);
check('to itself, without a key', '/',
    { headers => [ 'X-Accel-Redirect' => '/again' ] }, $new, $dup);

# it holds all its keys as long as it lives

{
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, headers => [ 'X-Accel-Redirect' => '/accel/key' ],
        times => 1);
    $fallback->on($id, gate => $id);

    my $conn = start('/', $body);

    ok($fallback->wait_count(1, $id), 'redirected, and slow there');
    is(outcome(deliver('/', $body)), $inflight, 'the key of the first place');
    is(outcome(deliver('/key', $body)), $inflight, 'that of the second');

    $fallback->open_gate($id);
    is(outcome($conn->response), '200 fallback', 'the answer');
    is(outcome(deliver('/', $body)), $dup, 'the first one is done');
    is(outcome(deliver('/key', $body)), $dup, 'and so is the second');
    $conn->close;

    # and gives them all back

    $body = event('file.written', id => $id = new_id());

    $backend->on($id, headers => [ 'X-Accel-Redirect' => '/accel/key' ],
        times => 1);
    $fallback->on($id, status => 500, times => 1);

    is(outcome(deliver('/', $body)), '500 fallback', 'or it fails');
    is(outcome(deliver('/key', $body)), $new, 'the second one is free');
    is(outcome(deliver('/', $body)), $new, 'and so is the first');
}


# error_page to a fallback: what it answers decides

for my $uri (qw{ /page/uri /page/named /page/named-dedup }) {

    for my $rule ({ status => 500 }, { drop => 'before' }) {
        check($uri, $uri, $rule, '200 fallback', $dup);

        next if $uri eq '/page/uri';

        $fallback->on($_, status => 500, times => 1)
            for $uri, '/fallback/uri';
        check($uri, $uri, $rule, '500 fallback', $new, $dup);
    }

    check($uri, $uri, {}, $new, $dup);
}

check('a fallback that keeps the status', '/page/keeps', { status => 500 },
    '500 fallback', $new, $dup);
check('no answer at all', '/page/silent', { status => 500 }, 'none', $new,
    $dup);


# rewritten

check('rewritten', '/rewrite/a', {}, $new, $dup);
check('rewritten', '/rewrite/a', { status => 500 }, '500 {"ok":true}', $new,
    $dup);
check('try_files', '/try/a', {}, $new, $dup);

{
    my $body = event();

    is(outcome(deliver('/rewrite/b', $body)), $new, 'rewritten');
    is(outcome(deliver('/target/b', $body)), $dup, 'is of where it ends');
}


# subrequests are not deduplicated, nor in the way

check('mirror', '/mirrored', {}, $new, $dup);
check('mirror', '/mirrored', { status => 500 }, '500 {"ok":true}', $new, $dup);
check('auth_request', '/auth', {}, $new, $dup);
check('auth_request', '/auth', { status => 500 }, '500 {"ok":true}', $new,
    $dup);

{
    my $body = event('file.written', id => new_id());

    $fallback->on('/authority', status => 403);
    is(outcome(deliver('/auth', $body)), 403, 'forbidden: claims nothing');
    $fallback->on('/authority');
    is(outcome(deliver('/auth', $body)), $new, 'allowed: passes');
}


# the user's own page instead of ours

my ($outcome, $response) = meanwhile('/own');

is($outcome, '409 own', 'error_page 409');
like($response->header('Retry-After'), qr/^[1-9]\d*$/, 'with our Retry-After');
isnt($response->header('Content-Type'), 'application/json', 'not as JSON');

($outcome, $response) = meanwhile('/own-200');
is($outcome, '202 own', 'with another status');

($outcome, $response) = meanwhile('/own-away');
is($outcome, 307, 'somewhere else');
is($response->header('Location'), 'http://example.com/elsewhere', 'namely');

($outcome, $response) = meanwhile('/own-named');
is($outcome, '409 own', 'a named location');

($outcome, $response) = meanwhile('/own-other');
is($outcome, $inflight, 'not where the page is for something else');

($outcome, $response) = meanwhile('/anything', 1);
is($outcome, '409 own', 'where all is inherited, by the page as well');
like($response->header('Retry-After'), qr/^[1-9]\d*$/, 'with our Retry-After');

check('all is inherited', '1/anything', { status => 500 }, '500 own', $new,
    $dup);


# each request is logged with what it was in the end

my @log = grep { m{^/(?:key|own) } } split /\n/, $nginx->access_log;
my %seen = map { $_ => 1 } @log;

for my $line ('/key /accel/key [new] 200', '/key /key [duplicate] 200',
    '/own /own.txt [inflight] 409', '/own /own [new] 200')
{
    ok($seen{$line}, "logged: $line");
}


$nginx->no_errors(qr/upstream|open\(\)|access forbidden/);

done_testing();
