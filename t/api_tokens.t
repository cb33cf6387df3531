#!/usr/bin/perl

# Tokens of the API that are restricted to a workspace, to a namespace, or to
# reading: what each of them sees, and what it may do.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my %token = map { $_ => "a-token-of-the-$_-of-the-test" }
    qw/ acme other tenant anywhere viewer guest server /;

my $target = backend();
my $hook = backend();

my $nginx = nginx(subscription_conf(
    retry => 'base=20ms factor=1 max=20ms',
    targets => [ audit => { to => $target } ],
    http => <<"EOC",
    trove_api_token acme $token{acme} workspace=ws-acme;
    trove_api_token other $token{other} workspace=ws-other;
    trove_api_token tenant $token{tenant} workspace=ws-acme namespace=one;
    trove_api_token anywhere $token{anywhere} namespace=one;
    trove_api_token viewer $token{viewer} read;
    trove_api_token guest $token{guest} read workspace=ws-acme namespace=two;

    server {
        listen 127.0.0.1:%%PORT_98%%;
        trove_api_token server $token{server} workspace=ws-server;

        location /base/path/ { trove_api a-token-of-some-length; }
    }
EOC
))->start;


sub call {
    my ($name, $method, $path) = @_;

    my $token = $token{$name} // ($name eq 'default'
        ? 'a-token-of-some-length' : $name);

    return request($nginx->port(99), $method, "/trove/v1/$path",
        headers => [ Authorization => "Bearer $token" ],
        $method eq 'POST' ? (body => '') : ());
}


sub status { return call(@_)->status }


