#!/usr/bin/perl

# Subscriptions that are made by the API of the vendor: which events they get,
# how these are signed, and what changes of a subscription do.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $target = backend();
my $hook = backend();

my $nginx = nginx(subscription_conf(
    retry => 'base=100ms factor=1 max=100ms window=1h',
    targets => [ audit => { to => $target } ],
), workers => 2)->start;

my $base = 'http://127.0.0.1:' . $hook->port;

sub url { return "$base/$_[0]" }

sub send_event {
    my ($id, $type, %over) = @_;

    my $r = spool_send($nginx, $id, $type, %over);
    is($r->status, 202, "$id is accepted");

    return $r->json;
}


# the paths that have had an event, in their order

sub got {
    my ($id) = @_;

    return join ' ', sort map { $_->{uri} =~ s{^/}{}r } $hook->by_id($id);
}


sub got_is {
    my ($id, $paths, $name) = @_;

    my @paths = split ' ', $paths;

    wait_until { my @got = split ' ', got($id); @got >= @paths };
    is(got($id), join(' ', sort @paths), $name);
}


# matching

my %made = map { $_->[0] => hooks_create($nginx, url($_->[0]), @{ $_->[1] }) } (
    [ all => [] ],
    [ acme => [ namespace => 'customer-acme' ] ],
    [ other => [ namespace => 'customer-acm' ] ],
    [ files => [ events => [ 'file.written', 'file.*' ] ] ],
    [ exec => [ namespace => 'customer-acme', events => [ 'exec.*' ] ] ],
    [ elsewhere => [ workspace => 'ws-2' ] ],
);

like($made{all}{signing_secret}, qr/^trove-whsec-[0-9a-f]{64}$/,
    'a secret of its own');
isnt($made{all}{signing_secret}, $made{acme}{signing_secret}, 'each has one');

is(send_event('evt-1', 'file.written')->{deliveries}, 4,
    'the number of deliveries counts the subscriptions');
got_is('evt-1', 'all acme files', 'by namespace and type');

send_event('evt-2', 'exec.completed', namespace => undef);
got_is('evt-2', 'all', 'an event without a namespace');

send_event('evt-3', 'file', namespace => 'customer-acm');
got_is('evt-3', 'all other', 'a namespace is compared as a whole');

send_event('evt-4', 'exec.completed', workspace_id => 'ws-2');
got_is('evt-4', 'elsewhere', 'a workspace of its own');

send_event('evt-5', 'exec.completed', namespace => 'Customer-Acme');
got_is('evt-5', 'all', 'the case counts');

ok($target->wait_count(1, "evt-$_"), "the target has event $_") for 1 .. 5;


# the request

my ($request) = grep { $_->{uri} eq '/acme' } $hook->by_id('evt-1');

is(hooks_verify($request, $made{acme}{signing_secret}), 1,
    'signed with the secret of the subscription');
is(hooks_secrets($request), 1, 'and with no other');
is($request->{method}, 'POST', 'by POST');
is($hook->header($request, 'Content-Type'), 'application/json', 'JSON');
is($hook->header($request, 'X-Trove-Event'), 'file.written', 'the type');
is($hook->header($request, 'Host'), '127.0.0.1:' . $hook->port, 'the host');

my %known = map { lc $_ => 1 } qw/
    Host Connection Content-Length Content-Type User-Agent Accept
    X-Trove-Signature X-Trove-Event X-Trove-Event-Id
/;

is_deeply([ grep { !$known{ lc $_ } } map { $_->[0] } @{ $request->{headers} } ],
    [], 'no other headers');


# rotation

my $r = hooks_call($nginx,
    POST => "ws-test/webhooks/$made{acme}{webhook_id}/rotate");

is($r->status, 200, 'rotate');
my $new = $r->json->{signing_secret};
like($new, qr/^trove-whsec-[0-9a-f]{64}$/, 'a new secret');

send_event('evt-rotated', 'file.deleted');
got_is('evt-rotated', 'all acme files', 'after the rotation');
($request) = grep { $_->{uri} eq '/acme' } $hook->by_id('evt-rotated');

is(hooks_secrets($request), 2, 'signed twice');
is(hooks_verify($request, $made{acme}{signing_secret}), 1, 'the old one first');
is(hooks_verify($request, $new), 2, 'the new one last');


# pause, with a URL that is changed meanwhile

my $path = "ws-test/webhooks/$made{acme}{webhook_id}";

is(hooks_call($nginx, PATCH => $path, { enabled => JSON::PP::false })->status,
    200, 'pause');
send_event('evt-paused', 'key.created');
got_is('evt-paused', 'all', 'nothing is sent to a paused one');

$r = hooks_call($nginx, PATCH => $path, { url => url('moved'),
    enabled => JSON::PP::true });
is($r->status, 200, 'resume');
is($r->json->{url}, url('moved'), 'with another URL');
got_is('evt-paused', 'all moved', 'what waited goes to the new URL');


