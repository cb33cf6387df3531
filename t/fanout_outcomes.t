#!/usr/bin/perl

# Whatever a target does, its outcome is known, once, the others have theirs,
# and nothing is left behind.

use lib 't/lib';
use Trove;

use IO::Socket::INET;
use Time::HiRes qw/ time /;

my $backend = backend();
my $b = 'http://b';

# FastCGI: answers when the empty record that ends the body has come

sub fastcgi {
    my ($answer, %opt) = @_;

    return raw {
        my ($socket) = @_;

        my ($in, $body) = ('', '');

        while (raw_read($socket, \$in)) {

            while (length $in >= 8) {
                my ($type, $length, $padding) = unpack 'x C x2 n C', $in;

                last if length $in < 8 + $length + $padding;

                $body .= substr $in, 8, $length if $type == 5;
                substr $in, 0, 8 + $length + $padding, '';

                next unless $type == 5 && $length == 0;

                my $text = $answer =~ s/%BODY%/length $body/er;

                print $socket pack('C2 n2 C2', 1, 6, 1, length $text, 0, 0),
                    $text;
                print $socket pack('C2 n2 C2 N C x3', 1, 3, 1, 8, 0, 0, 0, 0)
                    unless $opt{cut};
                return;
            }
        }
    };
}

# uwsgi and SCGI: answer at once

sub cgi {
    my ($answer) = @_;

    return raw {
        my ($socket) = @_;

        raw_read($socket, \my $in);
        print $socket $answer;
        shutdown $socket, 1;
        1 while raw_read($socket, \$in);
    };
}

my $fcgi = fastcgi("Status: 200\x0d\x0aContent-Length: 2\x0d\x0a\x0d\x0aok");
my $fcgi_bad = fastcgi("Status: 503\x0d\x0a\x0d\x0abad");
my $fcgi_cut = fastcgi("Content-Length: 20\x0d\x0a\x0d\x0ahalf", cut => 1);
my $uwsgi = cgi("HTTP/1.1 200 OK\x0d\x0aContent-Length: 2\x0d\x0a\x0d\x0aok");
my $uwsgi_cut = cgi("HTTP/1.1 200 OK\x0d\x0aContent-Length: 9\x0d\x0a\x0d\x0a");
my $scgi = cgi("Status: 202 OK\x0d\x0a\x0d\x0aok");
my $scgi_bad = cgi("Status: 500 Bad\x0d\x0a\x0d\x0abad");

# nobody accepts: once its queue is full, it does not connect any more

my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp',
    Listen => 1) or die "listen: $!";
my @queue = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.1', Proto => 'tcp',
        PeerPort => $full->sockport, Blocking => 0)
} 1 .. 8;

my @cases;

sub target { push @cases, [ @_ ] }

# by the status

for my $status (200, 201, 202, 204, 206, 299, 300, 301, 302, 303, 304, 307, 308,
    400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 429, 494, 499, 500, 501,
    502, 503, 504, 507, 599)
{
    target("status$status", "proxy_pass $b/?status=$status;", $status);
}

