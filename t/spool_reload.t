#!/usr/bin/perl

# Two configurations at once, and a target that is removed, renamed and brought
# back: no delivery fails for that, and all go through in the end.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-reload';
my $a = backend();
my $b = backend(status => 500);

sub conf {
    my ($targets, $retry) = @_;

    return <<"EOC";
    trove_spool %%TESTDIR%%/trove.spool;
    trove_verify on;
    trove_secret $secret;
    trove_retry $retry;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_fanout_mode spool;
            trove_fanout /a name=a;
            $targets
        }

        location = /status { trove_verify off; stub_status; }

        location = /a { internal; proxy_pass http://127.0.0.1:%%BACKEND%%; }
        location = /b { internal; proxy_pass http://127.0.0.1:%%BACKEND_1%%; }
    }

    %%API%%
EOC
}

# a window that is over soon, and a retry that is far away

my $nginx = nginx(conf('trove_fanout /b name=b;', 'base=1h max=1h window=1s'),
    workers => 2)->start;

sub deliver {
    my $id = new_id();

    is(post_event($nginx->port, '/events', event('file.written', id => $id),
        secret => $secret)->status, 202, 'accepted');

    return $id;
}

sub state_of {
    my ($id, $target) = @_;

    my $d = spool_delivery($nginx, $id, $target) or return 'none';

    return $d->{state} . ($d->{reason} ? ": $d->{reason}" : '');
}

my $unknown = 'pending: the target is not configured';

my $before = deliver();

ok(wait_until { @{ (spool_delivery($nginx, $before, 'b') || {})->{history}
    || [] } == 1 }, 'b does not take it');


# an old worker has half of a request, and its configuration, b

my $body = event('file.written', id => my $during = new_id());
my $request = event_request('/events', $body, secret => $secret);
my $conn = conn($nginx->port);

$conn->send(substr $request, 0, length($request) - 10);
ok(wait_until { stub_status($nginx->port)->{writing} > 1 },
    'a worker has taken it');

$nginx->reload(conf('', 'base=1h max=1h window=1s'));

ok($nginx->old_workers > 0, 'two configurations at once');

my $after = deliver();

is(state_of($before, 'b'), $unknown, 'removed: what waits goes on waiting');
is(state_of($after, 'b'), 'none', 'new events are not for it');

$conn->send(substr $request, length($request) - 10);
is($conn->response->status, 202, 'the old worker accepts');
ok($nginx->wait_old, 'and ends');

# what that one could not end is handed back, or its lease runs out

ok(wait_until { state_of($during, 'b') eq $unknown },
    'what it has accepted for b waits') or diag(state_of($during, 'b'));


# by another name it is another target

$nginx->reload(conf('trove_fanout /b name=c;', 'base=1h max=1h window=1h'));
$nginx->wait_old;

my $renamed = deliver();

is(state_of($before, 'b'), $unknown, 'renamed: what waits goes on waiting');
is(state_of($renamed, 'b'), 'none', 'new events are for the new name');
ok(wait_until { state_of($renamed, 'c') eq 'pending' }, 'they are tried');


# back again, after the window has ended, and with a shorter time to wait

ok(wait_until {
    my ($target) = grep { $_->{target} eq 'b' }
        @{ spool_api($nginx, GET => 'targets')->json->{targets} };
    $target->{oldest_pending_ms} > 1500;
}, 'longer than the window');

$b->stop;
$b->{default}{status} = 200;
$b->start;
$nginx->reload(conf('trove_fanout /b name=b; trove_fanout /b name=c;',
    'base=1ms max=10ms window=1s'));

for ([ $before, 'b' ], [ $during, 'b' ], [ $renamed, 'c' ]) {
    ok(wait_until { state_of(@$_) eq 'delivered' }, "back: to $_->[1]")
        or diag(state_of(@$_));
}

is($b->count($during), 1, 'an old worker starts nothing, the new ones do');
ok(wait_until { state_of($_, 'a') eq 'delivered' }, 'a has all')
    for $before, $during, $after, $renamed;
is(spool_deliveries($nginx, 'state=failed'), 0, 'none has failed');

done_testing();
