#!/usr/bin/perl

# Only the response of the target itself decides about a delivery, in both
# modes: no "X-Accel-Redirect" of it leads the event to another target, and an
# "error_page" does not turn a failure into a success.

use lib 't/lib';
use Trove;

my $backend = backend();
my $other = backend();
my $down = 'http://127.0.0.1:%%PORT_90%%';
my $b = 'http://127.0.0.1:%%BACKEND%%';

my @targets;
my %expected;

sub target {
    my ($name, $status, $conf) = @_;

    push @targets, $name => $conf;
    $expected{$name} = $status;
}


# what a target says to NGINX by X-Accel-..., with every protocol

my $accel = 'X-Accel-Redirect: /other';

sub cgi {
    my ($head) = @_;

    return raw {
        my ($socket) = @_;

        raw_read($socket, \my $in);
        print $socket "$head\x0d\x0a$accel\x0d\x0a\x0d\x0aok";
        shutdown $socket, 1;
        1 while raw_read($socket, \$in);
    };
}

my $fastcgi = raw {
    my ($socket) = @_;

    my $in = '';
    my $text = "Status: 200\x0d\x0a$accel\x0d\x0a\x0d\x0aok";

    # until the empty record that ends the body

    1 while $in !~ /\x01\x05\x00\x01\x00\x00..$/s && raw_read($socket, \$in);

    print $socket pack('C2 n2 C2', 1, 6, 1, length $text, 0, 0), $text,
        pack('C2 n2 C2 N C x3', 1, 3, 1, 8, 0, 0, 0, 0);
};

my $uwsgi = cgi('HTTP/1.1 200 OK');
my $scgi = cgi('Status: 202 OK');

my %accel = (
    redirect => [ 'X-Accel-Redirect' => '/other' ],
    args => [ 'X-Accel-Redirect' => '/other?a=b' ],
    named => [ 'X-Accel-Redirect' => '@other' ],
    missing => [ 'X-Accel-Redirect' => '/missing' ],
    unsafe => [ 'X-Accel-Redirect' => '/../other' ],
    closed => [ 'X-Accel-Redirect' => '/closed' ],
    loop => [ 'X-Accel-Redirect' => '/loop' ],
    limit => [ 'X-Accel-Limit-Rate' => '1' ],
    buffering => [ 'X-Accel-Buffering' => 'yes' ],
    expires => [ 'X-Accel-Expires' => '3600' ],
    charset => [ 'X-Accel-Charset' => 'koi8-r' ],
);

for my $name (sort keys %accel) {
    $backend->on("/accel_$name", headers => $accel{$name}, size => 20000);
    $backend->on("/bad_$name", headers => $accel{$name}, status => 500);
    target("accel_$name", 200, "proxy_pass $b;");
    target("bad_$name", 500, "proxy_pass $b;");
}

$backend->on("/accel", headers => $accel{redirect});
$backend->on("/refused", headers => $accel{redirect}, status => 403);