# a failed attempt is repeated, to the URL as it is then

$hook->on('/moved', status => 503);
send_event('evt-retried', 'key.revoked');
ok((wait_until { grep { $_->{uri} eq '/moved' } $hook->by_id('evt-retried') }),
    'an attempt fails');

is(hooks_call($nginx, PATCH => $path, { url => url('healed') })->status, 200,
    'another URL');
ok((wait_until { got('evt-retried') =~ /healed/ }), 'the next attempt goes there');

$r = hooks_call($nginx, GET => 'ws-test/webhooks')->json;
my ($listed) = grep { $_->{webhook_id} eq $made{acme}{webhook_id} }
    @{ $r->{webhooks} };

ok((wait_until {
    ($listed) = grep { $_->{webhook_id} eq $made{acme}{webhook_id} }
        @{ hooks_call($nginx, GET => 'ws-test/webhooks')->json->{webhooks} };
    $listed->{last_delivery_ok};
}), 'the list tells the last delivery');
is($listed->{last_delivery_status}, 200, 'its status');
ok(!exists $listed->{signing_secret}, 'and no secret');


# the test call

$r = hooks_call($nginx, POST => "$path/test");
is($r->status, 200, 'test');
ok($r->json->{ok}, 'succeeds');
is($r->json->{status}, 200, 'with the status of the URL');
is(got($r->json->{event_id}), 'healed', 'the event went to it alone');

$hook->on('/healed', status => 418);
$r = hooks_call($nginx, POST => "$path/test");
is($r->status, 200, 'a test that fails');
ok(!$r->json->{ok}, 'says so');
is($r->json->{status}, 418, 'with the status');
$hook->on('/healed');


# deletion

$hook->on('/healed', status => 500);
send_event('evt-deleted', 'key.revoked');
ok((wait_until { got('evt-deleted') =~ /healed/ }), 'an attempt fails');

$r = hooks_call($nginx, DELETE => $path);
is($r->status, 200, 'delete');
is_deeply($r->json, { webhook_id => $made{acme}{webhook_id},
    deleted => JSON::PP::true }, 'as the vendor says it');

my $attempts = () = got('evt-deleted') =~ /healed/g;

send_event('evt-after', 'file.written');
got_is('evt-after', 'all files', 'nothing is sent to a deleted one');
is((() = got('evt-deleted') =~ /healed/g), $attempts, 'nor anything again');
is(hooks_call($nginx, DELETE => $path)->status, 404, 'it is unknown now');
is(hooks_call($nginx, POST => "$path/test")->status, 404, 'for a test, too');


# 410 disables

$hook->on('/all', status => 410);
send_event('evt-gone', 'file.written', namespace => undef);
got_is('evt-gone', 'all files', 'an attempt is answered 410');

ok((wait_until {
    !(grep { $_->{webhook_id} eq $made{all}{webhook_id} }
        @{ hooks_call($nginx, GET => 'ws-test/webhooks')->json->{webhooks} }
    )[0]{enabled};
}), 'the subscription is disabled');

ok($nginx->wait_log(qr/subscription "$made{all}{webhook_id}" .* was disabled/),
    'the log says so');

ok((wait_until {
    grep { ($target->header($_, 'X-Trove-Event') // '') eq 'webhook.disabled' }
        $target->requests;
}), 'the target of the operator has an event');

my ($notice) = grep {
    ($target->header($_, 'X-Trove-Event') // '') eq 'webhook.disabled'
} $target->requests;
$notice = JSON::PP::decode_json($notice->{body});
is($notice->{type}, 'webhook.disabled', 'of its type');
is($notice->{data}{webhook_id}, $made{all}{webhook_id}, 'with the id');
is($notice->{workspace_id}, 'ws-test', 'of the workspace');

send_event('evt-later', 'file.written', namespace => undef);
got_is('evt-later', 'files', 'it gets no more events');


# a URL that is not allowed any more is not asked

my $count = $hook->count;

$nginx->reload(subscription_conf(
    retry => 'base=100ms factor=1 max=100ms window=1h',
    allow => '127.1.0.0/16',
    targets => [ audit => { to => $target } ],
));

$count = $hook->count;
send_event('evt-denied', 'file.written');
ok($target->wait_count(1, 'evt-denied'), 'the target has it');
ok((wait_until {
    my ($d) = grep { $_->{target} eq $made{files}{webhook_id} }
        spool_deliveries($nginx, "event=evt-denied");
    $d && $d->{attempts};
}), 'an attempt fails');
is($hook->count, $count, 'without a connection');

is(hooks_call($nginx, POST => 'ws-test/webhooks', { url => url('no'),
    events => ['*'], namespace => undef, description => undef })->status, 422,
    'nor can it be created');

my $log = $nginx->log;
unlike($log, qr/$made{$_}{signing_secret}/, "no secret of $_ in the log")
    for sort keys %made;

done_testing;
