#!/usr/bin/perl

# What waits for room under way: in order, no more at once than max_inflight,
# and handed over at a reload, whatever hangs.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-ready';
my $slow = backend();
my $other = backend();

my $conf = <<'EOC';
    trove_spool %%TESTDIR%%/trove.spool;
    trove_verify on;
    trove_secret trove-whsec-ready;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_fanout_mode spool;
            trove_fanout /slow name=slow max_inflight=2;
            trove_fanout /other name=other;
        }

        location = /slow {
            internal;
            proxy_read_timeout 60s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /other {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }
    }
EOC

my $nginx = nginx($conf)->start;

sub accepted {
    my ($n) = @_;

    my @ids = map { new_id() } 1 .. $n;
    my @answers = many($nginx->port, map {
        event_request('/events', event('file.written', id => $_),
            secret => $secret)
    } @ids);

    is(scalar(grep { $_->status == 202 } @answers), $n, "$n are accepted");

    return @ids;
}


# two hang, and the others wait for them

$slow->on('/slow', gate => 'a');

my @ids = accepted(30);

ok($other->wait_count(30), 'another target gets all');
ok($slow->wait_count(2), 'two are under way');

accepted(1);
ok($other->wait_count(31), 'and one more');
is($slow->count, 2, 'no third one meanwhile');

$slow->open_gate('a');

ok($slow->wait_count(31), 'all come when the first are answered');
is_deeply([ map { $slow->count($_) } @ids ], [ map { 1 } @ids ],
    'each of them once');


# an old worker keeps what hangs, and nothing else

$slow->forget;
$other->forget;
$slow->close_gate('a');

accepted(20);

ok($other->wait_count(20), 'another target gets all');
ok($slow->wait_count(2), 'two are under way');

$nginx->reload($conf);

# the new worker has room for two of its own

ok($slow->wait_count(4), 'the new worker begins with what the old one had');
$slow->open_gate('a');

ok($slow->wait_count(20), 'nothing waits until a lease has run out');
$nginx->wait_old;

my %seen;
$seen{ $slow->header($_, 'X-Trove-Event-Id') }++ for $slow->requests;

is(scalar(keys %seen), 20, 'all of them');
is((grep { $_ != 1 } values %seen), 0, 'each of them once');

done_testing();