sub ids {
    my ($name, $path) = @_;

    my $r = call($name, GET => $path);
    return $r->status if $r->status != 200;

    my $json = $r->json;

    return join ' ', sort map { $_->{event_id} // $_->{id} }
        @{ $json->{events} // $json->{deliveries} };
}


# /v1/me

is(call(default => GET => 'me')->json->{workspace_id}, 'ws-gateway',
    'an empty spool has no workspace');

my @events = (
    [ 'evt-1', 'ws-acme', 'one' ], [ 'evt-2', 'ws-acme', 'two' ],
    [ 'evt-3', 'ws-acme', undef ], [ 'evt-4', 'ws-other', 'one' ],
    [ 'evt-5', 'ws-acme', 'one-more' ],
);

# a subscription of a tenant, and one that others have

my ($own, $all) = map {
    hooks_create($nginx, 'http://127.0.0.1:' . $hook->port . '/'
        . ($_ // 'all'), workspace => 'ws-acme', namespace => $_)->{webhook_id}
} 'one', undef;

$target->on('/audit', status => 410);

for (@events) {
    my ($id, $workspace, $namespace) = @$_;

    is(spool_send($nginx, $id, 'file.written', workspace_id => $workspace,
        namespace => $namespace)->status, 202, "$id is accepted");
}

sub settled {
    return wait_until {
        5 == spool_deliveries($nginx, 'state=failed')
            && 5 == spool_deliveries($nginx, 'state=delivered')
    };
}

ok(settled(), 'all have failed, or were delivered');

is_deeply(call(default => GET => 'me')->json, {
    workspace_id => 'ws-acme', key_id => 'key-default', key_name => 'default',
    scope => 'admin', namespace => undef, capabilities => [] },
    'who: the token of trove_api');
is_deeply(call(other => GET => 'me')->json, {
    workspace_id => 'ws-other', key_id => 'key-other', key_name => 'other',
    scope => 'workspace', namespace => undef, capabilities => [] },
    'who: one of a workspace');
is_deeply(call(tenant => GET => 'me')->json, {
    workspace_id => 'ws-acme', key_id => 'key-tenant', key_name => 'tenant',
    scope => 'namespace', namespace => 'one', capabilities => [] },
    'who: one of a namespace');
is_deeply(call(anywhere => GET => 'me')->json, {
    workspace_id => 'ws-other', key_id => 'key-anywhere',
    key_name => 'anywhere', scope => 'namespace', namespace => 'one',
    capabilities => [] }, 'who: of a namespace of any workspace');
is(call(viewer => GET => 'me')->json->{scope}, 'read', 'who: one that reads');
is(call(nobody => GET => 'me')->status, 401, 'who: nobody');
is(status(viewer => HEAD => 'me'), 200, 'HEAD');
is(status(viewer => POST => 'me'), 405, 'not POST');


# the login of the vendor

for my $name ('start', 'poll') {
    my $r = post($nginx->port(99), "/trove/v1/auth/device/$name", '{}');
    is($r->status, 404, "no login: $name");
    ok($r->json->{detail}, 'with a text');
}

is(get($nginx->port(99), '/trove/v1/auth/device')->status, 401, 'only these');
is(get($nginx->port(99), '/trove/v1/auth/device/start/x')->status, 401,
    'nothing below');

for my $method (qw/ GET POST DELETE /) {
    is(status(default => $method => "workspaces/ws-acme/$_"), 404,
        "no keys: $method $_") for 'keys', 'keys/key-1';
    is(status(nobody => $method => 'workspaces/ws-acme/keys'), 401,
        'nor without a token');
}


# lists

is(ids(@$_[0, 1]), $_->[2], "$_->[0]: $_->[1]") for (
    [ default => 'deliveries?target=audit', 'evt-1 evt-2 evt-3 evt-4 evt-5' ],
    [ viewer => 'deliveries?target=audit', 'evt-1 evt-2 evt-3 evt-4 evt-5' ],
    [ acme => 'deliveries?target=audit', 'evt-1 evt-2 evt-3 evt-5' ],
    [ acme => "deliveries?target=$all", 'evt-1 evt-2 evt-3 evt-5' ],
    [ acme => "deliveries?target=$own", 'evt-1' ],
    [ other => 'deliveries', 'evt-4' ],
    [ tenant => 'deliveries', 'evt-1' ],
    [ tenant => "deliveries?target=$own", 'evt-1' ],
    [ tenant => "deliveries?target=$all", '' ],
    [ tenant => 'deliveries?target=audit', '' ],
    [ anywhere => 'deliveries', 'evt-1' ],
    [ guest => 'deliveries', '' ],
    [ tenant => 'deliveries?namespace=one', 'evt-1' ],
    [ tenant => 'deliveries?namespace=two,on*', 'evt-1' ],
    [ tenant => 'deliveries?namespace=*', 'evt-1' ],
    [ tenant => 'deliveries?namespace=two', '' ],
    [ tenant => 'deliveries?namespace=one-*', '' ],
    [ tenant => 'deliveries?namespace=o', '' ],
    [ tenant => 'deliveries?event=evt-2', '' ],
    [ acme => 'deliveries?namespace=two&target=audit', 'evt-2' ],
    [ acme => 'workspaces/ws-acme/events', 'evt-1 evt-2 evt-3 evt-5' ],
    [ acme => 'workspaces/ws-other/events', 404 ],
    [ acme => 'workspaces/ws-acme2/events', 404 ],
    [ acme => 'workspaces/ws-acm/events', 404 ],
    [ tenant => 'workspaces/ws-acme/events', 'evt-1' ],
    [ tenant => 'workspaces/ws-acme/events?namespace=two', '' ],
    [ tenant => 'workspaces/ws-other/events', 404 ],
    [ anywhere => 'workspaces/ws-other/events', 'evt-4' ],
    [ viewer => 'workspaces/ws-other/events', 'evt-4' ],
);


# one event, one delivery

sub numbers {
    my ($target) = @_;

    return map { $_->{event_id} => $_->{id} }
        @{ call(default => GET => "deliveries?target=$target")
            ->json->{deliveries} };
}

my %delivery = numbers('audit');
my %mine = numbers($own);
my %others = numbers($all);

is(status($_->[0] => GET => "events/$_->[1]"), $_->[2], "$_->[0]: $_->[1]")
    for (
    [ acme => 'evt-1', 200 ],
    [ acme => 'evt-4', 404 ],
    [ tenant => 'evt-1', 200 ],
    [ tenant => 'evt-2', 404 ],
    [ tenant => 'evt-3', 404 ],
    [ anywhere => 'evt-4', 200 ],
    [ viewer => 'evt-4', 200 ],
);

is(status($_->[0] => GET => "deliveries/$_->[1]"), $_->[2],
    "$_->[0]: the delivery $_->[1]") for (
    [ acme => $delivery{'evt-1'}, 200 ],
    [ acme => $delivery{'evt-4'}, 404 ],
    [ acme => $others{'evt-1'}, 200 ],
    [ tenant => $mine{'evt-1'}, 200 ],
    [ tenant => $delivery{'evt-1'}, 404 ],
    [ tenant => $others{'evt-1'}, 404 ],
    [ tenant => $others{'evt-2'}, 404 ],
    [ anywhere => $mine{'evt-1'}, 200 ],
    [ anywhere => $delivery{'evt-4'}, 404 ],
    [ viewer => $delivery{'evt-4'}, 200 ],
);

sub of_event {
    return join ' ', sort map { $_->{target} }
        @{ call($_[0], GET => 'events/evt-1')->json->{deliveries} };
}

is(of_event('acme'), join(' ', sort 'audit', $own, $all), 'those of an event');
is(of_event('tenant'), $own, 'those of an event and a tenant');


# changes

for my $name (qw/ acme other tenant anywhere guest /) {
    is(status($name, @$_), 404, "$name: $_->[1]") for (
        [ GET => 'targets' ],
        [ POST => 'targets/pause?target=audit' ],
        [ POST => 'targets/resume?target=audit' ],
        [ POST => 'events/purge?types=*' ],
        [ POST => 'events/evt-1/forget' ],
        [ POST => 'test' ],
    );
}

for my $path ('targets/pause?target=audit', 'targets/resume?target=audit',
    'events/purge?types=*', 'events/evt-1/forget', 'test',
    'deliveries/replay', "deliveries/$delivery{'evt-1'}/replay",
    "deliveries/$delivery{'evt-1'}/cancel")
{
    my $r = call(viewer => POST => $path);
    is($r->status, 403, "one that reads: $path");
    like($r->json->{detail}, qr/reading/, 'with the reason');
}

is(status(viewer => GET => 'targets'), 200, 'one that reads: targets');
is(status(guest => POST => "deliveries/$delivery{'evt-2'}/replay"), 403,
    'one that reads a namespace');
is(call(viewer => POST => 'deliveries/replay?dry_run=1')->json->{count}, 10,
    'it may count');
is(call(guest => POST => 'deliveries/replay?dry_run=1')->json->{count}, 0,
    'but nothing that is not its own');

for my $action (qw/ replay cancel /) {
    is(status(tenant => POST => "deliveries/$_/$action"), 404,
        "another's delivery: $action $_")
        for $delivery{'evt-1'}, $delivery{'evt-2'}, $delivery{'evt-4'},
            $others{'evt-1'}, $others{'evt-2'};
}

is($target->count, 5, 'there was no attempt');
is($hook->count, 5, 'nor one for subscriptions');

is(call(tenant => POST => 'deliveries/replay?dry_run=1')->json->{count}, 1,
    'counted: all of a tenant');
is(call(tenant => POST => 'deliveries/replay')->json->{count}, 1,
    'replayed: all of a tenant');
ok($hook->wait_count(6), 'one attempt');
is(call(tenant => POST => 'deliveries/replay?target=audit')->json->{count}, 0,
    'nothing of the operator');
is(call(tenant => POST => "deliveries/replay?target=$all")->json->{count}, 0,
    'nor of others');
ok(settled(), 'all have ended again');
is(call(tenant => POST => "deliveries/$mine{'evt-1'}/replay")->status, 200,
    'one of its own');
ok($hook->wait_count(7), 'one attempt more');
is($hook->count('/one'), 3, 'all for its own subscription');

is(call(other => POST => 'deliveries/replay?namespace=one')->json->{count}, 1,
    'all of a workspace');
ok($target->wait_count(6), 'one attempt');
ok(settled(), 'all have ended again');
is(call(acme => POST => "deliveries/$delivery{'evt-3'}/replay")->status, 200,
    'one of the workspace');
ok($target->wait_count(7), 'one attempt more');
is_deeply([ map { scalar $target->by_id("evt-$_") } 1 .. 5 ], [ 1, 1, 2, 2, 1 ],
    'of these events');


# the list of calls

sub calls {
    return join ' ', map { "$_->{method} $_->{path}" }
        @{ call($_[0], GET => '')->json->{calls} };
}

like(calls('default'), qr{POST /v1/targets/pause}, 'the list of calls');
like(calls('default'), qr{GET /v1/workspaces/\{id\}/events}, 'with ids');
unlike(calls('default'), qr{auth}, 'but no login');
unlike(calls('acme'), qr{targets|purge|forget|v1/test}, 'what a scope allows');
unlike(calls('viewer'), qr{POST|PATCH|DELETE}, 'what a reader may');


# levels

sub level {
    my ($token) = @_;

    return get($nginx->port(98), '/base/path/v1/me',
        Authorization => "Bearer $token")->status;
}

is(level($token{server}), 200, 'a token of the server');
is(level($token{acme}), 401, 'those of http are not inherited beside it');
is(level('a-token-of-some-length'), 200, 'the one of the location');

for my $bad ('', 'x', "$token{acme}x", substr($token{acme}, 1), uc $token{acme},
    'l' x 2000)
{
    is(status($bad => GET => 'me'), 401, 'no token: ' . substr $bad, 0, 40);
}


# configurations

my $api = 'trove_api a-token-of-some-length;';

for (
    [ "trove_api_token a;", qr/invalid number of arguments/ ],
    [ "trove_api_token a short;", qr/shorter than 16 bytes/ ],
    [ "trove_api_token a file:$nginx->{dir}/nothing;", qr/No such file/ ],
    [ 'trove_api_token a a-token-of-$host-is-none;',
        qr/variables in "trove_api_token"/ ],
    [ 'trove_api_token a $host;', qr/variables in "trove_api_token"/ ],
    [ "trove_api_token a $token{acme} workspace=;",
        qr/invalid parameter "workspace=" .*one name/ ],
    [ "trove_api_token a $token{acme} namespace=one-*;",
        qr/invalid parameter "namespace=one-\*"/ ],
    [ "trove_api_token a $token{acme} namespace=" . 'x' x 256 . ';',
        qr/invalid parameter "namespace=xx/ ],
    [ "trove_api_token a $token{acme} write;",
        qr/invalid parameter "write" .*expected "workspace="/ ],
    [ "trove_api_token a $token{acme} read read;",
        qr/duplicate parameter "read"/ ],
    [ "trove_api_token a $token{acme} workspace=a workspace=b;",
        qr/duplicate parameter "workspace=b"/ ],
    [ "trove_api_token a $token{acme}; trove_api_token a $token{other};",
        qr/duplicate name "a"/ ],
    [ "trove_api_token default $token{acme};", qr/duplicate name "default"/ ],
    [ "trove_api_token a/b $token{acme};", qr/invalid name "a\/b"/ ],
    [ "trove_api_token '' $token{acme};", qr/invalid name ""/ ],
    [ 'trove_api_token ' . 'x' x 65 . " $token{acme};", qr/invalid name "xx/ ],
    [ "trove_api_token a a-token-of-some-length;",
        qr/the tokens "default" and "a" .*are the same/ ],
    [ "trove_api_token a $token{acme}; trove_api_token b $token{acme} read;",
        qr/the tokens "a" and "b" .*are the same/ ],
    [ join('', map { "trove_api_token t$_ a-token-number-$_-of-them;" }
        1 .. 257), qr/more than 256 "trove_api_token"/ ],
) {
    my ($conf, $message) = @$_;

    my ($code, $log) = nginx_t(<<"EOC");
    trove_spool %%TESTDIR%%/conf.spool;

    server {
        listen 127.0.0.1:%%PORT_97%%;
        location /trove/ { $api $conf }
    }
EOC

    ok($code, 'refused: ' . substr $conf, 0, 60);
    like($log, $message, 'with the reason');
}

unlike($nginx->log, qr/$token{$_}/, "the log does not have the token $_")
    for sort keys %token;

done_testing;
