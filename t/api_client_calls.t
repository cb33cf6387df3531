#!/usr/bin/perl

# All calls of the vendor's API and all their errors, by a client as strict as
# its SDK; the stream, across what cuts it; and that the client is strict.

use lib 't/lib';
use Trove;
use Trove::Client;
use Trove::Subscription;

use JSON::PP ();

my %token = map { $_ => "a-token-of-the-$_-of-the-test" } qw/ acme reader /;

my $hook = backend();

# answers of another gateway, each without a member, or with one of a wrong type

my %me = (workspace_id => 'ws-test', key_id => 'key-1', key_name => 'default',
    scope => 'admin', namespace => undef, capabilities => []);
my %webhook = (webhook_id => 'wh-1', url => 'https://example.com/',
    events => ['*'], namespace => undef, description => undef,
    enabled => JSON::PP::true, created_at => '2026-05-01T12:00:00Z');
my %listed = (%webhook, last_delivery_ok => undef, last_delivery_at => undef,
    last_delivery_status => undef);
my %made = (%webhook, signing_secret => 'trove-whsec-1');
my %tested = (ok => JSON::PP::true, event_id => 'evt-1', status => 200,
    error => undef);
my %page = (events => [], next_cursor => undef);

my @wrong;

for my $case (
    [ 'me', sub { $_[0]->me }, \%me, sub { $_[0] } ],
    [ 'created', sub { $_[0]->create('https://example.com/') }, \%made,
        sub { $_[0] }, 201 ],
    [ 'listed', sub { $_[0]->list }, \%listed,
        sub { return { webhooks => [ $_[0] ] } } ],
    [ 'got', sub { $_[0]->get('wh-1') }, \%listed, sub { $_[0] } ],
    [ 'tested', sub { $_[0]->test('wh-1') }, \%tested, sub { $_[0] } ],
    [ 'page', sub { $_[0]->events }, \%page, sub { $_[0] } ],
    [ 'event', sub { $_[0]->events }, { id => 'evt-1', type => 'file.written',
        created_at => '2026-05-01T12:00:00Z' },
        sub { return { %page, events => [ $_[0] ] } } ],
    [ 'removed', sub { $_[0]->remove('wh-1') },
        { webhook_id => 'wh-1', deleted => JSON::PP::true }, sub { $_[0] } ],
) {
    my ($name, $call, $members, $shape, $status) = @$case;

    push @wrong, [ $name, $call, $shape->($members), $status, 'nothing' ];

    for my $member (sort keys %$members) {
        my %without = %$members;

        delete $without{$member};

        push @wrong,
            [ "$name: no $member", $call, $shape->(\%without), $status ],
            [ "$name: wrong $member", $call,
                $shape->({ %$members, $member => { a => 1 } }), $status ];
    }
}

push @wrong,
    [ 'me: no ws-', sub { $_[0]->me }, { %me, workspace_id => 'test' } ],
    [ 'page: a cursor', sub { $_[0]->events }, { %page, next_cursor => '1' } ],
    [ 'listed: a secret', sub { $_[0]->list }, { webhooks => [ \%made ] } ];

my $canned = '';

for my $i (0 .. $#wrong) {
    $canned .= "location /wrong$i/ { default_type application/json; return "
        . ($wrong[$i][3] // 200) . " '"
        . JSON::PP->new->canonical->encode($wrong[$i][2]) . "'; }\n";
}

my $nginx = nginx(subscription_conf(
    retry => 'base=50ms factor=1 max=50ms window=1h',
    http => <<"EOC",
    client_max_body_size 2m;
    trove_api_token acme $token{acme} workspace=ws-test namespace=acme;
    trove_api_token reader $token{reader} read;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /trove/   { trove_api a-token-of-some-length; }
        location /bare     { trove_api a-token-of-some-length; }
        location /at/v1/   { trove_api a-token-of-some-length; }

        $canned
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        location / { trove_api a-token-of-some-length; }
    }
EOC
), workers => 2)->start;

my $serial = 0;

