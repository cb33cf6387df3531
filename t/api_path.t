#!/usr/bin/perl

# The paths of the management API: ids with any character, prefixes that contain
# "/v1/", rewritten URIs, other methods, the index, dates.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-api-path';
my $backend = backend();

my $nginx = nginx(<<'EOC')->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_dedup_zone zone=events:1m;
    trove_verify on;
    trove_secret trove-whsec-api-path;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_dedup zone=events;
            trove_fanout_mode spool;
            trove_fanout /a name=a events=file.*;
            trove_fanout /idle name=idle events=idle.*;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /idle {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /trove/ {
            trove_api a-token-of-some-length;
        }

        location /ops/v1/ {
            trove_api a-token-of-some-length;
        }

        location /bare/v1 {
            trove_api a-token-of-some-length;
        }

        location /v1/tenant {
            trove_api a-token-of-some-length;
        }

        location ~ ^/re/v1/[^/]+/v1/ {
            trove_api a-token-of-some-length;
        }

        location = /v1/one/v1/targets {
            trove_api a-token-of-some-length;
        }

        location /rewritten/ {
            rewrite ^/rewritten(/.*)$ /any$1 break;
            trove_api a-token-of-some-length;
        }

        location /internal/ {
            rewrite ^/internal(/.*)$ /trove$1 last;
        }
    }
EOC

sub call {
    my ($method, $path) = @_;

    return request($nginx->port(1), $method, $path,
        headers => [ Authorization => 'Bearer a-token-of-some-length' ],
        $method eq 'POST' ? (body => '') : ());
}

sub deliver {
    my ($id) = @_;

    return post_event($nginx->port, '/events',
        event('file.written', id => $id), secret => $secret)->json->{status};
}


# an id is one segment of the URI as the client sent it

my $n = new_id();

for my $case (
    [ "$n-a/../$n-b" => "$n-a%2F..%2F$n-b" ],
    [ "$n/../../x" => "$n%2f%2e%2E%2f..%2Fx" ],
    [ "$n//x" => "$n%2F%2Fx" ],
    [ "$n/v1/targets" => "$n%2Fv1%2Ftargets" ],
    [ "$n/forget" => "$n%2Fforget" ],
    [ "$n?x=1#y" => "$n%3Fx=1%23y" ],
    [ "$n%2Fx" => "$n%252Fx" ],
    [ "$n x+y" => "$n%20x+y" ],
) {
    my ($id, $encoded) = @$case;

    is(deliver($id), 'accepted', $id);

    my $r = call(GET => "/trove/v1/events/$encoded");
    is($r->status, 200, "$encoded is shown");
    is($r->json->{event}{id}, $id, 'it is this one');

    is_deeply(call(POST => "/trove/v1/events/$encoded/forget")->json,
        { id => $id, forgotten => JSON::PP::true() }, 'and forgotten');
    is(deliver($id), 'accepted', 'it is accepted again');
}

# what is left of an id by a normalization is another event

is(deliver("$n-b"), 'accepted', 'the other one');
is_deeply(call(POST => "/trove/v1/events/$n-z%2F..%2F$n-b/forget")->json,
    { id => "$n-z/../$n-b", forgotten => JSON::PP::false() }, 'is not meant');
is(deliver("$n-b"), 'duplicate', 'and is not forgotten');

for my $path ("z/../$n-b", "z/%2e%2E/$n-b", "./$n-b") {
    isnt(call(POST => "/trove/v1/events/$path/forget")->status, 200,
        "dot segment: $path");
}

for my $path ("/$n-b", "a/v1/events/$n-b", "a/b/$n-b") {
    is(call(POST => "/trove/v1/events/$path/forget")->status, 404,
        "slash: $path");
}

is(deliver("$n-b"), 'duplicate', 'still not forgotten');


# where the API begins

for my $prefix (qw{ /trove /ops /bare /v1/tenant /v1/tenant/deeper
    /re/v1/any /rewritten /internal })
{
    is(call(GET => "$prefix/v1/targets")->status, 200, "$prefix: targets");
    is(call(GET => "$prefix/v1/events/$n-b")->status, 200, "$prefix: an event");
    is(call(GET => "$prefix/v1/nothing")->status, 404, "$prefix: nothing");
}

is(call(GET => '/v1/one/v1/targets')->status, 200, 'a location of one path');
is(call(GET => '/tr%6Fve/v1/targets')->status, 200, 'an encoded letter');
is(call(GET => '/trove/v1/targets?')->status, 200, 'no arguments');

# the URI as received no longer says where an id ends

for my $prefix (qw{ /rewritten /internal }) {
    for my $id ("z%2F..%2F$n-b", "z/../$n-b", "/$n-b", "%2E/$n-b") {
        is(call(POST => "$prefix/v1/events/$id/forget")->status, 400,
            "$prefix: $id");
    }

    is(call(POST => "$prefix/v1/events/%6E-none/forget")->status, 200,
        "$prefix: but for other characters");
}

