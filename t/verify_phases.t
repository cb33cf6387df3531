#!/usr/bin/perl

# The verification among the other phases: after those that refuse a client
# without its body, before mirror and try_files, and not to be gone round.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-phases';

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF);
    limit_req_zone \$server_port zone=none:1m rate=1r/m;
    limit_req_zone \$server_port zone=some:1m rate=20r/s;
    limit_conn_zone \$server_port zone=one:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%TESTDIR%%/html;
        trove_secret $secret;
        trove_verify on;

        location = /deny {
            deny all;
            $pass
        }

        location = /basic {
            auth_basic closed;
            auth_basic_user_file %%TESTDIR%%/users;
            $pass
        }

        location = /limit_req {
            limit_req zone=none;
            $pass
        }

        location = /delayed {
            limit_req zone=some burst=10;
            $pass
        }

        location = /limit_conn {
            limit_conn one 1;
            $pass
        }

        location = /allowed {
            auth_request /auth/yes;
            $pass
        }

        location = /forbidden {
            auth_request /auth/no;
            $pass
        }

        location /auth/ {
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            $pass
        }

        location = /local {
            auth_request /auth_local;
            $pass
        }

        location = /auth_local {
            internal;
            return 204;
        }

        location = /any {
            satisfy any;
            allow 127.0.0.1;
            deny all;
            auth_basic closed;
            auth_basic_user_file %%TESTDIR%%/users;
            $pass
        }

        location = /any_auth {
            satisfy any;
            deny all;
            auth_request /auth/yes;
            $pass
        }

        location = /mirrored {
            mirror /mirror;
            $pass
        }

        location = /mirrored_head {
            mirror /mirror;
            mirror_request_body off;
            $pass
        }

        location = /mirror {
            internal;
            $pass
        }

        location = /if {
            if (\$http_x_if) {
                $pass
            }
            proxy_pass http://127.0.0.1:%%BACKEND%%/other;
        }

        location = /if_set {
            set \$where /if_set;
            if (\$http_x_if) {
                set \$where /if_set_if;
            }
            proxy_pass http://127.0.0.1:%%BACKEND%%\$where;
        }

        location = /limit_except {
            limit_except GET {
                $pass
            }
            proxy_pass http://127.0.0.1:%%BACKEND%%/other;
        }

        location = /limit_except_deny {
            limit_except GET {
                deny all;
            }
            $pass
        }

        location = /page {
            ssi on;
            ssi_types text/html;
            $pass
        }

        location = /included {
            $pass
        }

        location = /files {
            try_files /html /nowhere =404;
        }

        location = /return_200 { return 200 "ok"; }
        location = /return_204 { return 204; }
        location = /return_301 { return 301 /; }
        location = /return_403 { return 403; }

        location = /return_if {
            if (\$http_x_if) {
                return 200 "ok";
            }
            $pass
        }

        location = /error_204 {
            deny all;
            error_page 403 =204 /return_204;
        }

        location = /error_200 {
            deny all;
            error_page 403 =200 /html;
        }

        location = /html {
            try_files /html =404;
        }

        location = /log_200 {
            trove_verify log;
            return 200 "ok";
        }

        location = /off_200 {
            trove_verify off;
            return 200 "ok";
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        trove_secret $secret;

        # a second name for each, where more is in force

        location / {
            trove_verify on;
            $pass
        }

        location = /status {
            stub_status;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        trove_secret $secret;
        trove_verify on;

        if (\$http_x_if) {
            return 403;
        }

        location / {
            $pass
        }
    }
EOF

mkdir $nginx->dir . '/html';
$nginx->write('html/html', "a file\n");
$nginx->write('users', "me:{PLAIN}secret\n");
$nginx->start;

my $port = $nginx->port;
my $body = event();

$backend->on('/auth/no', status => 403);
$backend->on('/page', headers => [ 'Content-Type' => 'text/html' ],
    body => 'page, <!--# include virtual="/included" -->');
$backend->on('/included', body => 'included');


sub outcome {
    my ($uri, %opt) = @_;

    $backend->forget;

    my $response = post_event($opt{port} // $port, $uri, $opt{body} // $body,
        %opt);

    # a mirror is not waited for by the answer

    $backend->wait_count($opt{calls}) if $opt{calls};

    my @called = sort map { $_->{uri} } $backend->requests;

    return join ' ', $response->status, @called;
}


sub is_outcome {
    my ($uri, $signed, $unsigned, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $name = "$uri @{ $opt{headers} || [] }";
    my $calls = () = $signed =~ / /g;

    for my $chunked (0, 100) {
        is(outcome($uri, %opt, secret => $secret, chunked => $chunked,
            calls => $calls), $signed, "$name, chunks of $chunked");
    }

    is(outcome($uri, %opt), $unsigned, "$name, unsigned");
    is(outcome($uri, %opt, secret => 'x'), $unsigned, "$name, forged");
}


# those that refuse do so before there is a body, and do not verify

outcome('/limit_req', secret => $secret);

my $busy = conn($port);
$backend->on('/limit_conn', gate => 'conn');
$busy->send(event_request('/limit_conn', $body, secret => $secret));
ok($backend->wait_count(1, '/limit_conn'), 'one is there');

$nginx->mark;

for my $case ([ deny => 403 ], [ basic => 401 ], [ limit_req => 503 ],
    [ limit_conn => 503 ], [ forbidden => 403 ], [ limit_except_deny => 403 ])
{
    my ($name, $status) = @$case;

    for my $opt ([ secret => $secret ], [ secret => 'x' ], []) {
        my $head = event_request("/$name", $body, @$opt)
            =~ s/(\x0d\x0a\x0d\x0a).*/$1/sr;
        my $conn = conn($port);

        $conn->send($head);
        my $response = $conn->response;
        is($response && $response->status, $status,
            "$name: $status without a body, @$opt");
        unlike($response->body, qr/"error"/, "$name: not by us");
        $conn->close;
    }
}

is($nginx->log_lines(qr/trove:/), 0, 'and no verdict is logged');

$backend->open_gate('conn');
is($busy->response->status, 200, 'the one that was there');
$busy->close;


# those that let pass leave it to the verification

is_outcome('/any', '200 /any', '400');
is_outcome('/any_auth', '200 /any_auth /auth/yes', '400 /auth/yes');
is_outcome('/allowed', '200 /allowed /auth/yes', '400 /auth/yes');
is_outcome('/local', '200 /local', '400');
is_outcome('/limit_conn', '200 /limit_conn', '400');
is_outcome('/delayed', '200 /delayed', '400') for 1 .. 3;

is(outcome('/forbidden', secret => $secret), '403 /auth/no',
    'auth_request refuses');
is(outcome('/basic', secret => $secret, headers =>
    [ Authorization => 'Basic bWU6c2VjcmV0' ]), '200 /basic', 'auth_basic');
is(outcome('/basic', headers => [ Authorization => 'Basic bWU6c2VjcmV0' ]),
    '400', 'auth_basic, unsigned');

# a body that is still to come when they are asked

$backend->forget;

for my $uri (qw{ /allowed /delayed /any_auth /mirrored }) {

    for my $filler (0, 3000) {

        for my $chunked (0, 50) {
            my ($head, $rest) = event_request($uri, $body, secret => $secret,
                chunked => $chunked, headers => [ 'X-Filler' => 'x' x $filler ])
                =~ /^(.*?\x0d\x0a\x0d\x0a.{20})(.*)/s;
            my $conn = conn($port);

            $conn->send($head);
            $conn->wait_read;
            $conn->send($rest);
            is($conn->response->status, 200, "$uri, a body that comes later");
            $conn->close;
        }
    }
}

ok($backend->wait_count(4, '/mirror'), 'each of these is mirrored, too');


# mirror: what is verified, and nothing else

is_outcome('/mirrored', '200 /mirror /mirrored', '400');
is_outcome('/mirrored_head', '200 /mirror /mirrored_head', '400');
is_outcome('/mirrored', '200 /mirror /mirrored', '400',
    body => event('file.written', data => { pad => 'x' x 40000 }));

$backend->forget;
post_event($port, '/mirrored', $body, secret => $secret,
    headers => [ 'X-Trove-Event' => 'forged' ]);
ok($backend->wait_count(1, '/mirror'), 'the mirror is called');
my ($copy) = $backend->by_id('/mirror');
is($copy->{body}, $body, 'with the body');
is($backend->header($copy, 'X-Trove-Event'), 'file.written',
    'and the headers of the event');

$backend->forget;
$backend->on('/mirror', gate => 'mirror');
my $conn = conn($port);
$conn->send(event_request('/mirrored', $body, secret => $secret));
is($conn->response->status, 200, 'a slow mirror is not waited for');
$backend->open_gate('mirror');
$conn->send(event_request('/mirrored', $body, secret => $secret));
is($conn->response->status, 200, 'and the connection is good for another');
$conn->close;
ok($backend->wait_count(2, '/mirror'), 'both are mirrored');


# blocks in a location

is_outcome('/if', '200 /if', '400', headers => [ 'X-If' => 1 ]);
is_outcome('/if', '200 /other', '400');
is_outcome('/if_set', '200 /if_set', '400');
is_outcome('/if_set', '200 /if_set_if', '400', headers => [ 'X-If' => 1 ]);
is_outcome('/limit_except', '200 /limit_except', '400');
is_outcome('/limit_except', '405', '405', method => 'GET');
is_outcome('/limit_except_deny', '405', '405', method => 'GET');
is_outcome('/files', '405', '400');
is_outcome('/files', '405', '405', method => 'GET');
is_outcome('/error_200', '200', '400');
is_outcome('/', '200 /', '400', port => $nginx->port(2));
is_outcome('/', '403', '403', port => $nginx->port(2),
    headers => [ 'X-If' => 1 ]);


# subrequests belong to the main request

is(post_event($port, '/page', $body, secret => $secret)->body, 'page, included',
    'a subrequest is not verified');
is_outcome('/page', '200 /included /page', '400');
is_outcome('/included', '200 /included', '400');


# an answer that comes before the verdict

my $lines = qr/\[error\].*sent without verification from a location with "trove_verify on"/;

for my $case ([ return_200 => 200, 1 ], [ return_204 => 204, 1 ],
    [ return_if => 200, 1 ], [ error_204 => 204, 1 ], [ return_301 => 301, 0 ],
    [ return_403 => 403, 0 ], [ log_200 => 200, 0 ], [ off_200 => 200, 0 ])
{
    my ($name, $status, $logged) = @$case;

    for my $opt ([ secret => $secret ], []) {
        $nginx->mark;

        is(outcome("/$name", @$opt, headers => [ 'X-If' => 1 ]), $status,
            $name);

        my @said = $nginx->log_lines($lines);
        is(@said, $logged,
            "$name: " . ($logged ? 'noticed' : 'nothing to notice'));
        like($said[0], qr/trove: response $status was sent .*check for "return"/,
            "$name: what to look for") if @said;
    }
}

$nginx->mark;
outcome('/', port => $nginx->port(1), secret => $secret);
outcome('/mirrored', secret => $secret);
outcome('/page', secret => $secret);
outcome('/local', secret => $secret);
is($nginx->log_lines($lines), 0, 'what was verified is not suspected');

my $status_port = $nginx->port(1);
ok(wait_until { stub_status($status_port)->{active} == 1 }, 'nothing is left');

done_testing();
