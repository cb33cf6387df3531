#!/usr/bin/perl

# What a target's location can use: the variables, each delivery its own; what
# comes of the client, and what does not.  The example with Slack.

use lib 't/lib';
use Trove;

use JSON::PP ();

my $secret = 'trove-whsec-variables';
my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;
    trove_secret trove-whsec-variables;
    underscores_in_headers on;
    proxy_http_version 1.1;
    proxy_set_header Connection "";

    map $trove_event_type:$trove_data_path $is_report {
        volatile;
        default                               0;
        "~^file\.written:(.*/)?reports/"      1;
    }

    map $trove_target $whose { volatile; default $trove_target; }
    map $trove_target $first { default $trove_target; }
    map $trove_target $before { default "<$trove_target>"; }

    log_format outcome '$trove_event_id $status [$trove_fanout]'
                       ' <$trove_target> <$trove_attempt>';

    upstream slack { server 127.0.0.1:%%BACKEND%%; keepalive 8; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        access_log outcome.log outcome;

        location = /trove-events {
            trove_verify on;
            trove_dedup  zone=events;
            trove_fanout /slack    if=$is_report optional;
            trove_fanout /pipeline events=file.written,exec.completed
                                   namespace=customer-acme;
            trove_fanout /audit;
        }

        location = /slack {
            internal;
            proxy_pass http://slack/services/T0/B0/x;
            proxy_set_header Host hooks.slack.com;
            proxy_set_header Connection "";
            proxy_set_header Content-Type application/json;
            proxy_set_body '{"text":"Report ready for $trove_json_namespace: $trove_json_data_path"}';
        }

        location = /pipeline {
            internal;
            proxy_pass http://slack;
            proxy_set_header X-Path $trove_data_path;
        }

        location = /audit { internal; proxy_pass http://slack; }

        location = /own {
            trove_dedup zone=events;
            trove_fanout /x?n=1 name=one;
            trove_fanout /x?n=2 name=two;
            trove_fanout /x?n=3 name=three;
            add_header X-Outside "$trove_target:$trove_attempt" always;
        }

        # read before the deliveries are

        location = /early {
            trove_dedup zone=events;
            set $early "$before$args";
            trove_fanout /early-x?n=1 name=one;
            trove_fanout /early-x?n=2 name=two;
        }

        location = /x {
            internal;
            set $mine "$trove_target-$arg_n";
            proxy_set_header X-Mine $mine;
            proxy_set_header X-Whose $whose;
            proxy_set_header X-First $first;
            proxy_set_header X-Target "$trove_target $trove_attempt";
            proxy_set_header X-Fanout $trove_fanout;
            proxy_set_header X-Event "$trove_event_id $trove_event_type $trove_namespace $trove_workspace_id $trove_api_version $trove_created_at";
            proxy_set_header X-Data "$trove_data_path|$trove_data_size_bytes|$trove_data_none|";
            proxy_set_header X-Body-Length "$content_length|$http_cookie|$http_user_agent|$remote_user|$request_method|$args|$uri";
            proxy_pass http://slack;
        }

        location = /early-x {
            internal;
            proxy_set_header X-Early "$early $before";
            proxy_pass http://slack;
        }
    }
EOF

sub h { return $backend->header(@_) // '' }

sub to {
    my ($id, $uri) = @_;

    my ($request) = grep { $_->{uri} =~ m{^\Q$uri\E} } $backend->by_id($id);

    return $request;
}


# the example: what Slack gets is JSON, whatever an agent calls its files

my @paths = ('reports/q1.pdf', 'x/reports/"}, {"text": "owned"}',
    "reports/a\x0d\x0aX-Forged: 1", "reports/\\", 'reports/\\u0022',
    join('', 'reports/', map { chr } 1 .. 0x9f), "reports/\x{65e5}\x{672c}",
    "reports/\x{1f600}", 'reports/$trove_event_id ${uri}', 'reports/' x 1000,
    "reports/\0nul");

for my $i (0 .. $#paths) {
    my $path = $paths[$i];
    my $body = event('file.written', id => my $id = new_id(),
        data => { path => $path });
    my $r = post_event($nginx->port, '/trove-events', $body, secret => $secret);

    is($r->targets, '/slack=200 /pipeline=200 /audit=200', "path $i: taken");

    my ($slack) = to($id, '/services/T0/B0/x');
    my $said = eval { JSON::PP->new->utf8->decode($slack->{body}) };

    is_deeply($said, { text => "Report ready for customer-acme: $path" },
        "path $i: what Slack gets is JSON");
    is(h($slack, 'Content-Length'), length $slack->{body}, "path $i: whole");
    is(h($slack, 'Host'), 'hooks.slack.com', "path $i: Host");

    my $pipeline = to($id, '/pipeline');

    unlike(h($pipeline, 'X-Path'), qr/[\x00-\x1f\x7f]/, "path $i: no header");
    is(h($pipeline, 'X-Forged'), '', "path $i: none is forged");
    is($pipeline->{body}, $body, "path $i: the pipeline gets the event");
}

for ([ 'file.written', '/tmp/x', 'customer-acme', '/pipeline /audit' ],
    [ 'file.written', '/reports/x', 'other', '/slack /audit' ],
    [ 'exec.completed', undef, 'customer-acme', '/pipeline /audit' ],
    [ 'file.deleted', '/reports/x', 'customer-acme', '/audit' ],
    [ 'key.revoked', undef, undef, '/audit' ])
{
    my ($type, $path, $namespace, $targets) = @$_;

    my $r = post_event($nginx->port, '/trove-events', event($type,
        namespace => $namespace, defined $path ? (data => { path => $path })
                                               : ()), secret => $secret);

    is($r->targets, join(' ', map { "$_=200" } split / /, $targets),
        "$type: $targets");
}


# each delivery has its own

{
    my $body = event('file.written', id => my $id = new_id(),
        data => { path => '/p', size_bytes => 5 });
    my $r = post_event($nginx->port, '/own?client=1', $body, headers => [
        'Cookie' => 'c=1', 'User-Agent' => 'agent', 'Authorization' => 'Basic eDp5',
        'X-Trove-Event' => 'forged', 'X_Trove_Event' => 'forged',
        'X-Trove-Event-Id' => 'forged', 'X-Trove-Else' => 'forged',
        'X-Forwarded-For' => '1.2.3.4', 'Expect' => '100-continue',
        'Accept-Encoding' => 'gzip', 'Range' => 'bytes=0-1',
        'If-None-Match' => '*', 'X-Backend' => 'status=500',
        'Content-Encoding' => 'x', 'TE' => 'trailers', 'Upgrade' => 'x',
        'X-Mine' => 'forged', 'Content-Type' => 'application/json',
        'X-Trove-Signature' => 't=1,v1=x' ]);

    $r = undef if $r && $r->interim;
    wait_until { $backend->by_id($id) == 3 };

    is($r->targets, 'one=200 two=200 three=200', 'own: taken') if $r;
    is($r->header('X-Outside'), ':', 'own: none outside') if $r;

    for my $n (1 .. 3) {
        my $name = (qw/ one two three /)[$n - 1];
        my ($x) = grep { $_->{uri} eq "/x?n=$n" } $backend->by_id($id);

        is(h($x, 'X-Mine'), "$name-$n", "$name: set");
        is(h($x, 'X-Whose'), $name, "$name: a volatile map");
        is(h($x, 'X-First'), $name, "$name: another map");
        is(h($x, 'X-Target'), "$name 1", "$name: target and attempt");
        is(h($x, 'X-Event'), "$id file.written customer-acme ws-test 2026-04-30"
            . ' 2026-05-01T12:00:00Z', "$name: the event");
        is(h($x, 'X-Data'), '/p|5||', "$name: its data");
        is(h($x, 'X-Body-Length'), length($body) . "||||POST|n=$n|/x",
            "$name: nothing of the client");

        my %headers = map { lc $_->[0] => $_->[1] } @{ $x->{headers} };

        is(join(' ', sort grep { !/^connection$|^x-(?:mine|whose|first|target|fanout|event|data|body-length)$/ }
            keys %headers), 'content-length content-type host'
            . ' x-trove-event x-trove-event-id x-trove-signature',
            "$name: these headers, and no more");
        is($headers{'x-trove-event'}, 'file.written', "$name: the type");
        is($headers{'x-trove-event-id'}, $id, "$name: the id");
        is($headers{'x-trove-signature'}, 't=1,v1=x', "$name: the signature");
        is($headers{host}, 'slack', "$name: Host");
        is($x->{method}, 'POST', "$name: POST");
    }

    like($nginx->read_log('outcome.log'),
        qr/^\Q$id\E 200 \[one=200,two=200,three=200\] <-?> <-?>$/m,
        '$trove_fanout in the access log');
}

# a map that is not volatile sticks, but what was read in the main request only

{
    my $body = event('file.written', id => my $id = new_id());

    is(post_event($nginx->port, '/early?a', $body)->targets,
        'one=200 two=200', 'early: taken');

    for my $n (1, 2) {
        my ($x) = grep { $_->{uri} eq "/early-x?n=$n" } $backend->by_id($id);

        is(h($x, 'X-Early'), '<>a <>', "early: $n");
    }
}

# HTTP/2

{
    my $h2 = h2($nginx->port(1));
    my $body = event('file.written', id => my $id = new_id());

    is($h2->post('/own', $body, 'content-type' => 'text/x', cookie => 'a',
        cookie => 'b')->targets, 'one=200 two=200 three=200', 'HTTP/2: taken');

    my ($x) = grep { $_->{uri} eq '/x?n=2' } $backend->by_id($id);

    is(h($x, 'Content-Type'), 'text/x', 'HTTP/2: Content-Type');
    is(h($x, 'X-Mine'), 'two-2', 'HTTP/2: own');
    is(h($x, 'Cookie'), '', 'HTTP/2: no cookies');
    $h2->close;
}

done_testing();
