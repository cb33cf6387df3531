#!/usr/bin/perl

# The management API: who may, what it shows, what it does.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-api';
my $a = backend();
my $b = backend();

my $long = 'l' x 1024;

my $nginx = nginx(<<'EOC', files => {
    trove_spool %%TESTDIR%%/trove.spool;
    trove_dedup_zone zone=events:1m;
    trove_verify on;
    trove_secret trove-whsec-api;
    trove_retry base=100ms factor=1 max=200ms;
    trove_sign trove-whsec-onward;

    map $http_x_tenant $token {
        good     a-token-by-a-variable;
        short    fifteen-bytes--;
        blank    "                    ";
        default  "";
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_dedup zone=events;
            trove_fanout_mode spool;
            trove_fanout /a name=a;
            trove_fanout /b name=b events=file.*,webhook.test;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /b {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /metrics {
            trove_metrics;
        }

        location /trove/ {
            trove_api a-token-of-some-length;
        }

        location /variable/ { trove_api $token; }
        location /constant/ { trove_api a-token-of-some-length-$token; }
        location /file/ { trove_api file:api.secret; }
        location /env/ { trove_api env:TROVE_TOKEN; }
    }
EOC
    'api.secret' => "\xef\xbb\xbf# the tokens of the tests\n$long\n",
}, env => { TROVE_TOKEN => " a-token-by-the-environment\n" });

$nginx->start;

sub deliver {
    my ($body) = @_;

    return post_event($nginx->port, '/events', $body, secret => $secret);
}

sub api {
    my ($method, $path, %opt) = @_;

    my $token = exists $opt{token} ? $opt{token} : 'a-token-of-some-length';

    return request($nginx->port(1), $method, "/trove/v1/$path",
        headers => [ defined $token ? (Authorization => "Bearer $token") : () ],
        $method eq 'POST' ? (body => '') : ());
}

sub deliveries {
    my ($query) = @_;

    return @{ api(GET => "deliveries?$query")->json->{deliveries} || [] };
}


# who may

for my $token (undef, '', 'a-token-of-some-lengt', 'a-token-of-some-length2',
    'A-token-of-some-length')
{
    my $r = api(GET => 'targets', token => $token);
    is($r->status, 401, 'no: ' . ($token // 'none'));
    is($r->json->{detail}, 'unauthorized', 'in JSON');
    like($r->header('WWW-Authenticate'), qr/^Bearer/, 'and what is needed');
}

# a token of variables: nothing, or what anybody could guess, is none

sub call {
    my ($location, $token, @headers) = @_;

    return request($nginx->port(1), GET => "/$location/v1/targets",
        headers => [ Authorization => "Bearer $token", @headers ])->status;
}

is(call('variable', 'a-token-by-a-variable', 'X-Tenant' => 'good'), 200,
    'a variable');
is(call('constant', 'a-token-of-some-length-a-token-by-a-variable',
    'X-Tenant' => 'good'), 200, 'one behind a constant');

for my $tenant (qw/ none short blank /) {
    my @tenant = ('X-Tenant' => $tenant);

    is(call('variable', $_, @tenant), 401, "$tenant: '$_'")
        for '', ' ', ' ' x 20, 'fifteen-bytes--', 'a-token-by-a-variable';
    next if $tenant eq 'short';
    is(call('constant', $_, @tenant), 401, "$tenant, constant: '$_'")
        for '', 'a-token-of-some-length-', 'a-token-of-some-length',
        'a-token-of-some-length-' . ' ' x 20;
}

ok($nginx->log_lines(qr/\[error\] .*"trove_api" is empty or shorter than 16 b/),
    'which is logged');

is(call('file', $long), 200, 'as long as a line may be');
is(call('file', $_), 401, 'not: ' . substr $_, 0, 30) for "${long}l",
    substr($long, 1), "\xef\xbb\xbf# the tokens of the tests",
    '# the tokens of the tests';
is(call('env', 'a-token-by-the-environment'), 200, 'the environment');

is(api(GET => 'targets')->status, 200, 'yes');
is(api(GET => 'nothing')->status, 404, 'no such path');
is(api(POST => 'targets')->status, 405, 'another method');
is(api(GET => 'deliveries?limit=0')->status, 400, 'a bad limit');
is(api(GET => 'deliveries?state=lost')->status, 400, 'a bad state');
is(api(GET => 'deliveries?since=yesterday')->status, 400, 'a bad time');
is(api(GET => 'deliveries?tpye=x')->status, 400, 'an unknown argument');
is(api(GET => 'deliveries?=x')->status, 400, 'one without a name');
is(api(GET => 'deliveries?&state=failed&')->status, 200, 'but for nothing');


# events and deliveries

my @ids = map { new_id() } 1 .. 3;
my @bodies = map { event('file.written', id => $_) } @ids;

$b->on($ids[1], status => 410);

is(deliver($_)->status, 202, 'accepted') for @bodies;
ok(wait_until { 5 == deliveries('state=delivered') }, 'delivered');
ok(wait_until { 1 == deliveries('state=failed') }, 'one failed');

my $feed = api(GET => 'workspaces/ws-test/events')->json;
is_deeply([ map { $_->{id} } @{ $feed->{events} } ], [ reverse @ids ],
    'the feed, newest first');
is($feed->{next_cursor}, undef, 'no more');

my $page = api(GET => 'workspaces/ws-test/events?limit=2')->json;
is(@{ $page->{events} }, 2, 'a page');
$page = api(GET => "workspaces/ws-test/events?limit=2&cursor="
    . $page->{next_cursor})->json;
is_deeply([ map { $_->{id} } @{ $page->{events} } ], [ $ids[0] ],
    'the next one');

is(@{ api(GET => 'workspaces/ws-other/events')->json->{events} }, 0,
    'of another workspace');
is(@{ api(GET => 'workspaces/ws-test/events?types=exec.*')->json->{events} },
    0, 'of another type');
is(@{ api(GET => 'workspaces/ws-test/events?types=exec.*,file.written'
    . '&namespace=customer-acme')->json->{events} }, 3, 'filters');
is(@{ api(GET => 'workspaces/ws-test/events?since=2035-01-01T00:00:00Z')
    ->json->{events} }, 0, 'since');
is(@{ api(GET => 'workspaces/ws-test/events?since=2020-01-01T00:00:00%2B01:00')
    ->json->{events} }, 3, 'since, with a zone');
is(@{ api(GET => 'workspaces/ws-test/events?since=1600000000')
    ->json->{events} }, 3, 'since, in seconds');

my $event = api(GET => "events/$ids[1]")->json;
is($event->{event}{id}, $ids[1], 'an event');
like($event->{received_at}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$/,
    'when it came');
is_deeply({ map { $_->{target} => $_->{state} } @{ $event->{deliveries} } },
    { a => 'delivered', b => 'failed' }, 'with its deliveries');
is(api(GET => 'events/evt-none')->status, 404, 'none of that id');

my ($failed) = deliveries('state=failed');
is($failed->{event_id}, $ids[1], 'the failed one');
is($failed->{last_attempt}{status}, 410, 'and why');

my $d = api(GET => "deliveries/$failed->{id}")->json;
is(@{ $d->{history} }, 1, 'its attempts');
is($d->{history}[0]{status}, 410, 'with their status');


# replay

my $r = api(POST => 'deliveries/replay?state=failed&dry_run=1');
is_deeply($r->json, { count => 1, dry_run => JSON::PP::true(),
    next_cursor => undef }, 'a dry run');
is(@{[ deliveries('state=failed') ]}, 1, 'does nothing');

$b->on($ids[1], status => 500, times => 1);
is(api(POST => "deliveries/$failed->{id}/replay")->status, 200, 'replay');
ok(wait_until { !deliveries('state=failed,pending,inflight') }, 'it ends');

$d = api(GET => "deliveries/$failed->{id}")->json;
is($d->{state}, 'delivered', 'delivered');
is_deeply([ map { $_->{status} } @{ $d->{history} } ], [ 410, 500, 200 ],
    'all attempts');

$b->forget;
is(api(POST => 'deliveries/replay?target=b&types=file.*')->json->{count}, 3,
    'replay all of a target');
ok($b->wait_count(3), 'they come again');
is(api(POST => 'deliveries/999999/replay')->status, 404, 'none of that number');


is(@{ api(GET => 'workspaces/ws-test/events?since=&types=&namespace=&limit='
    . '&cursor=')->json->{events} }, @{ $feed->{events} },
    'clients of the vendor may leave them empty');

# what is overlooked must not make a call do more than was meant

$b->forget;

for my $query (
    # without a value, all would match, or a dry run be a real one
    (map { ($_, "$_=", "state=delivered&$_", "$_&state=delivered") }
        qw( limit cursor since until types namespace target location event
            dry_run )),
    (map { ($_, "$_=", "$_&target=a") } 'state'),

    # a list of nothing
    map({ ("$_=,", "$_=,,&state=delivered", "$_=%2C") } qw( types namespace )),

    # what is nothing when it is decoded
    'target=%', 'target=%4', 'target=%zz', 'event=x%', 'until=0',

    # one of two
    'state=failed&state=delivered', 'dry_run=0&dry_run=1',
    'target=a&Target=a',

    # part of a count
    'limit=1&dry_run=1', 'dry_run=1&limit=1')
{
    for my $call (qw( replay cancel )) {
        my $r = api(POST => "deliveries/$call?$query");

        is($r->status, 400, "$call?$query");

        my ($name) = $query =~ /^(?:state=delivered&|dry_run=1&)?(\w+)/i;
        like($r->json->{detail}, qr/"$name"/i, 'says which');
    }
}

for my $call ('targets/pause?target=b&', 'targets/resume?target=b&',
    "events/$ids[0]/forget?", 'test?')
{
    my $r = api(POST => "${call}dry_run=1");

    is($r->status, 400, "${call}dry_run=1");
    is($r->json->{detail}, '"dry_run" is for replay, cancel and purge only', 'why');
}

# nor must somebody take for a dry run what is none: a list, one of its items

for my $call ('deliveries', 'deliveries/1', 'targets', "events/$ids[0]",
    'workspaces/ws-1/events')
{
    my $r = api(GET => "$call?dry_run=1");

    is($r->status, 400, "GET $call?dry_run=1");
    is($r->json->{detail}, '"dry_run" is for replay, cancel and purge only', 'why');
    isnt(api(GET => "$call?dry_run=0")->status, 400, "GET $call?dry_run=0");
}

is_deeply([ map { $_->{state} } deliveries('') ], [ ('delivered') x 6 ],
    'nothing was done');
is(scalar $b->requests, 0, 'nothing was sent');


# pause, cancel, resume

is(api(POST => 'targets/pause')->status, 400, 'pause what?');
is(api(POST => 'targets/pause')->json->{detail}, '"target" is missing',
    'as is said');
is(api(POST => 'targets/pause?target=none')->status, 404, 'no such target');
is(api(POST => 'targets/pause?target=b')->json->{paused}, JSON::PP::true(),
    'pause');
$a->forget;
$b->forget;

deliver(event('file.written', id => my $one = new_id()));
deliver(event('file.written', id => my $two = new_id()));
ok($a->wait_count(2), 'the other target goes on');

my @waiting = deliveries('state=pending');
is(@waiting, 2, 'they wait');
is($waiting[0]{reason}, 'the target is paused', 'for that reason');

my ($victim) = grep { $_->{event_id} eq $one } @waiting;
is(api(POST => "deliveries/$victim->{id}/cancel")->json->{state}, 'cancelled',
    'cancel');
is(api(POST => "deliveries/$victim->{id}/cancel")->status, 409, 'only once');

is(api(POST => 'targets/resume?target=b')->json->{paused}, JSON::PP::false(),
    'resume');
ok($b->wait_count(1), 'it goes on');
ok(wait_until { !deliveries('state=pending,inflight') }, 'to the end');
is($b->count($one), 0, 'but for the cancelled one');

my ($target) = grep { $_->{target} eq 'b' }
    @{ api(GET => 'targets')->json->{targets} };
is($target->{cancelled}, 1, 'counted');
is($target->{configured}, JSON::PP::true(), 'of the configuration');


# forget

is(deliver($bodies[0])->json->{status}, 'duplicate', 'a duplicate');
is_deeply(api(POST => "events/$ids[0]/forget")->json,
    { id => $ids[0], forgotten => JSON::PP::true() }, 'forget it');
is(deliver($bodies[0])->json->{status}, 'accepted', 'accepted again');
is(api(POST => "events/evt-none/forget")->json->{forgotten},
    JSON::PP::false(), 'nothing to forget');


# the caller's own bytes come back as JSON, which is UTF-8

is(api(POST => 'events/evt-%FF/forget')->json->{id}, "evt-\x{fffd}",
    'not UTF-8');
is(api(POST => 'events/evt-%C3%A4/forget')->json->{id}, "evt-\x{e4}", 'UTF-8');


# a test event

$r = api(POST => 'test');
is($r->json->{ok}, JSON::PP::true(), 'a test');
is_deeply([ map { "$_->{name} $_->{status}" } @{ $r->json->{targets} } ],
    [ 'a 200', 'b 200' ], 'of all targets');
is($b->count($r->json->{event_id}), 1, 'it came');

$b->on($_, status => 503) for '/b';
$r = api(POST => 'test?target=b');
is($r->json->{ok}, JSON::PP::false(), 'one that fails');
is_deeply([ map { "$_->{name} $_->{status}" } @{ $r->json->{targets} } ],
    [ 'b 503' ], 'of one target');
is(api(POST => 'test?target=none')->status, 404, 'of none');


# metrics

ok(wait_until {
    my $text = get($nginx->port(1), '/metrics')->body;

    $text =~ /^trove_spool_accepted_total 6$/m
        && $text =~ /^trove_spool_duplicates_total 0$/m
        && $text =~ /^trove_spool_deliveries\{server="127\.0\.0\.1:\d+",location="= \/events",target="b",state="cancelled"\} 1$/m
}, 'metrics');

open my $promtool, '|-', 'promtool check metrics >&2' or die "promtool: $!";
print $promtool get($nginx->port(1), '/metrics')->body;
ok(close $promtool, 'as promtool likes them');

done_testing();