target(intercepted => "proxy_intercept_errors on;
    proxy_pass $b/?status=500;", 500);

# nobody there, or not in time

target(refused => 'proxy_pass http://127.0.0.1:%%PORT_90%%;', 502);
target(unknown => 'set $where nowhere.example; resolver 127.0.0.1:%%PORT_91%%;
    resolver_timeout 1s; proxy_pass http://$where;', 502);
target(connect => 'proxy_connect_timeout 500ms;
    proxy_pass http://127.0.0.1:' . $full->sockport . ';', 504);
target(slow => "proxy_read_timeout 300ms; proxy_pass $b/?gate=never;", 504);
target(stalled => "proxy_read_timeout 3s;
    proxy_pass $b/?pause=30&pieces=2&body=xxxx;", '200 truncated');

# half an answer

for my $buffering (qw/ on off /) {
    for my $chunked (0, 1) {
        my $name = $buffering . ($chunked ? 'chunked' : 'length');
        my $more = "proxy_buffering $buffering; proxy_pass $b/?size=20000"
            . ($chunked ? '&chunked=1' : '');

        target($name => "$more;", 200);
        target("big$name" => "$more&size=2000000&pieces=10&pause=0.01;", 200);
        target("head$name" => "$more&drop=headers;", '200 truncated');
        target("half$name" => "$more&drop=half;", '200 truncated');
        target("reset$name" => "$more&drop=half&pause=0.05&reset=1;",
            '200 truncated');
        target("halfbad$name" => "$more&drop=half&status=500;",
            '500 truncated');
    }

    target("before$buffering" => "proxy_buffering $buffering;
        proxy_pass $b/?drop=before;", 502);
    target("stored$buffering" => "proxy_buffering $buffering;
        proxy_store %%TESTDIR%%/temp/stored; proxy_temp_path %%TESTDIR%%/temp;
        proxy_pass $b/?size=200000;", 200);
}

target(close => "proxy_http_version 1.0; proxy_set_header Connection close;
    proxy_pass $b/?size=5000;", 200);

# NGINX itself

target("return$_" => "return $_;", $_) for 200, 204, 400, 404, 500, 503;
target(return301 => 'return 301 /x;', 301);
target(returntext => 'return 200 "done\n";', 200);
target(return201 => 'return 201 "made\n";', 201);
target(return444 => 'return 444;', '444 aborted');
target(return499 => 'return 499;', '499 aborted');
target(return408 => 'return 408;', '408 aborted');
target(static => 'root %%TESTDIR%%;', 404);
target(file => 'alias %%TESTDIR%%/conf/file;', 405);
target("file$_->[0]" => "alias %%TESTDIR%%/conf/file; $_->[1];
    error_page 405 =200 /files/file;", 405)
    for [ plain => 'sendfile off' ], [ sendfile => 'sendfile on' ];
target(aio => 'alias %%TESTDIR%%/conf/file; error_page 405 =200 /aio/file;',
    405);
target(empty => 'empty_gif;', 405);

# a rewrite of the server does not run for a delivery

target(moved => 'return 500;', 500);
target(loop => 'recursive_error_pages on; error_page 404 /loop; return 404;',
    500);
target(nested => 'trove_fanout /good;', 500);
target(size => "client_max_body_size 10; proxy_pass $b;", 200);

# a fallback

target("page$_->[0]" => "error_page 502 $_->[1];
    proxy_pass http://127.0.0.1:%%PORT_90%%;", $_->[2])
    for [ internal => '=200 /fallback', 200 ], [ named => '=200 @fallback', 200 ],
        [ own => '= @fallback', 200 ], [ keeps => '@fallback', 502 ],
        [ fails => '= @down', 502 ],
        [ away => 'http://example.com/', 302 ],
        [ missing => '/missing.html', 404 ], [ cut => '= @cut', '200 truncated'];

target(next => 'proxy_next_upstream error non_idempotent;
    proxy_pass http://next;', 200);
target(allfail => 'proxy_next_upstream error http_500 non_idempotent;
    proxy_pass http://bad/?status=500;', 500);

# other protocols

target(fastcgi => "fastcgi_pass 127.0.0.1:$fcgi;", 200);
target(fastcgibad => "fastcgi_pass 127.0.0.1:$fcgi_bad;", 503);
target(fastcgicut => "fastcgi_pass 127.0.0.1:$fcgi_cut;", '200 truncated');
target(uwsgi => "uwsgi_pass 127.0.0.1:$uwsgi;", 200);
target(uwsgicut => "uwsgi_pass 127.0.0.1:$uwsgi_cut;", '200 truncated');
target(scgi => "scgi_pass 127.0.0.1:$scgi;", 202);
target(scgibad => "scgi_pass 127.0.0.1:$scgi_bad;", 500);
target(grpc => 'grpc_pass grpc://127.0.0.1:%%PORT_1%%;', 200);
target(grpcdown => 'grpc_pass grpc://127.0.0.1:%%PORT_90%%;', 502);

# what others do to answers and requests

my $ssi = '<!--#include%20virtual="/good"%20-->';

target(ssi => "ssi on; ssi_types *; proxy_pass '$b/?body=$ssi';", 200);
target(sub => "sub_filter x y; sub_filter_once off; sub_filter_types *;
    proxy_pass $b/?size=100000;", 200);
target(gzip => "gzip on; gzip_types *; proxy_pass $b/?size=100000;", 200);
target(gunzip => "gunzip on; proxy_pass $b/gunzip;", 200);
target(gunzipcut => "gunzip on; proxy_pass $b/gunzip?drop=half;",
    '200 truncated');
target(addition => "add_before_body /good; addition_types *; proxy_pass $b;",
    200);
target(request => "auth_request /refuse; proxy_pass $b;", 200);
target(mirror => "mirror /good; proxy_pass $b;", 200);
target(expires => "expires 1h; add_header X-Y z always; proxy_pass $b;", 200);
target(limitreq => "limit_req zone=slow burst=5; proxy_pass $b;", 200);
target(limitconn => "limit_conn one 1; proxy_pass $b;", 200);
target(limitrate => "limit_rate 100; proxy_pass $b/?size=100000;", 200);
target(logged => "log_subrequest on; proxy_pass $b;", 200);
target(post => "post_action /good; proxy_pass $b/?status=500;", 500);

$backend->on('/gunzip', headers => [ 'Content-Encoding' => 'gzip' ],
    size => 5000);

my $locations = join '', map { <<"EOF" } @cases;
        location = /to/$_->[0] {
            trove_dedup zone=events;
            trove_fanout /first name=first;
            trove_fanout /$_->[0] name=$_->[0];
            trove_fanout /last name=last;
        }

        location = /$_->[0] {
            internal;
            $_->[1]
        }

EOF

my $nginx = nginx(<<"EOF", main => 'thread_pool default threads=2;')->start;
    trove_dedup_zone zone=events:1m;
    limit_req_zone \$server_name zone=slow:1m rate=1r/s;
    limit_conn_zone \$server_name zone=one:1m;
    log_format outcome '\$trove_event_id \$status \$trove_fanout';
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    variables_hash_max_size 4096;

    upstream b { server 127.0.0.1:%%BACKEND%%; keepalive 32; }
    upstream next {
        server 127.0.0.1:%%PORT_90%% max_fails=0;
        server 127.0.0.1:%%BACKEND%% backup;
    }
    upstream bad {
        server 127.0.0.1:%%BACKEND%% max_fails=0;
        server 127.0.0.1:%%BACKEND%% max_fails=0;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        keepalive_requests 100000;
        access_log outcome.log outcome;
        rewrite ^/moved\$ /nowhere/at/all last;

        location = /status { access_log off; stub_status; }

        $locations

        location = /first { internal; proxy_pass $b; }
        location = /last { internal; proxy_pass $b; }
        location = /good { internal; proxy_pass $b; }
        location = /refuse { internal; return 403; }
        location = /fallback { internal; proxy_pass $b; }
        location \@fallback { rewrite ^ /fallback break; proxy_pass $b; }
        location \@down { proxy_pass http://127.0.0.1:%%PORT_90%%; }
        location \@cut { proxy_pass $b; proxy_set_header X-Backend drop=half; }
        location /files/ { internal; alias %%TESTDIR%%/conf/; }
        location /aio/ {
            internal; sendfile off; aio threads; output_buffers 2 32k;
            alias %%TESTDIR%%/conf/;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%% http2;
        access_log off;
        location / { proxy_pass http://b; }
    }
EOF

$nginx->write('conf/file', 'x' x 1_000_000);

my $idle = stub_status($nginx->port);
my $conn = conn($nginx->port);

for my $case (@cases) {
    my ($name, undef, $expected) = @$case;

    my $body = event('file.written', id => my $id = new_id());
    my $good = $expected =~ /^2\d\d$/;

    $conn = conn($nginx->port) if $conn->{eof};
    $conn->send(event_request("/to/$name", $body));

    my $r = $conn->response or fail("$name: no answer"), next;

    is($r->targets, "first=200 $name=$expected last=200", "$name: $expected");
    is($r->status, $good ? 200 : 502, "$name: and the answer");

    my $first = grep { $_->{uri} eq '/first' } $backend->by_id($id);
    is($first, 1, "$name: the others once");

    if (!$good) {
        like(($nginx->log_lines(qr/event "$id" to /))[0],
            qr/ to target "$name" failed: $expected, after \d+ ms(?:, response: "[^"]*")?, client/,
            "$name: logged");
        is($nginx->log_lines(
            qr/\[error\] .*target "$name" of .* is failing: $expected, first failed/),
            1, "$name: and that it fails");
    }

    # and again: to those that did not take it, only

    $conn = conn($nginx->port) if $conn->{eof};
    $conn->send(event_request("/to/$name", $body));

    my $again = $conn->response or fail("$name: no answer"), next;

    is($good ? $again->json->{status} : $again->targets, $good ? 'duplicate'
        : "first=200 skipped $name=$expected last=200 skipped",
        "$name: again");
}

$conn->close;

ok(wait_until {
    my $now = stub_status($nginx->port);
    $now->{active} == $idle->{active} && $now->{writing} == $idle->{writing};
}, 'no request is left');

my $log = $nginx->read_log('outcome.log');

like($log, qr/ 502 first=200,refused=502,last=200$/m, 'in the access log');
like($log, qr/ 502 first=200,halfonlength=truncated,last=200$/m, 'truncated');
like($log, qr/ 502 first=skipped,refused=502,last=skipped$/m, 'skipped');

# what a fallback gets

for ([ pageinternal => 'GET' ], [ pagenamed => 'POST' ]) {
    my ($name, $method) = @$_;

    my $body = event('file.written', id => my $id = new_id());

    post_event($nginx->port, "/to/$name", $body);

    my ($request) = grep { $_->{uri} =~ /fallback|^\/$name$/ }
        $backend->by_id($id);

    is($request->{method}, $method, "$name: $method");
    is($request->{body}, $body, "$name: with the body");
}

done_testing();