target(unbuffered => 200, "proxy_buffering off; proxy_pass $b/accel;");
target(kept => 200, "proxy_pass http://kept/accel;");
target(variable => 200, "set \$to 127.0.0.1:%%BACKEND%%;
    proxy_pass http://\$to/accel;");
target(if => 200, "if (\$request_method = POST) { proxy_pass $b; }
    proxy_pass $b/never;");
target(except => 200, "limit_except GET { proxy_pass $b; }
    proxy_pass $b/never;");
target(rewritten => 200, "rewrite ^ /passes last;");
target(ignored => 200, "proxy_ignore_headers X-Accel-Redirect;
    proxy_pass $b/accel;");
target(grpc => 200, 'grpc_pass grpc://127.0.0.1:%%PORT_1%%;');
target(fastcgi => 200, "fastcgi_pass 127.0.0.1:$fastcgi;");
target(uwsgi => 200, "uwsgi_pass 127.0.0.1:$uwsgi;");
target(scgi => 202, "scgi_pass 127.0.0.1:$scgi;");

$backend->on($_, headers => $accel{redirect})
    for qw{ /if /except /passes };


# error pages of the server are for its own requests

target(down => 502, "proxy_pass $down;");
target(answers => 500, "proxy_pass $b/?status=500;");
target(intercepted => 500, "proxy_intercept_errors on;
    proxy_pass $b/?status=500;");
target(notfound => 404, "proxy_intercept_errors on; recursive_error_pages on;
    proxy_pass $b/?status=404;");
target(slow => 504, "proxy_read_timeout 300ms; proxy_pass $b/?gate=never;");
target(returned => 503, 'return 503;');
target(file => 405, 'alias %%TESTDIR%%/conf/file;');
target(tried => 404, 'root %%TESTDIR%%/conf; try_files /none =404;');
target(triedfile => 405, 'root %%TESTDIR%%/conf; try_files /file =404;');

# one of the location is a fallback: the response of another server counts

target(fallback => 200, "error_page 502 = \@other; proxy_pass $down;");
target(forced => 204, "error_page 502 =204 \@other; proxy_pass $down;");
target(kept_code => 502, "error_page 502 \@other; proxy_pass $down;");
target(fails => 503, "error_page 502 = \@bad; proxy_pass $down;");
target(hides => 503, "error_page 502 =200 \@bad; proxy_pass $down;");
target(dead => 502, "error_page 502 =200 \@dead; proxy_pass $down;");
target(page => 502, "error_page 502 =200 /returns; proxy_pass $down;");
target(static => 502, "error_page 502 =200 /conf/file; proxy_pass $down;");
target(empty => 502, "error_page 502 =204 /gif; proxy_pass $down;");
target(unavailable => 503, 'error_page 503 =200 /returns; return 503;');
target(instead => 200, "proxy_intercept_errors on; error_page 500 = \@other;
    proxy_pass $b/?status=500;");
target(covered => 500, "proxy_intercept_errors on; error_page 500 =200 /returns;
    proxy_pass $b/?status=500;");
target(twice => 502, "recursive_error_pages on; error_page 502 =200 \@again;
    proxy_pass $down;");

# NGINX itself is the target where nothing else is asked

target(ok => 200, 'return 200;');
target(none => 204, 'return 204;');
target(made => 201, 'return 201 "made";');

# another server of the same group is the same target

target(next => 200, 'proxy_next_upstream error non_idempotent;
    proxy_pass http://next;');

my $conf = target_conf(
    targets => \@targets,
    events => 'error_page 599 /none;',
    http => <<"EOC",
    error_page 404 405 500 502 503 504 =200 /sorry;

    upstream kept { server 127.0.0.1:%%BACKEND%%; keepalive 4; }
    upstream next {
        server 127.0.0.1:%%PORT_90%% max_fails=0;
        server 127.0.0.1:%%BACKEND%% backup;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";

    server {
        listen 127.0.0.1:%%PORT_1%% http2;
        trove_verify off;
        location / {
            proxy_pass $b/accel;
            proxy_ignore_headers X-Accel-Redirect;
            proxy_pass_header X-Accel-Redirect;
        }
    }
EOC
    server => <<"EOC",
        location = /gone { trove_verify off; return 404; }
        location = /sorry {
            internal;
            trove_verify off;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }
        location = /other {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }
        location = /closed { deny all; return 200; }
        location = /loop { internal; proxy_pass $b/accel_loop; }
        location = /passes { internal; proxy_pass $b; }
        location = /returns { internal; return 200; }
        location = /conf/file { internal; root %%TESTDIR%%; }
        location = /gif { internal; empty_gif; }
        location \@other { proxy_pass http://127.0.0.1:%%BACKEND_1%%; }
        location \@bad { proxy_pass $b; proxy_set_header X-Backend status=503; }
        location \@dead { proxy_pass $down; }
        location \@again { error_page 502 =200 /returns; proxy_pass $down; }
EOC
);

my $nginx = nginx($conf)->start;

$nginx->write('conf/file', 'a file');

my %fallback = map { $_ => 1 } qw/ fallback forced kept_code instead /;
my @names = map { $targets[2 * $_] } 0 .. @targets / 2 - 1;

for my $mode (target_modes()) {

    for my $name (@names) {
        $other->forget;
        $backend->forget;

        is(target_outcome($nginx, $mode, $name),
            "$name=$expected{$name} healthy=200",
            "$mode, $name: $expected{$name}");
        is($other->count, $fallback{$name} ? 1 : 0,
            "$mode, $name: " . ($fallback{$name} ? 'the fallback gets it'
                                                 : 'nobody else gets it'));
        is($backend->count('/never'), 0, "$mode, $name: in its location")
            if $name =~ /^(if|except)$/;
    }
}

# requests of clients

is(get($nginx->port, '/gone')->status, 200,
    'a client gets the error page');

done_testing();
