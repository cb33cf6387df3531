#!/usr/bin/perl

# An event that was accepted is known as long as it is in the spool, also when
# the zone of trove_dedup has lost it.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(spool_conf(
    dedup => 1, targets => [ a => { to => $backend } ],
))->start;

sub outcome {
    my ($id) = @_;

    my $r = spool_send($nginx, $id);

    return $r->status . ' ' . $r->json->{status};
}

my ($one, $two) = (new_id(), new_id());

is(outcome($_), '202 accepted', 'a new event') for $one, $two;
is(outcome($_), '200 duplicate', 'which is known') for $one, $two;
ok(wait_until { 2 == spool_deliveries($nginx, 'state=delivered') },
    'delivered');

for my $how (qw/ QUIT TERM KILL /) {
    $how eq 'KILL' ? $nginx->kill_all : $nginx->stop($how);
    $nginx->start;

    is(outcome($_), '200 duplicate', "$how: known to a zone that is empty")
        for $one, $two, $one;
    is(outcome(new_id()), '202 accepted', "$how: another one is not");
}

ok(wait_until { 5 == spool_deliveries($nginx, 'state=delivered') },
    'all is delivered');
is($backend->count($_), 1, 'once') for $one, $two;


# at the same time, and with nothing in the zone: still one event

my $id = new_id();
my $body = event('file.written', id => $id);

$nginx->restart;

my @statuses = map { $_->status } many($nginx->port,
    map { event_request('/events', $body, secret => spool_secret()) } 1 .. 8);

is(scalar(grep { $_ == 202 } @statuses), 1, 'one of eight is accepted')
    or diag("@statuses");
is(scalar(grep { $_ !~ /^(?:200|202|409)$/ } @statuses), 0,
    'the others are duplicates');
ok($backend->wait_count(1, $id), 'delivered');
is(spool_deliveries($nginx, "event=$id"), 1, 'one delivery');


# events without what a key is made of are not all the same one

$nginx = nginx(spool_conf(
    http => 'trove_dedup_zone zone=events:1m;',
    events => 'trove_dedup zone=events key=order:$trove_data_order;',
    targets => [ a => { to => $backend } ],
))->start;

for my $data ({}, { order => '' }) {
    my @ids = map { new_id() } 1 .. 3;

    is(spool_send($nginx, $_, 'file.written', data => $data)->status, 202,
        'no value for the key: accepted') for @ids;
    ok($backend->wait_count(1, $_), 'no value for the key: delivered') for @ids;
}

is(spool_send($nginx, new_id(), 'file.written', data => { order => 'o-1' })
    ->status, $_, 'a value for the key') for 202, 200;

done_testing();
