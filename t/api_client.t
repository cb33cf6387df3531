#!/usr/bin/perl

# A client of the vendor's API, as its SDK and "trove tail" are, with the API of
# the gateway: nothing is lost, nothing is shown twice, errors are of their kind.

use lib 't/lib';
use Trove;
use Trove::Client;

use Trove::Subscription;

my $hook = backend();

my $nginx = nginx(subscription_conf(
    retry => 'base=100ms factor=1 max=100ms window=1h',
    deliver => 'proxy_read_timeout 60s;',
    http => <<'EOC',
    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /trove/      { trove_api a-token-of-some-length; }
        location /some/where/ { trove_api a-token-of-some-length; }
        location /moved/      { return 301 /trove/; }
        location /page/       { return 404; }
        location /list/ {
            default_type application/json;
            return 200 '{"webhooks":null,"events":[{}],"next_cursor":null}';
        }
        location /closed/     { return 444; }
    }
EOC
), workers => 2)->start;

my $token = 'a-token-of-some-length';
my $serial = 0;

sub at { return client($nginx->port(1), $token, base => $_[0] // '/trove') }


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


# all that a client shows

sub shown {
    my ($client, %arguments) = @_;

    my (@all, @new);

    while (@new = $client->tail(%arguments)) {
        push @all, map { $_->{id} } @new;
    }

    return \@all;
}


# what fails, and how: "kind status exit"

sub failed {
    my ($call) = @_;

    return 'nothing' if eval { $call->(); 1 };

    my $error = $@;

    return ref $error ? "$error->{kind} $error->{status} $error->{exit}"
        : $error;
}


like(at()->me->{workspace_id}, qr/^ws-/, 'me');
is(at('/some/where')->me->{key_name}, 'default', 'another base URL');

my $client = at();

is_deeply(shown($client), [], 'nothing at first');
is_deeply($client->events(limit => 1), { events => [], next_cursor => undef },
    'an empty page');

my @ids = accepted(3);

is_deeply(shown($client), \@ids, 'what has come');
is_deeply(shown($client), [], 'not again') for 1 .. 3;

@ids = accepted(450);

is_deeply(shown($client), \@ids, 'more than a page, between two rounds');

for my $round (1 .. 5) {
    @ids = accepted($round);
    is_deeply([ map { $_->{id} } $client->tail ], \@ids, "round $round");
}

is_deeply([ sort @{ shown(at()) } ],
    [ map { sprintf 'evt-%05d', $_ } $serial - 199 .. $serial ],
    'a new client begins with the last 200');


# without a time of their own: they come after all that have one of the past

my @without = map { accepted(1, remove => ['created_at']) } 1 .. 3;

push @without, accepted(1, created_at => undef);

is_deeply(shown($client), \@without, 'events without created_at');
is_deeply(shown($client), [], 'not again');

my @late = accepted(2, created_at => '2200-01-01T00:00:00Z',
    type => 'exec.completed');

is_deeply([ sort @{ shown($client, types => ' exec.* , file.deleted ') } ],
    \@late, 'types, with blanks');
is_deeply(shown(at(), types => 'key.created'), [], 'of another type');
is_deeply(shown(at(), namespace => 'other'), [], 'of another namespace');


# pages

my ($cursor, @all);

do {
    my $page = $client->events(limit => 100,
        defined $cursor ? (cursor => $cursor) : ());

    push @all, map { $_->{id} } @{ $page->{events} };
    $cursor = $page->{next_cursor};
} while (defined $cursor);

is(@all, $serial, 'all pages');
is(keys %{{ map { $_ => 1 } @all }}, $serial, 'each once');



# webhooks, as an application provisions customers

sub hook { return 'http://127.0.0.1:' . $hook->port . "/$_[0]" }

# the paths that have had an event

sub come {
    my ($id) = @_;

    return join ' ', sort map { $_->{uri} } $hook->by_id($id);
}

sub comes {
    my ($id, $paths, $name) = @_;

    wait_until { come($id) eq $paths };
    is(come($id), $paths, $name);
}

is_deeply([ $client->list ], [], 'no webhook');

my %made;

$made{all} = $client->create(hook('all'));
$made{acme} = $client->create(hook('acme'), namespace => 'customer-acme',
    events => [ 'file.*', 'key.revoked' ], description => "the customer \x{e4}");

is($made{acme}{namespace}, 'customer-acme', 'of a namespace');
is_deeply($made{acme}{events}, [ 'file.*', 'key.revoked' ], 'with its events');
is($made{acme}{description}, "the customer \x{e4}", 'and its description');
ok($made{acme}{enabled}, 'it is enabled');
isnt($made{all}{signing_secret}, $made{acme}{signing_secret}, 'with a secret');

my @list = $client->list;

is_deeply([ map { $_->{webhook_id} } @list ],
    [ map { $made{$_}{webhook_id} } qw/ all acme / ], 'both are listed');

for my $name (qw/ url events namespace description enabled created_at /) {
    is_deeply($list[1]{$name}, $made{acme}{$name}, "with the same $name");
}

my ($id) = accepted(1, type => 'file.written', namespace => 'customer-acme');
comes($id, '/acme /all', 'both get an event');

($id) = accepted(1, type => 'exec.completed', namespace => 'customer-acme');
comes($id, '/all', 'one of another type');

($id) = accepted(1, type => 'file.written', namespace => 'other');
comes($id, '/all', 'one of another namespace');

ok((wait_until {
    my ($webhook) = $client->list;
    defined $webhook->{last_delivery_ok};
}), 'the list says when');

$hook->stop;
($id) = accepted(1, type => 'exec.completed');

ok((wait_until {
    my ($webhook) = $client->list;
    defined $webhook->{last_delivery_ok} && !$webhook->{last_delivery_ok};
}), 'nobody is there');

is(($client->list)[0]{last_delivery_status}, undef, 'which has no status');
$hook->start;
comes($id, '/all', 'it comes when somebody is there');

my $tested = $client->test($made{acme}{webhook_id});

ok($tested->{ok}, 'a test');
is($tested->{status}, 200, 'with its status');
comes($tested->{event_id}, '/acme', 'goes to the one');

$hook->on('/acme', status => 500);
$tested = $client->test($made{acme}{webhook_id});
ok(!$tested->{ok}, 'a test that fails');
is($tested->{status}, 500, 'with its status');

$hook->stop;
$tested = $client->test($made{acme}{webhook_id});
ok(!$tested->{ok}, 'nobody is there');
is($tested->{status}, undef, 'no status');
is($tested->{error}, 'no_response', 'but an error');
$hook->start;
$hook->on('/acme');

for my $bad (
    [ 'http://192.0.2.1/', 'an address that is not allowed' ],
    [ 'https://169.254.169.254/', 'metadata of a cloud' ],
    [ 'ftp://example.com/', 'another scheme' ], [ '', 'no URL' ],
    [ 'https://user@example.com/', 'user information' ],
) {
    is(failed(sub { $client->create($bad->[0]) }), 'invalid 422 1', $bad->[1]);
}

for my $bad ([ [''], 'an empty name' ], [ [], 'no name' ], [ 'x', 'a string' ],
    [ [ 1 ], 'a number' ], [ [ ('a') x 101 ], '101 names' ])
{
    is(failed(sub { $client->create(hook('x'), events => $bad->[0]) }),
        'invalid 422 1', $bad->[1]);
}

is(failed(sub { $client->create(hook('x'), namespace => 'n' x 1024) }),
    'invalid 422 1', 'a long namespace');
is((scalar $client->list), 2, 'none of these was made');

$client->remove($made{acme}{webhook_id});
is(failed(sub { $client->remove($made{acme}{webhook_id}) }), 'missing 404 1',
    'it is gone');
is(failed(sub { $client->test($made{acme}{webhook_id}) }), 'missing 404 1',
    'for a test, too');

($id) = accepted(1, type => 'file.written', namespace => 'customer-acme');
comes($id, '/all', 'the other one remains');
is((scalar $client->list), 1, 'as the list says');

is(failed(sub { $client->keys_list }), 'missing 404 1', 'no keys');
is(failed(sub { $client->call(POST => $client->of_workspace('keys'), {}) }),
    'missing 404 1', 'none can be made');
is(failed(sub { $client->login('start') }), 'missing 404 1', 'no login');
is(failed(sub { $client->login('poll') }), 'missing 404 1', 'nor its rest');


# the stream

my $text = "a\x{85}b\x{2028}c\x{2029}d\x0be\x0cf\x1cg\x1eh\ni";
my $stream = $client->listen;

($id) = accepted(1, type => 'exec.completed', data => { stdout => $text });

my $event = $stream->next(10);

is($event->{id}, $id, 'an event');
is($event->{data}{stdout}, $text, 'with all that Python takes for lines');

my $some = $client->listen(types => 'file.*, key.created', namespace => 'acme');

accepted(1, type => 'file.written', namespace => 'other');
accepted(1, type => 'exec.completed', namespace => 'acme');
($id) = accepted(1, type => 'key.created', namespace => 'acme');
is($some->next(10)->{id}, $id, 'types and a namespace');

my @streamed = map { $stream->next(10)->{id} } 1 .. 3;

is($streamed[2], $id, 'all of them');
$some->close;


# it ends at a reload; a client that connects again misses nothing

my $last = $stream->{id};

$nginx->reload;
ok((wait_until { $stream->next(0.1); $stream->ended }), 'it ends at a reload');
ok($stream->ended_cleanly, 'with its last chunk');
$stream->close;

@ids = accepted(300);
$stream = $client->listen(cursor => $last);
is_deeply([ map { ($stream->next(10) || {})->{id} } @ids ], \@ids,
    'all events since then, in order');
$stream->close;

is(failed(sub { $client->listen(cursor => 'x') }), 'invalid 400 1',
    'a bad cursor of a stream');


# errors

my $wrong = client($nginx->port(1), 'another-token-of-some-length');

is(failed(sub { $wrong->me }), 'auth 401 2', 'a wrong key');
is(failed(sub { $wrong->events }), 'auth 401 2', 'also for the feed');
is(failed(sub { $wrong->list }), 'auth 401 2', 'for webhooks');
is(failed(sub { $wrong->create(hook('x')) }), 'auth 401 2', 'new ones');
is(failed(sub { $wrong->listen }), 'auth 401 2', 'and the stream');
is(failed(sub { $wrong->login('start') }), 'missing 404 1', 'but not login');
is(failed(sub { $client->events(limit => 0) }), 'invalid 400 1', 'a bad limit');
is(failed(sub { $client->events(cursor => 'x') }), 'invalid 400 1',
    'a bad cursor');
is(failed(sub { $client->call(GET => 'other') }), 'missing 404 1',
    'an unknown call');
is(failed(sub { at('/moved')->me }), 'redirect 301 1', 'a redirect');
is(failed(sub { at('/page')->me }), 'shape 404 3', 'a page of NGINX');
is(failed(sub { at('/closed')->me }), 'network 0 4', 'no answer');
is(failed(sub { at('/list')->me }), 'shape 200 3', 'members that are missing');
is(failed(sub { at('/list')->list }), 'shape 200 3', 'a list that is none');
is(failed(sub { at('/list')->events }), 'shape 200 3', 'an event without an id');
is(failed(sub { at('/list')->listen }), 'shape 200 3', 'no stream');

done_testing;
