#!/usr/bin/perl

# Tokens of the API that are restricted to a workspace, to a namespace, or to
# reading: what each of them sees, and what it may do.

use lib 't/lib';
use Trove;

my %token = map { $_ => "a-token-of-the-$_-of-the-test" }
    qw/ acme other tenant anywhere viewer guest server /;

my $target = backend();

my $nginx = nginx(spool_conf(
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

$target->on('/audit', status => 410);

for (@events) {
    my ($id, $workspace, $namespace) = @$_;

    is(spool_send($nginx, $id, 'file.written', workspace_id => $workspace,
        namespace => $namespace)->status, 202, "$id is accepted");
}

ok((wait_until {
    5 == spool_deliveries($nginx, 'state=failed')
}), 'all have failed');

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
    [ default => 'deliveries', 'evt-1 evt-2 evt-3 evt-4 evt-5' ],
    [ viewer => 'deliveries', 'evt-1 evt-2 evt-3 evt-4 evt-5' ],
    [ acme => 'deliveries', 'evt-1 evt-2 evt-3 evt-5' ],
    [ other => 'deliveries', 'evt-4' ],
    [ tenant => 'deliveries', 'evt-1' ],
    [ anywhere => 'deliveries', 'evt-1 evt-4' ],
    [ guest => 'deliveries', 'evt-2' ],
    [ tenant => 'deliveries?namespace=one', 'evt-1' ],
    [ tenant => 'deliveries?namespace=two,on*', 'evt-1' ],
    [ tenant => 'deliveries?namespace=*', 'evt-1' ],
    [ tenant => 'deliveries?namespace=two', '' ],
    [ tenant => 'deliveries?namespace=one-*', '' ],
    [ tenant => 'deliveries?namespace=o', '' ],
    [ tenant => 'deliveries?event=evt-2', '' ],
    [ acme => 'deliveries?namespace=two', 'evt-2' ],
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

my %delivery = map { $_->{event_id} => $_->{id} }
    @{ call(default => GET => 'deliveries')->json->{deliveries} };

is(status($_->[0] => GET => "events/$_->[1]"), $_->[2], "$_->[0]: $_->[1]"),
is(status($_->[0] => GET => "deliveries/$delivery{$_->[1]}"), $_->[2],
    "$_->[0]: the delivery of $_->[1]") for (
    [ acme => 'evt-1', 200 ],
    [ acme => 'evt-4', 404 ],
    [ tenant => 'evt-1', 200 ],
    [ tenant => 'evt-2', 404 ],
    [ tenant => 'evt-3', 404 ],
    [ anywhere => 'evt-4', 200 ],
    [ viewer => 'evt-4', 200 ],
);


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
is(call(viewer => POST => 'deliveries/replay?dry_run=1')->json->{count}, 5,
    'it may count');
is(call(guest => POST => 'deliveries/replay?dry_run=1')->json->{count}, 1,
    'what is its own');

is(status(tenant => POST => "deliveries/$delivery{$_}/replay"), 404,
    "another's delivery is not replayed: $_"),
is(status(tenant => POST => "deliveries/$delivery{$_}/cancel"), 404,
    "nor cancelled: $_") for 'evt-2', 'evt-3', 'evt-4', 'evt-5';

is($target->count, 5, 'there was no attempt');

is(call(tenant => POST => 'deliveries/replay')->json->{count}, 1,
    'all of a namespace');
ok($target->wait_count(6), 'one attempt');
is(call(other => POST => 'deliveries/replay?namespace=one')->json->{count}, 1,
    'all of a workspace');
ok($target->wait_count(7), 'one more');
ok((wait_until { 5 == spool_deliveries($nginx, 'state=failed') }),
    'all have failed again');
is(call(acme => POST => "deliveries/$delivery{'evt-3'}/replay")->status, 200,
    'one of its own');
ok($target->wait_count(8), 'one attempt more');
is_deeply([ map { scalar $target->by_id("evt-$_") } 1 .. 5 ], [ 2, 1, 2, 2, 1 ],
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