is(deliver("$n-b"), 'duplicate', 'nor forgotten by these');


# methods

for my $case (
    [ DELETE => "events/$n-b" => 'GET, HEAD' ],
    [ POST => 'targets' => 'GET, HEAD' ],
    [ POST => 'deliveries/1' => 'GET, HEAD' ],
    [ PUT => 'test' => 'POST' ],
    [ GET => 'deliveries/replay' => 'POST' ],
    [ GET => "events/$n-b/forget" => 'POST' ],
    [ HEAD => 'targets/pause' => 'POST' ],
    [ OPTIONS => '' => 'GET, HEAD' ],
    [ DELETE => 'events/purge' => 'GET, HEAD, POST' ],
    [ GET => 'events/purge/forget' => 'POST' ],
    [ POST => 'events/purged' => 'GET, HEAD' ],
) {
    my ($method, $path, $allow) = @$case;
    my $r = call($method => "/trove/v1/$path");

    is($r->status, 405, "$method $path");
    is($r->header('Allow'), $allow, "but $allow");
}

is(call(DELETE => '/trove/v1/nothing')->status, 404, 'no path, no methods');
is(call(GET => "/trove/v1/deliveries/$_")->status, 404, "no delivery: $_")
    for qw/ 0 1x x 99999999999999999999 replayed /;

# a path of the API may be the id of an event

is(deliver('purge'), 'accepted', 'purge');
is(call(GET => '/trove/v1/events/purge')->json->{event}{id}, 'purge',
    'is shown');
is_deeply(call(POST => '/trove/v1/events/purge/forget')->json,
    { id => 'purge', forgotten => JSON::PP::true() }, 'and forgotten');


# the index

my $r = call(GET => '/trove/v1/');
is($r->status, 200, 'index');

my @calls = map { "$_->{method} $_->{path}" } @{ $r->json->{calls} };

is(scalar(grep { $_ eq 'POST /v1/events/{id}/forget' } @calls), 1,
    'a call of it');

my ($text) = do { local (@ARGV, $/) = 'docs/api.md'; <> };
my %documented = map { s/\b(?:ID|NUMBER)\b/{id}/gr => 1 }
    $text =~ m{^### ((?:GET|POST|PATCH|DELETE) /v1/.*)}mg;

is_deeply([ sort @calls ], [ sort keys %documented ], 'all are documented');


# pause: a mistyped name or location creates no target

sub targets {
    return map { "$_->{location} $_->{target} $_->{paused}" }
        @{ call(GET => '/trove/v1/targets')->json->{targets} };
}

my @before = targets();
is(@before, 1, 'one target so far') or diag("@before");

my ($location) = $before[0] =~ /^(.*) a 0$/;

for my $act (qw/ pause resume /) {
    for my $query ('target=aa', "target=aa&location=$location",
        'target=a&location=nowhere', 'target=&location=x')
    {
        my $r = call(POST => "/trove/v1/targets/$act?" . $query =~ s/ /%20/gr);
        is($r->status, $query =~ /=&/ ? 400 : 404, "$act: $query");
    }
}

is_deeply([ targets() ], \@before, 'nothing has changed');

is(call(POST => '/trove/v1/targets/pause?target=idle')->status, 200,
    'pause a target before its first event');
is(scalar(grep { /events idle 1$/ } targets()), 1, 'it is paused');

my $id = new_id();
is(post_event($nginx->port, '/events', event('idle.x', id => $id),
    secret => $secret)->status, 202, 'an event for it');
is(call(GET => "/trove/v1/deliveries?event=$id&target=idle")
    ->json->{deliveries}[0]{reason}, 'the target is paused', 'waits');
is($backend->count($id, '/idle'), 0, 'it has not been sent');

is(call(POST => '/trove/v1/targets/resume?target=idle&location='
    . $location =~ s/ /%20/gr)->status, 200, 'resume it');
ok(wait_until { $backend->count($id, '/idle') }, 'it is sent');


# dates

is(call(GET => "/trove/v1/deliveries?since=$_")->status, 400, "no date: $_")
    for qw/ 2026-02-29 2026-02-30 2100-02-29 2026-13-01 2026-00-10 2026-04-31
    2026-04-00 2026-04-30T24:00:00Z 2026-04-30T24:61:00Z 2026-04-30T12:60:00Z
    2026-04-30T12:00:61Z 1970-01-01T00:00:00%2B01:00 2026-4-30 20260430T1 /;

is(call(GET => "/trove/v1/deliveries?since=$_")->status, 200, "a date: $_")
    for qw/ 2024-02-29 2000-02-29 2026-12-31 2026-04-30T23:59:59.999Z
    2026-04-30T12:00:00%2B02:00 /;

done_testing();
