#!/usr/bin/perl

# Subscribers that do not respond, or only with errors, beside good ones, in a
# location without targets of the operator.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $hook = backend();

my $nginx = nginx(subscription_conf(
    retry => 'base=50ms factor=1 max=50ms window=1h',
    parameters => 'max_inflight=3 disable_after=2s',
), workers => 2)->start;

my $base = 'http://127.0.0.1:' . $hook->port;
my %made;

sub made {
    my ($path, %members) = @_;

    $made{$path} = hooks_create($nginx, "$base/$path", %members);
}

sub listed {
    my ($path) = @_;

    return (grep { $_->{webhook_id} eq $made{$path}{webhook_id} }
        @{ hooks_call($nginx, GET => 'ws-test/webhooks')->json->{webhooks} })[0];
}


# max_inflight, and those that hang

my @hanging = map { "hanging$_" } 1 .. 10;

$hook->on("/$_", gate => 'hanging') for @hanging;
made($_) for @hanging, 'good';

my @ids = spool_accepted($nginx, 40, 'file.written');

is(@ids, 40, '40 events for eleven');
ok($hook->wait_count(40, '/good'), 'a good one has all of them');
ok((wait_until { !grep { $hook->count("/$_") < 3 } @hanging }),
    'each that hangs has max_inflight');

push @ids, spool_accepted($nginx, 20, 'exec.completed');

ok($hook->wait_count(60, '/good'), 'the good one has more');

# each of the two workers may send three

cmp_ok($hook->count("/$_"), '<=', 6, "$_ has no more") for @hanging;

$hook->open_gate('hanging');

ok($hook->wait_count(60, "/$_"), "$_ gets all in the end") for @hanging;

my %times;

$times{ join ' ', $_->{uri}, $hook->header($_, 'X-Trove-Event-Id') }++
    for $hook->requests;
is((scalar grep { $_ != 1 } values %times), 0, 'each of them once');

is(hooks_call($nginx, DELETE => "ws-test/webhooks/$made{$_}{webhook_id}")
    ->status, 200, "$_ is deleted") for @hanging;


# large bodies

made($_) for qw/ large1 large2 /;

my $pad = join '', map { chr 33 + $_ * $_ % 90 } 1 .. 500_000;
$pad =~ s/["\\]/_/g;

is(spool_send($nginx, 'evt-large', 'file.written', data => { pad => $pad })
    ->status, 202, 'an event of 500 KB');

for my $path (qw/ good large1 large2 /) {
    ok((wait_until {
        grep { $_->{uri} eq "/$path" } $hook->by_id('evt-large')
    }), "goes to $path");

    my ($request) = grep { $_->{uri} eq "/$path" } $hook->by_id('evt-large');

    is(JSON::PP::decode_json($request->{body})->{data}{pad}, $pad, 'as a whole');
    is(hooks_verify($request, $made{$path}{signing_secret}), 1, 'and signed');
}


# disable_after, and what is probed before

$hook->on('/failing', status => 500);
made('failing');

spool_accepted($nginx, 30, 'key.revoked');

ok((wait_until { !listed('failing')->{enabled} } 30), 'is disabled');

my $failing = listed('failing');

is($failing->{disabled_reason}, 'failing', 'with the reason');
is($failing->{last_delivery_status}, 500, 'the last status');
ok($nginx->wait_log(qr/subscription "$made{failing}{webhook_id}" .*disabled/),
    'the log says so');

my @failed = grep { $_->{uri} eq '/failing' } $hook->requests;

cmp_ok(scalar @failed, '<', 30 + 30, 'not all that waited was tried');

my $count = $hook->count('/failing');

is(spool_send($nginx, 'evt-after', 'key.revoked')->status, 202, 'another event');
ok((wait_until { grep { $_->{uri} eq '/good' } $hook->by_id('evt-after') }),
    'goes to the good one');
is($hook->count('/failing'), $count, 'and not to the disabled one');


# a person who has mended it gets all that has waited

$hook->on('/failing');

is(hooks_call($nginx, PATCH => "ws-test/webhooks/$made{failing}{webhook_id}",
    { enabled => JSON::PP::true })->status, 200, 'it is enabled');

ok((wait_until {
    my %got = map { $hook->header($_, 'X-Trove-Event-Id') => 1 }
        grep { $_->{uri} eq '/failing' && $_->{told}{status} // 200 == 200 }
        $hook->requests;
    keys %got >= 30;
} 30), 'all events arrive');

ok(listed('failing')->{enabled}, 'it stays enabled');

done_testing;
