#!/usr/bin/perl

# The calls of the API for subscriptions while the disk is full: each is done or
# not done, and says so.

use lib 't/lib';
use Trove::Disk;
use Trove;
use Trove::Subscription;

use JSON::PP ();

my $disk = testdir() . '/disk';

plan(skip_all => 'no disk of its own') unless small_disk($disk, '16m');

my $hook = backend();
my $url = 'http://127.0.0.1:' . $hook->port . '/hook';

my $nginx = nginx(subscription_conf(spool => "$disk/trove.spool"))->start;

my %body = (url => $url, events => ['*'], namespace => undef,
    description => undef);

sub call { return hooks_call($nginx, @_) }


# all that a client can see

sub state_of {
    return JSON::PP->new->canonical->encode([
        map { call(GET => "ws-test/$_")->json } 'webhooks', 'audit',
    ]);
}


my @ids = map { hooks_create($nginx, $url)->{webhook_id} } 1 .. 50;

fill_disk($disk);

my @calls = (
    [ 'create', 201, sub {
        return call(POST => 'ws-test/webhooks',
            { %body, description => 'x' x 1000 });
    } ],
    [ 'change', 200, sub {
        return call(PATCH => "ws-test/webhooks/$ids[0]",
            { description => rand . 'x' x 900, url => "$url/" . rand });
    } ],
    [ 'rotate', 200, sub {
        return call(POST => "ws-test/webhooks/$ids[0]/rotate");
    } ],
    [ 'delete', 200, sub {
        return call(DELETE => "ws-test/webhooks/$ids[-1]");
    } ],
);

for (@calls) {
    my ($name, $good, $sub) = @$_;

    my ($r, $before);

    # there may be room left in the file

    my $full = wait_until {
        $before = state_of();
        $r = $sub->();
        pop @ids if $name eq 'delete' && $r->status == $good;
        return $r->status != $good || !@ids;
    } 30;

    ok($full, "$name: there is no room");
    is($r->status, 503, 'which is a 503');
    ok($r->json->{detail}, 'with a text');
    is(state_of(), $before, 'and nothing is done');
}

is(call(GET => "ws-test/webhooks/$ids[0]")->status, 200, 'they can be read');
is(call(POST => "ws-test/webhooks/$ids[0]/test")->json->{status}, 200,
    'and tested');

empty_disk($disk);

for (@calls) {
    my ($name, $good, $sub) = @$_;

    my $r;

    ok((wait_until { ($r = $sub->())->status == $good } 30),
        "$name: there is room again") or diag($r->body);
}

unlike($nginx->log, qr/trove-whsec-[0-9a-f]{64}/, 'no secret in the log');

done_testing;
