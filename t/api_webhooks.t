#!/usr/bin/perl

# The calls of the API for subscriptions: their shapes, what they refuse, whom
# they serve, and what they leave behind where something fails.

use lib 't/lib';
use Trove;
use Trove::Subscription;

use JSON::PP ();

my $hook = backend();
my $target = backend();
my $base = 'http://127.0.0.1:' . $hook->port;

my %token = map { $_ => "a-token-of-the-$_-of-the-test" }
    qw/ acme other tenant viewer /;

my $http = <<"EOC";
    trove_api_token acme $token{acme} workspace=ws-acme;
    trove_api_token other $token{other} workspace=ws-other;
    trove_api_token tenant $token{tenant} workspace=ws-acme namespace=one;
    trove_api_token viewer $token{viewer} read;
EOC

my $nginx = nginx(subscription_conf(
    retry => 'base=100ms factor=1 max=100ms window=1h',
    http => $http,
    deliver => 'proxy_read_timeout 60s;',
    targets => [ audit => { to => $target } ],
), workers => 2)->start;

my $json = JSON::PP->new->canonical->utf8;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);


# a call by a token, with a body, which may be a reference or text

sub call {
    my ($name, $method, $path, $body, %opt) = @_;

    my $token = $token{$name} // 'a-token-of-some-length';

    $body = $json->encode($body) if ref $body;
    $body = '' if !defined $body && $method eq 'POST';

    return request($nginx->port(99), $method, "/trove/v1/$path",
        headers => [ Authorization => "Bearer $token",
            @{ delete $opt{headers} // [] } ],
        defined $body ? (body => $body) : (), %opt);
}


my %body = (url => "$base/hook", events => ['*'], namespace => undef,
    description => undef);

sub create {
    my ($name, $workspace, %over) = @_;

    return call($name, POST => "workspaces/$workspace/webhooks",
        { %body, %over });
}


sub listed {
    my ($name, $workspace, $query) = @_;

    return @{ call($name, GET => "workspaces/$workspace/webhooks"
        . ($query // ''))->json->{webhooks} };
}


my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;


# one that never answers: the response is awaited at the end

$hook->on('/hangs', gate => 'closed');
$hook->close_gate('closed');

my $hangs = create(default => 'ws-hangs', url => "$base/hangs")->json;
my $waiting = conn($nginx->port(99));
my $asked = time;

$waiting->send(Trove::Http::build(
    POST => "/trove/v1/workspaces/ws-hangs/webhooks/$hangs->{webhook_id}/test",
    headers => [ Authorization => 'Bearer a-token-of-some-length',
        'Content-Length' => 0 ]));


# the shapes

is_deeply(call(default => GET => 'workspaces/ws-acme/webhooks')->json,
    { webhooks => [], next_cursor => undef }, 'none at first');

my $r = create(default => 'ws-acme', description => "a h\x{f6}ok",
    events => [ 'file.*', 'exec.completed' ]);

is($r->status, 201, 'created');
is($r->header('Cache-Control'), 'no-store', 'not to be cached');
is($r->header('Content-Type'), 'application/json', 'in JSON');

my $one = $r->json;

like($one->{webhook_id}, qr/^wh-[0-9a-f]{24}$/, 'its id');
like($one->{signing_secret}, qr/^trove-whsec-[0-9a-f]{64}$/, 'its secret');
like($one->{created_at}, $time, 'its time');
is_deeply([ sort keys %$one ], [ qw/ created_at description enabled events
    namespace signing_secret url webhook_id / ], 'the members of the vendor');
is_deeply([ @$one{qw/ url events namespace description enabled /} ],
    [ "$base/hook", [ 'file.*', 'exec.completed' ], undef, "a h\x{f6}ok",
    $true ], 'their values');

my $path = "workspaces/ws-acme/webhooks/$one->{webhook_id}";

$r = call(default => GET => $path);
is($r->status, 200, 'one');

my %shown = %$one;
delete $shown{signing_secret};

is_deeply($r->json, { %shown, last_delivery_ok => undef,
    last_delivery_at => undef, last_delivery_status => undef,
    pending => 0, inflight => 0, delivered => 0, failed => 0, cancelled => 0,
    failures => 0, failing_since => undef, disabled_reason => undef,
    disabled_at => undef, changed_at => $r->json->{changed_at} },
    'with its state, but no secret');

is_deeply([ listed(default => 'ws-acme') ], [ $r->json ], 'the list has it');
is_deeply([ listed(default => 'ws-other') ], [], 'of this workspace only');
is(call(default => HEAD => $path)->status, 200, 'HEAD');

my $same = $r->json;

$r = call(default => PATCH => $path, {});
is($r->status, 200, 'a change of nothing');
is_deeply($r->json, $same, 'changes nothing');

for (
    [ url => "$base/other" ],
    [ events => [ 'key.*' ] ],
    [ events => undef, ['*'] ],
    [ namespace => 'customer' ],
    [ namespace => undef ],
    [ description => 'other' ],
    [ description => '' ],
    [ description => undef ],
    [ enabled => $false ],
    [ enabled => $true ],
) {
    my ($member, $value, $shown) = @$_;

    $r = call(default => PATCH => $path, { $member => $value, unknown => [ 1 ],
        webhook_id => 'wh-1' });
    is($r->status, 200, "a change of $member");
    $same->{$member} = $shown // $value;
    $same->{changed_at} = $r->json->{changed_at};
    is_deeply($r->json, $same, 'and of nothing else');
}

$r = call(default => POST => "$path/rotate");
is($r->status, 200, 'rotated');
is_deeply([ sort keys %{ $r->json } ],
    [ qw/ previous_until signing_secret webhook_id / ], 'the members');
isnt($r->json->{signing_secret}, $one->{signing_secret}, 'another secret');

sub kept {
    return milliseconds($_[0]->json->{previous_until}) / 1000 - time;
}

cmp_ok(abs(kept($r) - 86400), '<', 60, 'the old one is kept for a day');

for my $seconds (0, 1, 604800) {
    $r = call(default => POST => "$path/rotate", { keep_seconds => $seconds });
    cmp_ok(abs(kept($r) - $seconds), '<', 60, "or for $seconds seconds");
}

for my $bad (-1, 604801, '1.5', '1e3', '"1"', 'true', '[]', '{}',
    '99999999999999999999')
{
    $r = call(default => POST => "$path/rotate", "{\"keep_seconds\":$bad}");
    is($r->status, 422, "but not for $bad");
    like($r->json->{detail}, qr/"keep_seconds" must be .*604800/,
        'which is why');
}

$r = call(default => DELETE => $path);
is($r->status, 200, 'deleted');
is_deeply($r->json, { webhook_id => $one->{webhook_id}, deleted => $true },
    'the members');

for ([ 'GET' ], [ 'PATCH', '{}' ], [ 'DELETE' ], [ 'POST', '', '/rotate' ],
    [ 'POST', '', '/test' ])
{
    my ($method, $body, $more) = @$_;

    $r = call(default => $method => $path . ($more // ''), $body);
    is($r->status, 404, "gone: $method");
    is($r->json->{detail}, 'no such subscription', 'which is why');
}

is(call(default => @$_[0, 1])->status, $_->[2], "$_->[0] $_->[1]") for (
    [ PUT => $path, 405 ],
    [ DELETE => 'workspaces/ws-acme/webhooks', 405 ],
    [ GET => "$path/rotate", 405 ],
    [ GET => 'workspaces/ws-acme/webhooks/', 404 ],
    [ GET => 'workspaces//webhooks', 404 ],
    [ GET => "$path/other", 404 ],
    [ GET => 'workspaces/ws-acme/webhooks?state=failed', 400 ],
    [ GET => 'workspaces/ws-acme/webhooks?namespace=one', 400 ],
    [ GET => 'workspaces/ws-acme/webhooks?limit=0', 400 ],
    [ GET => 'workspaces/ws-acme/webhooks?cursor=1-1-1-1', 400 ],
    [ GET => 'workspaces/ws-acme/webhooks/%2e%2e', 400 ],
    [ GET => 'workspaces/ws-acme/webhooks/a%00b', 400 ],
    [ GET => "workspaces/ws-acme/webhooks/' OR 1", 400 ],
    [ GET => "workspaces/ws-acme/webhooks/'%20OR%201=1--", 404 ],
);

is(call(default => PUT => $path)->header('Allow'), 'GET, HEAD, PATCH, DELETE',
    'what is allowed');

# a name of a workspace may have anything that can be shown

for my $ws ('ws-a%20b%2Fc', 'ws-%C3%B6', 'x') {
    is(create(default => $ws)->status, 201, "a workspace $ws");
    is(scalar(listed(default => $ws)), 1, 'it is there');
}

is(create(default => $_)->status, 404, "no workspace $_") for
    'ws-%0a', 'ws-%ff', 'x' x 256;


# bodies that are refused

sub with {
    my (%over) = @_;

    return $json->encode({ %body, %over });
}

my $many = $json->encode({ %body, events => [ map { "e$_" } 1 .. 10_000 ] });
substr($many, 65536) = '' if length $many > 65536;

for (
    [ '', 400, 'not JSON' ],
    [ ' ', 400, 'not JSON' ],
    [ '{', 400, 'not JSON' ],
    [ '{"url":"x"', 400, 'not JSON' ],
    [ '{"url":"x', 400, 'not JSON' ],
    [ '{"url":}', 400, 'not JSON' ],
    [ '{} {}', 400, 'not JSON' ],
    [ '{}x', 400, 'not JSON' ],
    [ "{}\x0c", 400, 'not JSON' ],
    [ "{\"url\":\"a\nb\"}", 400, 'not JSON' ],
    [ "{'url':'x'}", 400, 'not JSON' ],
    [ '{"url":"x",}', 400, 'not JSON' ],
    [ '/* */ {}', 400, 'not JSON' ],
    [ "\xef\xbb\xbf{}", 400, 'not JSON' ],
    [ "{\"url\":\"\xff\"}", 400, 'not JSON' ],
    [ "{\"url\":\"\xc0\x80\"}", 400, 'not JSON' ],
    [ "{\"url\":\"\xc3", 400, 'not JSON' ],
    [ '{"url":"\ud800"}', 400, 'not JSON' ],
    [ '{"url":"\udc00"}', 400, 'not JSON' ],
    [ '{"url":"\ud83dx"}', 400, 'not JSON' ],
    [ '{"url":"\u12"}', 400, 'not JSON' ],
    [ '{"x":' . '[' x 127 . ']' x 127 . '}', 422, '"url" is missing' ],
    [ '{"x":' . '[' x 128 . ']' x 128 . '}', 400, 'nested too deeply' ],
    [ '{"events":' . '[' x 200 . ']' x 200 . '}', 400, 'nested too deeply' ],
    [ '[' x 30000, 400, 'nested too deeply' ],
    [ 'null', 422, 'must be a JSON object' ],
    [ '1', 422, 'must be a JSON object' ],
    [ '"url"', 422, 'must be a JSON object' ],
    [ '[]', 422, 'must be a JSON object' ],
    [ '["url"]', 422, 'must be a JSON object' ],
    [ '{}', 422, '"url" is missing' ],
    [ '{"URL":"x"}', 422, '"url" is missing' ],
    [ '{"a":{"url":"x"}}', 422, '"url" is missing' ],
    [ with(url => undef), 422, '"url" must be a string' ],
    [ with(url => 1), 422, '"url" must be a string' ],
    [ with(url => {}), 422, '"url" must be a string' ],
    [ with(url => ['x']), 422, '"url" must be a string' ],
    [ with(url => $true), 422, '"url" must be a string' ],
    [ with(url => ''), 422, '"url" ' ],
    [ with(url => 'ftp://a.example/'), 422, '"url" must begin with' ],
    [ with(url => 'https://169.254.169.254/'), 422, '"url" has an address' ],
    [ with(url => 'https://a:b@a.example/'), 422, '"url" must not contain a' ],
    [ with(url => "https://a.example/\0"), 422, '"url" contains' ],
    [ with(url => 'https://a.example/' . 'x' x 2048), 422, '"url" must not b' ],
    [ '{"url":"https://a.example","url":"https://a.example"}', 422,
        '"url" is there twice' ],
    [ '{"url":"https://a.example","\u0075rl":"https://a.example"}', 422,
        '"url" is there twice' ],
    [ with(events => 'x'), 422, '"events" must be an array' ],
    [ with(events => {}), 422, '"events" must be an array' ],
    [ with(events => { a => 'b' }), 422, '"events" must be an array' ],
    [ with(events => [ 'a', 1 ]), 422, '"events" must be an array' ],
    [ with(events => [ undef ]), 422, '"events" must be an array' ],
    [ with(events => [ ['a'] ]), 422, '"events" must be an array' ],
    [ with(events => [ { a => 'b' }, 'c' ]), 422, '"events" must be an' ],
    [ with(events => []), 422, '"events" must not be empty' ],
    [ with(events => ['']), 422, 'a name in "events" must not be empty' ],
    [ with(events => [ 'a', '' ]), 422, 'a name in "events" must not be e' ],
    [ with(events => ['a*b']), 422, 'a name in "events" may have "*" only' ],
    [ with(events => ["a\nb"]), 422, 'a name in "events" must not contain' ],
    [ with(events => ['x' x 256]), 422, 'a name in "events" must not be lo' ],
    [ with(events => [ map { "e$_" } 1 .. 101 ]), 422,
        '"events" may have 100 names' ],
    [ with(events => [ map { "$_" } 1 .. 9000 ]), 422,
        '"events" may have 100 names' ],
    [ with(namespace => 1), 422, '"namespace" must be a string or null' ],
    [ with(namespace => ['a']), 422, '"namespace" must be a string or null' ],
    [ with(namespace => ''), 422, '"namespace" must not be empty' ],
    [ with(namespace => "\x{7f}"), 422, '"namespace" must not contain' ],
    [ with(namespace => 'x' x 256), 422, '"namespace" must not be longer' ],
    [ with(description => $false), 422, '"description" must be a string or' ],
    [ with(description => 'x' x 1001), 422, '"description" must not be long' ],
    [ with(description => "a\tb"), 422, '"description" must not contain' ],
    [ with(enabled => 'true'), 422, '"enabled" must be true or false' ],
    [ with(enabled => undef), 422, '"enabled" must be true or false' ],
    [ with(enabled => 1), 422, '"enabled" must be true or false' ],
) {
    my ($text, $status, $detail) = @$_;

    my $name = substr $text, 0, 40;
    $name =~ s/[^ -~]/./g;

    $r = call(default => POST => 'workspaces/ws-bad/webhooks', $text);
    is($r->status, $status, "refused: $name");
    like($r->json->{detail}, qr/\Q$detail\E/, 'which is why');
    cmp_ok(length $r->json->{detail}, '<', 120, 'in short');
}

is_deeply([ listed(default => 'ws-bad') ], [], 'none of them was created');

# and those that are not

for (
    [ 'the URL alone' => $json->encode({ url => "$base/x" }) ],
    [ 'null' => with(events => undef) ],
    [ 'unknown members' => with(secret => [ { a => 1e300 } ], id => 1) ],
    [ 'the same name twice' => with(events => [ 'a', 'a' ]) ],
    [ 'a hundred names' => with(events => [ map { "e$_" } 1 .. 100 ]) ],
    [ 'long names' => with(events => ['x' x 255], namespace => 'x' x 255,
        description => 'x' x 1000) ],
    [ 'any script' => with(namespace => "\x{441}\x{1f512}", events =>
        ["\x{e9}*"], description => "\x{202e}\"<script>\\") ],
    [ 'escapes' => '{"url":"' . $base . '\u002f\ud83d\udd12x"}', 422 ],
    [ 'escaped names' => '{"\u0075rl":"' . $base . '\/x","namespace":'
        . '"\ud83d\udd12"}' ],
    [ 'blanks' => "\r\n\t " . with() . "\n\n" ],
    [ 'not enabled' => with(enabled => $false) ],
) {
    my ($name, $text, $status) = @$_;

    $r = call(default => POST => 'workspaces/ws-good/webhooks', $text);
    is($r->status, $status // 201, "allowed: $name")
        or diag($r->body);
}

my @good = listed(default => 'ws-good');

is($good[0]{events}[0], '*', 'all events by default');
is($good[6]{namespace}, "\x{441}\x{1f512}", 'what was sent comes back');
is($good[6]{description}, "\x{202e}\"<script>\\", 'as it was');
is($good[-1]{enabled}, $false, 'the one that is not enabled');


# how a body is sent

for my $type ('text/plain', 'application/x-www-form-urlencoded', '') {
    $r = call(default => POST => 'workspaces/ws-sent/webhooks', with(),
        headers => [ 'Content-Type' => $type ]);
    is($r->status, 201, "a body as '$type'");
}

is(call(default => POST => 'workspaces/ws-sent/webhooks', with(),
    chunked => $_)->status, 201, "in chunks of $_") for 1, 7, 1000;

my $pad = ' ' x (65536 - length with());

is(call(default => POST => 'workspaces/ws-sent/webhooks', with() . $pad)
    ->status, 201, '64 KB');
is(call(default => POST => 'workspaces/ws-sent/webhooks', with() . $pad,
    chunked => 5000)->status, 201, '64 KB in chunks');

for my $size (1, 100_000, 900_000) {
    for my $chunked (0, 8192) {
        $r = call(default => POST => 'workspaces/ws-large/webhooks',
            with() . $pad . ' ' x $size, chunked => $chunked);
        is($r->status, 413, "$size bytes too many, chunks of $chunked");
        like($r->json->{detail}, qr/64 KB/, 'which is why');
    }
}

$r = call(default => POST => 'workspaces/ws-large/webhooks', ' ' x 10_000_000);
is($r ? $r->status : 413, 413, '10 MB');
is_deeply([ listed(default => 'ws-large') ], [], 'none of them was created');

my $text = with();
my $head = "POST /trove/v1/workspaces/ws-slow/webhooks HTTP/1.1\r\n"
    . "Host: localhost\r\nAuthorization: Bearer a-token-of-some-length\r\n"
    . 'Content-Length: ' . length($text) . "\r\n\r\n";

my $slow = conn($nginx->port(99));
$slow->send($head, map { substr $text, $_, 1 } 0 .. length($text) - 1);
is($slow->response->status, 201, 'byte by byte');

# the next request on the connection is not part of the body

$slow->send($head . $text . $head . $text);
is($slow->response->status, 201, 'two at once');
is($slow->response->status, 201, 'the second one');

# clients that leave

for my $part (0, 1, length($text) - 1) {
    my $gone = conn($nginx->port(99));
    $gone->send($head . substr $text, 0, $part);
    $gone->close;
}

my $gone = conn($nginx->port(99));
$gone->send($head =~ s/slow/left/r . $text);
$gone->close;

is(scalar(listed(default => 'ws-slow')), 3, 'half a body makes nothing');


# tokens

my %of = (
    acme => create(acme => 'ws-acme', namespace => 'two')->json,
    tenant => create(tenant => 'ws-acme')->json,
    other => create(other => 'ws-other', namespace => 'one')->json,
    all => create(acme => 'ws-acme')->json,
);

is($of{tenant}{namespace}, 'one', 'null is the namespace of the token');
is(create(tenant => 'ws-acme', namespace => 'one')->status, 201, 'or its name');

$r = create(tenant => 'ws-acme', namespace => 'two');
is($r->status, 422, 'no other');
like($r->json->{detail}, qr/"namespace" must be null, or that of the token/,
    'which is why');

is(create(acme => 'ws-other')->status, 404, 'nor another workspace');
is(create(viewer => 'ws-acme')->status, 403, 'nor by one that reads');

for my $name (sort keys %of) {
    my $ws = $name eq 'other' ? 'ws-other' : 'ws-acme';
    my $path = "workspaces/$ws/webhooks/$of{$name}{webhook_id}";

    for my $by (qw/ acme other tenant /) {
        next if $by eq $name || ($by eq 'acme' && $name ne 'other');

        is(call($by, @$_)->status, 404, "$by: $_->[0] of $name") for (
            [ GET => $path ], [ PATCH => $path, '{"enabled":false}' ],
            [ DELETE => $path ], [ POST => "$path/rotate" ],
            [ POST => "$path/test" ],
        );
    }

    is(call(viewer => GET => $path)->status, 200, "one reads $name");
    is(call(viewer => @$_)->status, 403, "but not: $_->[0]") for (
        [ PATCH => $path, '{}' ], [ DELETE => $path ],
        [ POST => "$path/rotate" ], [ POST => "$path/test" ],
    );
}

# by another path, too

is(call(acme => DELETE => "workspaces/ws-acme/webhooks/$of{other}{webhook_id}")
    ->status, 404, 'in the wrong workspace');

is(scalar(listed(tenant => 'ws-acme')), 2, 'a list of a namespace');
is(scalar(listed(acme => 'ws-acme')), 4, 'a list of a workspace');
is(scalar(listed(viewer => 'ws-acme')), 4, 'a list to read');

my $own = "workspaces/ws-acme/webhooks/$of{tenant}{webhook_id}";

is(call(tenant => PATCH => $own, { namespace => 'two' })->status, 422,
    'it is not given to another namespace');
is(call(tenant => PATCH => $own, { namespace => undef })->json->{namespace},
    'one', 'null stays the namespace of the token');


# the audit log

is(call(tenant => POST => "$own/rotate", { keep_seconds => 5 })->status, 200,
    'rotate');
is(call(tenant => PATCH => $own, { enabled => $false, url => "$base/q?s=1" })
    ->status, 200, 'change');
is(call(tenant => DELETE => $own)->status, 200, 'delete');

my @audit = @{ call(tenant => GET => 'workspaces/ws-acme/audit?limit=3')
    ->json->{audit} };

is_deeply([ map { [ @$_{qw/ actor action webhook_id namespace detail /} ] }
    @audit ], [
        [ 'tenant', 'delete', $of{tenant}{webhook_id}, 'one', undef ],
        [ 'tenant', 'change', $of{tenant}{webhook_id}, 'one',
            'url, enabled=false' ],
        [ 'tenant', 'rotate', $of{tenant}{webhook_id}, 'one',
            'keep_seconds=5' ],
    ], 'the last changes');
like($audit[0]{at}, $time, 'when');

$r = call(acme => GET => 'workspaces/ws-acme/audit?limit=2')->json;
is(@{ $r->{audit} }, 2, 'a page');
ok($r->{next_cursor}, 'and more');
is(@{ call(acme => GET => 'workspaces/ws-acme/audit?limit=1&cursor='
    . $r->{next_cursor})->json->{audit} }, 1, 'the next page');
is(call(other => GET => 'workspaces/ws-acme/audit')->status, 404,
    "not another's");
is(scalar(grep { ($_->{namespace} // '') ne 'one' }
    @{ call(tenant => GET => 'workspaces/ws-acme/audit')->json->{audit} }), 0,
    'of a namespace');

my $line = qq{subscription "$of{tenant}{webhook_id}" of workspace "ws-acme" }
    . 'was deleted by token "tenant"';
ok($nginx->wait_log(qr/\[notice\].* \Q$line\E/), 'and in the log');


# tests of a subscription

my $id = create(default => 'ws-test', url => "$base/tested")
    ->json->{webhook_id};

sub test_call {
    return call(default => POST => "workspaces/ws-test/webhooks/$id/test",
        @_)->json;
}

my $t = test_call();
is_deeply([ @$t{qw/ ok status error /} ], [ $true, 200, undef ], 'a test');
like($t->{event_id}, qr/^evt-/, 'its event');

my ($request) = $hook->by_id($t->{event_id});
my $event = JSON::PP::decode_json($request->{body});

is($event->{id}, $t->{event_id}, 'the id');
is($event->{type}, 'webhook.test', 'the type');
is($event->{workspace_id}, 'ws-test', 'the workspace');
ok($event->{data}{message}, 'the message');

is(test_call('anything, { that is not JSON')->{ok}, $true,
    'its body is ignored');

$hook->on('/tested', status => 404);
$t = test_call();
is_deeply([ @$t{qw/ ok status /} ], [ $false, 404 ], 'a test that fails');
ok($t->{error}, 'with a text');

is(call(default => PATCH => "workspaces/ws-test/webhooks/$id",
    { enabled => $false, url => 'http://127.0.0.1:9/' })->status, 200,
    'another URL');
$t = test_call();
is($t->{ok}, $false, 'nobody listens there');
ok($t->{error}, 'with a text');
is($target->count, 0, 'no test went to the target of the operator');


# two at the same time, and many

my @responses = many($nginx->port(99), map {
    Trove::Http::build(POST => '/trove/v1/workspaces/ws-twice/webhooks',
        headers => [ Authorization => 'Bearer a-token-of-some-length' ],
        body => with(namespace => 'same'))
} 1 .. 20);

is(scalar(grep { $_ && $_->status == 201 } @responses), 20, 'many at once');

my %ids = map { $_->{webhook_id} => 1 } listed(default => 'ws-twice');
is(scalar(keys %ids), 20, 'each is one of its own');

my $conn;
my $created = 0;
my $started = time;

for my $batch (1 .. 200) {

    # NGINX closes it after a thousand requests

    $conn = conn($nginx->port(99)) if $batch % 20 == 1;
    $conn->send(join '', map {
        my $body = with(namespace => "n$batch-$_");

        "POST /trove/v1/workspaces/ws-many/webhooks HTTP/1.1\r\n"
            . "Host: localhost\r\n"
            . "Authorization: Bearer a-token-of-some-length\r\n"
            . 'Content-Length: ' . length($body) . "\r\n\r\n$body"
    } 1 .. 50);

    $created += ($conn->response->status == 201) for 1 .. 50;
}

note('10,000 were created in ' . (time - $started) . ' s');
is($created, 10_000, '10,000 are created');

$r = call(default => GET => 'workspaces/ws-many/webhooks')->json;
is(@{ $r->{webhooks} }, 1000, 'a list has a thousand');
ok($r->{next_cursor}, 'and a cursor');

my ($pages, $cursor, %seen) = (0, '');

while (defined $cursor) {
    $r = call(default => GET => "workspaces/ws-many/webhooks?limit=500$cursor")
        ->json;
    $seen{ $_->{webhook_id} }++ for @{ $r->{webhooks} };
    $cursor = defined $r->{next_cursor} ? "&cursor=$r->{next_cursor}" : undef;
    last if ++$pages > 30;
}

is(scalar(keys %seen), 10_000, 'all of them, by pages');
is($pages, 20, 'of the size that was asked for');


# DELETE while deliveries run

$hook->on('/busy', gate => 'busy');
$hook->close_gate('busy');

my $busy = hooks_create($nginx, "$base/busy", workspace => 'ws-busy');

spool_send($nginx, "evt-busy-$_", 'file.written', workspace_id => 'ws-busy')
    for 1 .. 20;

ok((wait_until { $hook->count('/busy') }), 'deliveries run');
is(call(default => DELETE => "workspaces/ws-busy/webhooks/$busy->{webhook_id}")
    ->status, 200, 'deleted meanwhile');
$hook->open_gate('busy');

ok((wait_until {
    !spool_deliveries($nginx, "target=$busy->{webhook_id}"
        . '&state=pending,inflight')
}), 'nothing waits for it');

is(spool_send($nginx, 'evt-after', 'file.written', workspace_id => 'ws-busy')
    ->json->{deliveries}, 1, 'a new event is for the target only');
is(scalar(grep { $_->{uri} eq '/busy' } $hook->by_id('evt-after')), 0,
    'not for it');


# the test that hangs

$r = $waiting->response(timeout => 40);
is($r->status, 200, 'a test that hangs is answered');
cmp_ok(time - $asked, '<', 40, 'in time');
is_deeply([ @{ $r->json }{qw/ ok status error /} ],
    [ $false, undef, 'timeout' ], 'with the reason');
$hook->open_gate('closed');


# nothing is left in the log

my $log = $nginx->log;

unlike($log, qr/trove-whsec-[0-9a-f]{64}/, 'no secret in the log');
unlike($log, qr/$token{$_}/, "nor the token $_") for sort keys %token;


# without subscriptions

$nginx->reload(spool_conf(targets => [ audit => { to => $target } ]));

$r = create(default => 'ws-acme');
is($r->status, 409, 'not without the directives');
like($r->json->{detail}, qr/"trove_subscriptions" and "trove_subscription_key"/,
    'which it names');
is(scalar(listed(default => 'ws-acme')), 3, 'they can be listed');

$id = $of{all}{webhook_id};

is(call(default => POST => "workspaces/ws-acme/webhooks/$id/rotate")->status,
    409, 'no new secret');
$t = call(default => POST => "workspaces/ws-acme/webhooks/$id/test")->json;
is($t->{ok}, $false, 'no test');
like($t->{error}, qr/not allowed/, 'which is why');
is(call(default => DELETE => "workspaces/ws-acme/webhooks/$id")->status, 200,
    'but they can be deleted');

done_testing;
