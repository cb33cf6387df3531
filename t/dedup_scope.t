#!/usr/bin/perl

# What a key is made of: whose events can be duplicates of whose.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-scope';
my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;
    trove_dedup_zone zone=other:1m;

    # a secret for each tenant

    map $uri $tenant_secret {
        ~^/t/acme  trove-whsec-acme;
        ~^/t/evil  trove-whsec-evil;
    }

    map $trove_event_id $prefixed {
        volatile;
        default map:$trove_event_id;
    }

    map $trove_data_path $path_or_id {
        volatile;
        ""       $trove_event_id;
        default  $trove_data_path;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name a.example;

        trove_verify on;
        trove_secret trove-whsec-scope;

        location = /hook {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location ~ ^/hook {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /regex {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /zone {
            trove_dedup zone=other;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /shared/a {
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /shared/b {
            trove_dedup zone=events key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /shared/other {
            trove_dedup zone=other key=$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /type {
            trove_dedup zone=events key=$trove_event_type:$trove_data_path;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /header {
            trove_dedup zone=events key=$http_x_key;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /constant {
            trove_dedup zone=events key=one ttl=60s;
            trove_tolerance 30s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /unverified {
            trove_verify off;
            trove_dedup zone=events key=$http_x_key;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /event_key/ {
            trove_verify off;

            location = /event_key/id {
                trove_dedup zone=events key=id:$trove_event_id;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /event_key/json_id {
                trove_dedup zone=events key=json:${trove_json_event_id};
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /event_key/type_path {
                trove_dedup zone=events
                            key=t:$trove_event_type:$trove_data_path;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /event_key/map {
                trove_dedup zone=events key=$prefixed;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /event_key/named {
                trove_dedup zone=events key=$http_host:$TROVE_EVENT_ID;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /event_key/time {
                trove_dedup zone=events key=time:$trove_timestamp;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }
        }

        location = /namespace {
            trove_dedup zone=events key=tenant:$trove_namespace;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /namespace_id {
            trove_dedup zone=events key=ns:$trove_namespace:$trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /fallback {
            trove_dedup zone=events key=fallback:$path_or_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /t/ {
            trove_secret $tenant_secret;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name b.example;

        trove_verify on;
        trove_secret trove-whsec-scope;

        location = /hook {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

sub deliver {
    my ($uri, $body, %opt) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret, %opt);
}

sub outcomes { return join ' ', map { dedup_outcome($_) } @_ }

sub twice {
    my (@args) = @_;

    return outcomes(deliver(@args), deliver(@args));
}


# the same id, again and again: each location's first is new

{
    my $body = event();

    is(twice('/hook', $body), 'new duplicate', 'an exact location');
    is(twice('/hook/more', $body), 'new duplicate', 'a regex');
    is(twice('/regex', $body), 'new duplicate', 'a prefix');
    is(twice('/zone', $body), 'new duplicate', 'another zone');
    is(dedup_outcome(deliver('/hook?and=arguments', $body)), 'duplicate',
        'arguments are no part of the scope');
    is(dedup_outcome(deliver('/regex/and/more', $body)), 'duplicate',
        'nor is the URI');

    # a location of the same name in another server

    is(twice('/hook', $body, headers => [ Host => 'b.example' ]),
        'new duplicate', 'a server of another name');
    is(dedup_outcome(deliver('/hook', $body)), 'duplicate',
        'and the first knows it still');

    # in the other order, and while one is at work

    $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id, times => 1);

    my ($conn) = many_start($nginx->port, event_request('/hook', $body,
        secret => $secret, headers => [ Host => 'b.example' ]));
    $backend->wait_count(1, $id);

    is(twice('/hook', $body), 'new duplicate',
        'one in flight in the other server is not in the way');

    $backend->open_gate($id);
    is(dedup_outcome($conn->response), 'new', 'and is not disturbed');
    $conn->close;
}


# key=

{
    my $body = event();

    is(outcomes(deliver('/shared/a', $body), deliver('/shared/b', $body),
            deliver('/shared/a', $body)), 'new duplicate duplicate',
        'a key shared by two locations');
    is(twice('/shared/other', $body), 'new duplicate', 'not by two zones');
    is(dedup_outcome(deliver('/hook', $body)), 'new',
        'not by one that has none: that has a scope');

    $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id, times => 1);

    my ($conn) = many_start($nginx->port, event_request('/shared/b', $body,
        secret => $secret));
    $backend->wait_count(1, $id);
    is(dedup_outcome(deliver('/shared/a', $body)), 'inflight',
        'in flight in the one is inflight in the other');
    $backend->open_gate($id);
    $conn->response;
    is(dedup_outcome(deliver('/shared/a', $body)), 'duplicate', 'then a duplicate');
    $conn->close;
}

{
    my @path = (data => { path => '/a/' . new_id() });
    my $r = deliver('/type', event('file.written', @path));

    is(dedup_outcome($r), 'new', 'a key of other variables');

    $r = deliver('/type', event('file.written', @path, id => 'evt-"2"'));

    is($r->body, '{"status":"duplicate","id":"evt-\"2\""}',
        'it decides, not the id, which is told');
    is(dedup_outcome(deliver('/type', event('file.deleted', @path))), 'new',
        'each part of it counts');
}

is(dedup_outcome(deliver('/constant', event())), 'new', 'a constant key');
is(dedup_outcome(deliver('/constant', event())), 'duplicate', 'holds for all');


# an empty one is not deduplicated

{
    my $body = event();

    is(twice('/header', $body), 'new new', 'an empty key');
    is(twice('/header', $body, headers => [ 'X-Key' => '' ]), 'new new',
        'an empty header');
    is(twice('/header', $body, headers => [ 'X-Key' => new_id() ]),
        'new duplicate', 'a key that is there');

    my @key = (secret => undef, headers => [ 'X-Key' => new_id() ]);

    is(twice('/unverified', '', @key), 'new duplicate',
        'without verification a key needs no event');
    is(deliver('/unverified', '', @key)->body,
        '{"status":"duplicate","id":""}', 'and there is no id to tell');
    is(twice('/unverified', $body, secret => undef), 'new new',
        'but none is none');
}


# a key that names an event variable needs an event, and a value of it: all that
# have none would have one key, and all but the first would be lost

{
    my @off = (secret => undef);

    for my $uri (map { "/event_key/$_" } qw/ id json_id type_path map named /) {

        for my $body ('', 'no event', '[]', '{"id":"evt-1"}', '{"id":') {
            is(twice($uri, $body, @off), 'new new', "$uri: no event, $body");
        }
    }

    is(twice("/event_key/$_", event(), @off), 'new duplicate',
        "/event_key/$_: an event") for qw/ id json_id map named /;

    my $path = '/' . new_id();

    is(twice('/event_key/type_path', event('file.written',
        data => { path => $path }), @off), 'new duplicate', 'all of its parts');

    for my $data ({}, { path => '' }) {
        is(outcomes(map { deliver('/event_key/type_path',
                event('file.written', data => $data), @off) } 1 .. 2),
            'new new', 'one of its parts is missing');
    }

    # the same where events are verified

    for my $namespace (undef, '') {
        my @over = ('file.written', namespace => $namespace);

        is(outcomes(map { deliver('/namespace', event(@over)) } 1 .. 2),
            'new new', 'no namespace: not all the same');
        is(twice('/namespace_id', event(@over)), 'new duplicate',
            'no namespace, but the id');
    }

    my $namespace = 'customer-' . new_id();

    is(outcomes(map { deliver('/namespace',
            event('file.written', namespace => $namespace)) } 1 .. 2),
        'new duplicate', 'a namespace, if that is what is wanted');

    is(twice('/fallback', event('file.written', data => {})), 'new duplicate',
        'a map that falls back to the id');
    is(outcomes(map { deliver('/fallback', event('file.written',
            data => { path => $path })) } 1 .. 2), 'new duplicate',
        'and its other value');

    is(twice('/event_key/time', event(), @off), 'new new',
        'a time that nobody has verified');

    ok((() = $nginx->log_lines(qr/\[info\] .*trove: request not deduplicated: /)) > 20,
        'which is logged');
}


# bytes: neither a NUL nor a length ends a key

{
    my $key = new_id();

    for my $more ('a', 'b', 'a' x 3000, 'a' x 3000 . 'b', "\xff\x01") {
        is(twice('/unverified', '', secret => undef,
                headers => [ 'X-Key' => "$key$more" ]),
            'new duplicate', 'a key of ' . length("$key$more") . ' bytes');
    }

    for my $id ("\x{20ac}", "\x{20ad}", 'x' x 255, 'x' x 254 . 'y', '.') {
        is(twice('/hook', event('file.written', id => $id)), 'new duplicate',
            'an id of ' . length($id) . ' characters');
    }

    my $escaped = '{"id":"evt-\u0061\u002f1","type":"t"}';
    my $plain = '{"type":"u","id":"evt-a/1"}';

    is(outcomes(deliver('/hook', $escaped), deliver('/hook', $plain)),
        'new duplicate', 'an id spelt in another way is the same');
}


# a secret of variables: nobody can take an id from somebody else

{
    my $body = event();

    is(twice('/t/evil', $body, secret => 'trove-whsec-evil'), 'new duplicate',
        'one tenant');
    is(twice('/t/acme', $body, secret => 'trove-whsec-acme'), 'new duplicate',
        'another, by the same id');
    is(dedup_outcome(deliver('/t/acme', $body, secret => 'trove-whsec-evil')),
        'mismatch', 'the secret of the one is not good for the other');
    is(twice('/t/acme/2', $body, secret => 'trove-whsec-acme'),
        'new duplicate', 'the whole URI counts');
    is(dedup_outcome(deliver('/t/acme?x=1', $body, secret => 'trove-whsec-acme')),
        'duplicate', 'but not the arguments');
}


$nginx->no_errors(qr/event refused, mismatch/);

done_testing();