sub at {
    my ($base, %opt) = @_;

    return client($nginx->port($opt{server} // 1),
        $token{ $opt{token} // '' } // 'a-token-of-some-length',
        base => $base // '/trove', workspace => $opt{workspace} // 'ws-test');
}


sub accepted {
    my ($n, %over) = @_;

    return map {
        my $id = sprintf 'evt-%05d', ++$serial;
        my $r = post_event($nginx->port, '/events', event($over{type},
            id => $id, created_at => sprintf('2026-05-01T%02d:%02d:%02dZ',
                $serial / 3600, $serial / 60 % 60, $serial % 60), %over),
            secret => spool_secret());
        $r->status == 202 or die 'not accepted: ' . $r->status;
        $id;
    } 1 .. $n;
}


sub failed {
    my ($call) = @_;

    return 'nothing' if eval { $call->(); 1 };

    my $error = $@;

    return ref $error ? "$error->{kind} $error->{status} $error->{exit}"
        : $error;
}


sub url { return 'http://127.0.0.1:' . $hook->port . "/$_[0]" }


# the requests for an event, when there are as many

sub requests {
    my ($id, $n) = @_;

    wait_until { $hook->by_id($id) >= $n };

    return $hook->by_id($id);
}


# the client itself

for my $i (0 .. $#wrong) {
    my ($name, $call, $answer, $status, $expect) = @{ $wrong[$i] };

    is(failed(sub { $call->(at("/wrong$i")) }),
        $expect // 'shape ' . ($status // 200) . ' 3', "the client: $name");
}


# base URLs

for my $case ([ '/trove', 1 ], [ '/trove/', 1 ], [ '/bare', 1 ],
    [ '/bare/', 1 ], [ '/at', 1 ], [ '', 2 ], [ '/', 2 ])
{
    my ($base, $server) = @$case;
    my $client = at($base, server => $server);

    is(failed(sub {
        $client->me;
        $client->list;
        $client->events;

        my $id = $client->create(url('base'))->{webhook_id};

        $client->get($id);
        $client->remove($id);
        $client->listen->close;
    }), 'nothing', "the base \"$base\"");

    is(failed(sub { $client->login('start') }), 'missing 404 1', 'no login');
    is(failed(sub { $client->keys_list }), 'missing 404 1', 'no keys');
}

my $client = at();

is_deeply([ $client->list ], [], 'no webhook is left');


# a webhook, from the beginning to the end

my $made = $client->create(url('one'), namespace => 'acme');
my $id = $made->{webhook_id};

ok(!(grep { $made->{$_} ne $client->get($id)->{$_} }
    qw/ webhook_id url namespace created_at /), 'it is as it was made');

my ($event) = accepted(1, namespace => 'acme');
my ($request) = requests($event, 1);

is(hooks_verify($request, $made->{signing_secret}), 1, 'it is signed');

my $changed = $client->change($id, url => url('two'), description => 'd',
    events => ['file.*']);

is($changed->{url}, url('two'), 'another URL');
is($changed->{namespace}, 'acme', 'the rest remains');
is_deeply($changed, { %{ $client->get($id) } }, 'as it says');

($event) = accepted(1, namespace => 'acme', type => 'file.deleted');
($request) = requests($event, 1);
is($request->{uri}, '/two', 'it takes effect');

$client->change($id, enabled => JSON::PP::false);
ok(!$client->get($id)->{enabled}, 'it is paused');
($event) = accepted(1, namespace => 'acme', type => 'file.deleted');
is(($client->deliveries(event => $event))[0]{state}, 'pending',
    'an event waits');
$client->change($id, enabled => JSON::PP::true);
is(scalar requests($event, 1), 1, 'until it is not');

my $rotated = $client->rotate($id);

is($rotated->{webhook_id}, $id, 'a new secret');
($event) = accepted(1, namespace => 'acme', type => 'file.deleted');
($request) = requests($event, 1);
is(hooks_secrets($request), 2, 'both sign');
is(hooks_verify($request, $rotated->{signing_secret}), 2, 'the new one last');

$rotated = $client->rotate($id, 0);
($event) = accepted(1, namespace => 'acme', type => 'file.deleted');
($request) = requests($event, 1);
is(hooks_secrets($request), 1, 'only the new one');
is(hooks_verify($request, $rotated->{signing_secret}), 1, 'which it is');


# its deliveries

ok((wait_until {
    ($client->deliveries(event => $event))[0]{state} eq 'delivered';
}), 'it is delivered');

my ($delivery) = $client->deliveries(event => $event, target => $id);

is(@{ $client->delivery($delivery->{id})->{history} }, 1, 'by one attempt');
$client->replay($delivery->{id});
is(scalar requests($event, 2), 2, 'a replay');
is(failed(sub { $client->replay(999_999_999) }), 'missing 404 1',
    'of none that exists');

$hook->on('/two', gate => 'held');
($event) = accepted(1, namespace => 'acme', type => 'file.deleted');
ok((wait_until {
    ($client->deliveries(event => $event))[0]{state} eq 'inflight';
}), 'an attempt is in progress');
($delivery) = $client->deliveries(event => $event);
is(failed(sub { $client->replay($delivery->{id}) }), 'conflict 409 1',
    'it cannot be replayed now');
$hook->open_gate('held');
ok((wait_until {
    ($client->deliveries(event => $event))[0]{state} eq 'delivered';
}), 'it ends');
$hook->on('/two');


# empty requests of any type

for my $type ('application/json', 'text/plain', 'application/octet-stream',
    'application/x-www-form-urlencoded', '')
{
    ok($client->test($id, type => $type)->{ok}, "a test of the type \"$type\"");

    my $other = $client->create(url('other'))->{webhook_id};

    ok($client->remove($other, type => $type)->{deleted},
        'a webhook is deleted likewise');
}


# errors of each call

my $acme = at(undef, token => 'acme');
my $reader = at(undef, token => 'reader');
my $whole = $client->create(url('whole'))->{webhook_id};

is($acme->me->{namespace}, 'acme', 'the token of a namespace');
is_deeply([ map { $_->{webhook_id} } $acme->list ], [ $id ], 'sees its own');
is($reader->me->{scope}, 'read', 'a token for reading');
is($reader->list, 2, 'sees all');

for my $case (
    [ get => sub { $_[0]->get($_[1]) } ],
    [ change => sub { $_[0]->change($_[1], description => 'x') } ],
    [ rotate => sub { $_[0]->rotate($_[1]) } ],
    [ test => sub { $_[0]->test($_[1]) } ],
    [ remove => sub { $_[0]->remove($_[1]) } ],
) {
    my ($name, $call) = @$case;

    is(failed(sub { $call->($client, 'wh-none') }), 'missing 404 1',
        "$name: no such webhook");
    is(failed(sub { $call->($acme, $whole) }), 'missing 404 1',
        "$name: another namespace's");
    is(failed(sub { $call->(at(undef, workspace => 'ws-other'), $id) }),
        'missing 404 1', "$name: another workspace's");
    is(failed(sub { $call->(client($nginx->port(1), 'x' x 32), $id) }),
        'auth 401 2', "$name: a wrong token");
    is(failed(sub { $call->($reader, $id) }), 'auth 403 2',
        "$name: a token for reading") if $name ne 'get';
}

is(failed(sub { $reader->create(url('x')) }), 'auth 403 2',
    'create: a token for reading');
is(failed(sub { $acme->create(url('x'), namespace => 'other') }),
    'invalid 422 1', 'create: in another namespace');
is(failed(sub { $client->create(url('x'), description => 'x' x 70_000) }),
    'other 413 1', 'create: too large');

my @bad = ([ url => 'ftp://x/' ], [ url => undef ], [ events => 'x' ],
    [ events => [''] ], [ namespace => {} ], [ description => [] ],
    [ enabled => 'yes' ]);

is(failed(sub { $client->change($id, @$_) }), 'invalid 422 1',
    "change: invalid $_->[0]") for @bad;
is(failed(sub { $client->rotate($id, -1) }), 'invalid 422 1',
    'rotate: keep_seconds');
is(failed(sub { $client->call(PUT => $client->of_workspace("webhooks/$id"),
    {}) }), 'other 405 1', 'another method');

# without a token, and with any: there is no login

for my $call (qw/ start poll /) {
    is(failed(sub { $client->login($call) }), 'missing 404 1', "login: $call");
    is(failed(sub { $client->call(GET => "auth/device/$call", undef,
        key => 'x' x 32) }), 'missing 404 1', 'with a wrong token');
}

for my $method (qw/ GET POST DELETE /) {
    is(failed(sub { $client->call($method => $client->of_workspace('keys')) }),
        'missing 404 1', "keys: $method");
}

is(failed(sub { $client->call(DELETE => $client->of_workspace('keys/key-1')) }),
    'missing 404 1', 'keys: one');


# "trove tail"

$client->tail(types => 'file.*, exec.*');
is_deeply([ $client->tail(types => 'file.*, exec.*') ], [], 'the last event');

my @large = accepted(24, type => 'exec.completed',
    data => { stdout => 'x' x 500_000 });
my @shown;

while (my @new = $client->tail(types => 'key.created, exec.completed')) {
    push @shown, map { $_->{id} } @new;
}

is_deeply(\@shown, \@large, '12 MB between two rounds');
is_deeply(at()->events(types => 'none, of, these'), \%page, '(no events)');

$client->remove($_) for $id, $whole;


# the stream: closed by the client, by a reload, and both while events arrive

my $stream = $client->listen;

my @ids = accepted(40);
my @got = map { $stream->next(10)->{id} } 1 .. 17;
my $last = $stream->{id};

$stream->close;
push @ids, accepted(40);

for my $how (qw/ last cursor /) {
    my $again = $client->listen($how => $last);

    is_deeply([ @got, map { ($again->next(10) || {})->{id} } 18 .. 80 ], \@ids,
        "no loss and no duplicate after a disconnect: $how");
    $stream = $again if $how eq 'last';
    $again->close if $how eq 'cursor';
}

for my $round (1 .. 2) {
    my @round = accepted(30);

    ok($nginx->reload, "reload $round while listening");
    push @round, accepted(30);

    @got = ();

    while (my $item = $stream->next(10)) {
        push @got, $item->{id};
    }

    ok($stream->ended_cleanly, 'it ends with the last chunk');

    $stream = $client->listen(last => $stream->{id});
    push @got, ($stream->next(10) || {})->{id} while @got < @round;

    is_deeply(\@got, \@round, 'no loss and no duplicate');
}

$stream->close;

done_testing();
