#!/usr/bin/perl

# An event that was accepted is known as long as it is in the spool, also when
# the zone of trove_dedup has lost it.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-keys';
my $backend = backend();

my $nginx = nginx(<<"EOC")->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_dedup_zone zone=events:1m;
    trove_verify on;
    trove_secret $secret;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_dedup zone=events;
            trove_fanout_mode spool;
            trove_fanout /a name=a;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    %%API%%
EOC

sub answer {
    my ($id) = @_;

    my $r = post_event($nginx->port, '/events',
        event('file.written', id => $id), secret => $secret);

    return $r->status . ' ' . $r->json->{status};
}

my ($one, $two) = (new_id(), new_id());

is(answer($_), '202 accepted', 'a new event') for $one, $two;
is(answer($_), '200 duplicate', 'which is known') for $one, $two;
ok(wait_until { 2 == spool_deliveries($nginx, 'state=delivered') },
    'delivered');

for my $how (qw/ QUIT TERM KILL /) {
    $how eq 'KILL' ? $nginx->kill_all : $nginx->stop($how);
    $nginx->start;

    is(answer($_), '200 duplicate', "$how: known to a zone that is empty")
        for $one, $two, $one;
    is(answer(new_id()), '202 accepted', "$how: another one is not");
}

ok(wait_until { 5 == spool_deliveries($nginx, 'state=delivered') },
    'all is delivered');
is($backend->count($_), 1, 'once') for $one, $two;


# at the same time, and with nothing in the zone: still one event

my $id = new_id();
my $body = event('file.written', id => $id);

$nginx->restart;

my @answers = map { $_->status } many($nginx->port,
    map { event_request('/events', $body, secret => $secret) } 1 .. 8);

is(scalar(grep { $_ == 202 } @answers), 1, 'one of eight is accepted')
    or diag("@answers");
is(scalar(grep { $_ !~ /^(?:200|202|409)$/ } @answers), 0,
    'the others are duplicates');
ok($backend->wait_count(1, $id), 'delivered');
is(spool_deliveries($nginx, "event=$id"), 1, 'one delivery');

done_testing();
