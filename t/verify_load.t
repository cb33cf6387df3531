#!/usr/bin/perl

# 20,000 requests of every kind: each gets its answer, and at the end there is
# nothing more than at the beginning.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-load';

my $nginx = nginx(<<EOF)->start;
    access_log off;
    client_body_buffer_size 1k;
    client_max_body_size 20k;
    keepalive_requests 100000;
    trove_secret $secret;

    map \$http_x_tenant \$tenant {
        known  $secret;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_2%% http2;
        proxy_set_header X-Data "\$trove_data_path\$trove_json_data_path";

        location / {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%PORT_1%%/200;
        }

        location = /tenant {
            trove_verify on;
            trove_secret \$tenant;
            proxy_pass http://127.0.0.1:%%PORT_1%%/200;
        }

        location = /log {
            trove_verify log;
            proxy_pass http://127.0.0.1:%%PORT_1%%/200;
        }

        location = /again {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%PORT_1%%/redirect;
        }

        location = /mirrored {
            trove_verify on;
            mirror /mirror;
            proxy_pass http://127.0.0.1:%%PORT_1%%/200;
        }

        location = /mirror {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%/200;
        }

        location = /error {
            trove_verify on;
            proxy_intercept_errors on;
            error_page 500 = /tenant;
            error_page 400 = /log;
            proxy_pass http://127.0.0.1:%%PORT_1%%/500;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /200 { return 200 "ok"; }
        location = /500 { return 500; }
        location = /redirect {
            add_header X-Accel-Redirect /tenant;
            return 200;
        }

        location = /status { trove_verify off; stub_status; }
    }
EOF

my ($port, $back) = map { $nginx->port($_) } 0, 1;
my $body = event('exec.completed', data => { path => "a\n\"b\"",
    stdout => 'x' x 500 });
my $spilled = event('file.written', data => { path => 'x' x 3000 });
my @tenant = ('X-Tenant' => 'known');


sub of {
    my ($uri, $body, %opt) = @_;

    return event_request($uri, $body, secret => $secret, %opt);
}


# those after which the connection stays: the request and its answer

my @stays = (
    [ of('/', $body), 200 ],
    [ of('/', $spilled), 200 ],
    [ of('/', $body, chunked => 300), 200 ],
    [ of('/', $spilled, chunked => 100), 200 ],
    [ of('/tenant', $body, headers => \@tenant), 200 ],
    [ of('/tenant', $spilled, headers => \@tenant), 200 ],
    [ of('/tenant', $body), 400 ],
    [ of('/log', $body), 200 ],
    [ event_request('/log', $spilled), 200 ],
    [ of('/again', $spilled, headers => \@tenant), 200 ],
    [ of('/again', $body), 400 ],
    [ of('/mirrored', $body), 200 ],
    [ event_request('/', $body), 400 ],
    [ event_request('/', $spilled, chunked => 500), 400 ],
    [ event_request('/', $body, headers => [ 'X-Trove-Signature' => 'x' ]),
        400 ],
    [ of('/', $body, headers => [ 'X-Trove-Signature' => 'x' ]), 400 ],
    [ of('/', $body, t => 1), 400 ],
    [ of('/', $body) =~ s/v1=.{8}/v1=00000000/r, 400 ],
    [ of('/', $spilled) =~ s/v1=.{8}/v1=00000000/r, 400 ],
    [ of('/', ''), 400 ],
    [ of('/', 'x'), 400 ],
    [ of('/', '[' x 2000), 400 ],
    [ of('/', substr $spilled, 0, 2000), 400 ],
    [ of('/', '{}'), 400 ],
    [ of('/', event('a', id => 1)), 400 ],
);

# those after which it does not; or that end before there is an answer

my $chunked = of('/', $body, chunked => 100);

my @closes = (
    [ of('/', $spilled x 10), 413 ],
    [ of('/', $spilled x 10, chunked => 1000), 413 ],
    [ of('/error', $body, headers => \@tenant), 200 ],
    [ of('/error', 'x'), 200 ],
    [ $chunked =~ s/\x0d\x0a64\x0d\x0a/\x0d\x0axx\x0d\x0a/r, 400 ],
    [ $chunked =~ s/\x0d\x0a64\x0d\x0a/\x0d\x0a63\x0d\x0a/r, 400 ],
    [ substr($chunked, 0, -100), undef ],
    [ substr(of('/', $body), 0, -1), undef ],
    [ substr(of('/', $spilled), 0, -1000), undef ],
    [ substr(of('/tenant', $spilled, headers => \@tenant), 0, -1), undef ],
    [ of('/mirrored', $body), undef ],
);

my $stays = join '', map { $_->[0] } @stays;
my $statuses = join ' ', map { $_->[1] } @stays;
my ($sent, $wrong) = (0, 0);


# NGINX itself keeps some bytes of each pipelined request to the end of the
# connection: a new one each time

sub round {
    my $conn = conn($port);

    $conn->send($stays);

    my $got = join ' ', map { my $response = $conn->response;
        $response ? $response->status : 'none' } @stays;

    $conn->close;
    $sent += @stays;

    if ($got ne $statuses) {
        diag("got      $got\nexpected $statuses") if !$wrong++;
    }

    for my $case (@closes) {
        my ($bytes, $status) = @$case;
        my $conn = conn($port);

        $conn->send($bytes);

        if (defined $status) {
            my $response = $conn->response;
            my $got = $response ? $response->status : 'none';

            diag("got $got, not $status") if $got ne $status && !$wrong++;
            $conn->close;

        } elsif ($sent % 2) {
            $conn->reset;

        } else {
            $conn->close;
        }

        $sent++;
    }

    my $h2 = h2($nginx->port(2));
    my @streams;

    for my $signed (1, 0, 1) {
        push @streams, $h2->headers('POST', '/', headers => [
            $signed ? ('x-trove-signature' => sign($secret, $spilled)) : () ]);
        $h2->data($streams[-1], $spilled, end => @streams < 3);
        $sent++;
    }

    $h2->send_rst($streams[2]);
    $got = join ' ', map { $h2->response($_)->status } @streams[0, 1];
    diag("HTTP/2: $got") if $got ne '200 400' && !$wrong++;
    $h2->close;
}


sub rounds {
    my ($n) = @_;

    $sent = 0;
    round() while $sent < $n;

    is($wrong, 0, "$n requests: each has its answer");
    ok(wait_until { stub_status($back)->{active} == 1 },
        "$n requests: no connection is left");
    ok(wait_until { !glob $nginx->dir . '/temp/client_body/*' },
        "$n requests: nor a temporary file");
}


rounds(5_000);
$nginx->settle;

my ($rss, $sockets) = ($nginx->rss, $nginx->sockets);

rounds(20_000);
$nginx->settle;

my $growth = $nginx->rss - $rss;

SKIP: {
    skip 'a sanitizer keeps what was freed, and finds leaks by itself', 1
        if $ENV{TROVE_SAN};

    cmp_ok($growth, '<=', 64 << 10, 'no growth of the memory');
    note("$growth bytes more");
}

is($nginx->sockets, $sockets, 'no more sockets than before');


# each line above info is one of those that were to be expected

my @known = (
    'trove: event refused, ', 'client intended to send too large ',
    'client sent invalid chunked body', 'a client request body is buffered ',
);

my @unknown = grep { my $line = $_; !grep { index($line, $_) >= 0 } @known }
    $nginx->log_lines(qr/ \[(?:warn|error|crit|alert|emerg)\] /);

is(@unknown, 0, 'nothing is logged that was not to be expected')
    or diag(map { "$_\n" } @unknown[0 .. ($#unknown > 5 ? 5 : $#unknown)]);

done_testing();
