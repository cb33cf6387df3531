#!/usr/bin/perl

# One event, many targets: who gets it, what they get, what the sender hears.

use lib 't/lib';
use Trove;

use Digest::SHA qw/ hmac_sha256_hex /;

my $secret = 'trove-whsec-fanout';
my $a = backend();
my $b = backend();

my $nginx = nginx(<<'EOC')->start;
    trove_dedup_zone zone=events:1m;
    trove_verify on;
    trove_secret trove-whsec-fanout;

    map $trove_event_type:$trove_data_path $is_report {
        volatile;
        default                               0;
        "~^file\.written:(.*/)?reports/"      1;
    }

    log_format targets '$trove_event_id $status $trove_fanout';

    upstream a { server 127.0.0.1:%%BACKEND%%; keepalive 8; }
    upstream b { server 127.0.0.1:%%BACKEND_1%%; keepalive 8; }

    proxy_http_version 1.1;
    proxy_set_header Connection "";

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /two {
            trove_dedup zone=events;
            trove_fanout /a;
            trove_fanout /b name=second;
            access_log targets.log targets;
        }

        location = /filters {
            trove_dedup zone=events;
            trove_fanout /a?n=1 name=exact events=file.written,key.created;
            trove_fanout /a?n=2 name=prefix events=file.*;
            trove_fanout /a?n=3 name=tenant namespace=customer-acme;
            trove_fanout /a?n=4 name=tenants namespace=nobody,customer-*;
            trove_fanout /a?n=5 name=report if=$is_report;
            trove_fanout /a?n=6 name=both events=* namespace=customer-acme;
        }

        location = /optional {
            trove_dedup zone=events;
            trove_fanout /a name=a;
            trove_fanout /b name=b optional;
        }

        location = /signed {
            trove_fanout /signer name=signed;
            trove_fanout /a name=original;
        }

        location = /a {
            internal;
            proxy_set_header X-Target $trove_target:$trove_attempt;
            proxy_pass http://a;
        }

        location = /b {
            internal;
            proxy_set_header X-Target $trove_target:$trove_attempt;
            proxy_pass http://b;
        }

        location = /signer {
            internal;
            trove_sign trove-whsec-onward;
            proxy_set_header X-Again $trove_signature;
            proxy_pass http://b;
        }
    }
EOC

sub deliver {
    my ($uri, $body, %opt) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret, %opt);
}

sub forget { $_->forget for $a, $b }

# names and statuses of the targets in an answer

sub targets {
    my ($r) = @_;

    return join ' ', map {
        $_->{name} . '=' . $_->{status} . ($_->{skipped} ? ' skipped' : '')
            . ($_->{error} ? " $_->{error}" : '')
    } @{ $r->json->{targets} };
}


my $body = event('file.written', id => my $id = new_id());
my $r = deliver('/two', $body);

is($r->status, 200, 'both took it');
is($r->json->{status}, 'delivered', 'delivered');
is($r->json->{id}, $id, 'its id');
is(targets($r), '/a=200 second=200', 'the targets');
is($r->header('Content-Type'), 'application/json', 'JSON');

for ([ $a, '/a' ], [ $b, 'second' ]) {
    my ($backend, $name) = @$_;
    my $request = $backend->last;

    is($backend->count, 1, "$name: once");
    is($request->{method}, 'POST', "$name: POST");
    is($request->{body}, $body, "$name: the body");
    is($backend->header($request, 'Content-Length'), length $body,
        "$name: its length");
    is($backend->header($request, 'Content-Type'), 'application/json',
        "$name: its type");
    is($backend->header($request, 'X-Trove-Event'), 'file.written',
        "$name: X-Trove-Event");
    is($backend->header($request, 'X-Trove-Event-Id'), $id,
        "$name: X-Trove-Event-Id");
    like($backend->header($request, 'X-Trove-Signature'), qr/^t=\d+,v1=/,
        "$name: X-Trove-Signature");
    is($backend->header($request, 'X-Target'), "$name:1",
        "$name: \$trove_target and \$trove_attempt");
}

$r = deliver('/two', $body);
is($r->json->{status}, 'duplicate', 'then it is a duplicate');
is($a->count, 1, 'that reaches nobody');


# a partial failure, and the retry

forget();
$body = event('file.written', id => $id = new_id());
$b->on($id, status => 500, times => 2);

$r = deliver('/two', $body);
is($r->status, 502, 'one did not take it');
is($r->json->{status}, 'partial', 'partial');
is(targets($r), '/a=200 second=500', 'who did and who did not');

$r = deliver('/two', $body);
is($r->status, 502, 'again');
is(targets($r), '/a=200 skipped second=500', 'one is skipped');

$r = deliver('/two', $body);
is($r->status, 200, 'then it does');
is(targets($r), '/a=200 skipped second=200', 'one is skipped still');
is($a->count, 1, 'once here');
is($b->count, 3, 'three times there');

is(deliver('/two', $body)->json->{status}, 'duplicate', 'done');

is((() = $nginx->read_log('targets.log')
    =~ m{^\Q$id\E 502 /a=200,second=500$}mg), 1, '$trove_fanout in a log');
like($nginx->read_log('targets.log'),
    qr{^\Q$id\E 502 /a=skipped,second=500$}m, 'of the retry');


# filters

sub got {
    my ($body) = @_;

    forget();
    my $r = deliver('/filters', $body);
    is($r->status, 200, 'filters: 200');

    return join '', sort map { $_->{uri} =~ /n=(\d)/ } $a->requests;
}

is(got(event('file.written', namespace => 'customer-acme',
    data => { path => 'x/reports/1' })), '123456', 'all');
is(got(event('file.written', namespace => 'customer-bolt',
    data => { path => 'x/1' })), '124', 'another tenant, no report');
is(got(event('file.deleted', namespace => undef,
    data => { path => 'reports/1' })), '2', 'no tenant');
is(got(event('key.created', namespace => 'x')), '1', 'exact');
is(got(event('key.create', namespace => 'x')), '', 'none');

$r = deliver('/filters', event('none', namespace => 'x'));
is(targets($r), '', 'an empty list');
is($r->json->{status}, 'delivered', 'is delivered');
is($nginx->log_lines(qr/event ".*" matches no target/), 2, 'and logged');


# optional

forget();
$body = event('file.written', id => $id = new_id());
$b->on($id, drop => 'before');

$r = deliver('/optional', $body);
is($r->status, 200, 'an optional one may fail');
is(targets($r), 'a=200 b=502', 'and is reported');
is(deliver('/optional', $body)->json->{status}, 'duplicate', 'done');

forget();
$body = event('file.written', id => $id = new_id());
$b->on($id, status => 503, times => 1);
$a->on($id, status => 503, times => 1);

is(deliver('/optional', $body)->status, 502, 'both failed');
is(targets(deliver('/optional', $body)), 'a=200 b=200', 'both again');


# signing

forget();
$body = event('file.written');
is(deliver('/signed', $body)->status, 200, 'signed');

my $request = $b->last;
my $signature = $b->header($request, 'X-Trove-Signature');
my ($t, $v1) = $signature =~ /^t=(\d+),v1=([0-9a-f]{64})$/;

is($v1, hmac_sha256_hex("$t.$body", 'trove-whsec-onward'), 'by trove_sign');
is($b->header($request, 'X-Again'), $signature, '$trove_signature');
isnt($a->header($a->last, 'X-Trove-Signature'), $signature,
    'the other target gets the original one');

done_testing();
