#!/usr/bin/perl

# The upgrade of the binary, also one that is taken back, while events come in
# and deliveries are under way, wait for room, and wait for a retry: nothing
# accepted is lost, each target gets each event, nobody waits for a lease.
#
# A worker that has to go ends what it has begun, hands back what it has not,
# and takes nothing new.  So each delivery is made once, though neither the
# spool nor the sender are promised that.

use lib 't/lib';
use Trove;

use Trove::Util qw/ alive children strays /;

my $fast = backend();
my $slow = backend();
my $later = backend();

my $workers = 2;
my $room = 2;

my $nginx = nginx(spool_conf(
    dedup => 1,
    targets => [
        fast => { to => $fast, fanout => 'events=file.*' },
        slow => { to => $slow, conf => 'proxy_read_timeout 10m;',
            fanout => "events=file.* max_inflight=$room" },
        later => { to => $later, fanout => 'events=exec.*',
            conf => 'trove_retry base=1s factor=1 max=1s;' },
    ],
), workers => $workers)->start;

my $spool = $nginx->dir . '/trove.spool';


# the children of a master, but for another master

sub family {
    my %all = children($_[0]);

    return grep { $all{$_} =~ /worker process/ } keys %all;
}


sub workers_of {
    my %all = children($_[0]);

    return grep { $all{$_} eq 'nginx: worker process' } keys %all;
}


sub next_master {
    my $old = $nginx->pid;

    kill 'USR2', $old;

    ok((wait_until {
        my $pid = $nginx->pid;
        $pid && $pid != $old && workers_of($pid) == $workers;
    } 30), 'a second master, with its workers');

    return ($old, $nginx->pid);
}


# those who have leases, by their numbers in the file

sub owners {
    return spool_sql($spool,
        'SELECT DISTINCT owner FROM delivery WHERE state = 2');
}


sub leased {
    my (@owners) = @_;

    return spool_sql($spool, 'SELECT count(*) FROM delivery WHERE state = 2'
        . ' AND owner IN (' . join(',', @owners) . ')');
}


# what comes to the slow target from now on hangs; how many did

sub hang {
    my ($gate) = @_;

    $slow->close_gate($gate);
    $slow->on('/slow', gate => $gate);
}


sub hanging {
    my ($gate) = @_;

    return scalar grep { ($_->{told}{gate} // '') eq $gate } $slow->requests;
}


# deliveries that hang, others behind them, and some that failed once

sub busy {
    my ($name) = @_;

    hang($name);

    my @retried = map { new_id() } 1 .. 5;

    $later->on($_, status => 500, times => 1) for @retried;
    is(spool_send($nginx, $_, 'exec.completed')->status, 202,
        "$name: accepted") for @retried;

    # each worker has as many under way as it may, and more in memory

    my $load = load($nginx->port, '/events', secret => spool_secret(),
        senders => 2, fail => 0);

    ok((wait_until { hanging($name) == $workers * $room } 30),
        "$name: the slow target has all that it may have");
    ok((wait_until { leased(owners()) > 3 * $workers * $room } 30),
        "$name: more is behind it");
    ok((wait_until { !grep { !$later->count($_) } @retried } 30),
        "$name: one target has refused some");

    my @owners = owners();
    is(@owners, $workers, "$name: of each worker");

    return { name => $name, gate => $name, load => $load, retried => \@retried,
        owners => \@owners };
}


# what the workers that leave have, while what is under way hangs

sub handed_back {
    my ($it, $leaving) = @_;

    ok((wait_until { leased(@{ $it->{owners} }) == $workers * $room } 20),
        "$it->{name}: what has not begun is handed back")
        or diag(leased(@{ $it->{owners} }));
    ok((wait_until { hanging($it->{gate}) == 2 * $workers * $room } 20),
        "$it->{name}: and taken by the others, as far as they have room")
        or diag(hanging($it->{gate}));
    is(scalar(grep { alive($_) } @$leaving), $workers,
        "$it->{name}: what is under way is waited for");

    # the others accept meanwhile

    my $before = $it->{load}->deliveries;

    ok((wait_until { $it->{load}->deliveries > $before + 10 } 30),
        "$it->{name}: events are accepted meanwhile");
}


sub all_is_well {
    my ($it, $gone) = @_;

    my ($name, $load) = @{$it}{qw/ name load /};

    # of what was under way, nothing is left to a lease

    ok((wait_until { !grep { alive($_) } @$gone } 30),
        "$name: those who leave are gone");
    is(leased(@{ $it->{owners} }), 0, "$name: and have left no lease");

    ok($load->finish, "$name: each event was accepted in the end");

    my @ids = keys %{ $load->seen };
    my %outcomes = %{ $load->outcomes };

    is($outcomes{202}, scalar @ids, "$name: each once");
    is_deeply([ grep { !/^(?:200|202|409)$/ } sort keys %outcomes ], [],
        "$name: the others were duplicates") or diag(explain(\%outcomes));

    for ([ fast => $fast, 1, @ids ], [ slow => $slow, 1, @ids ],
        [ later => $later, 2, @{ $it->{retried} } ])
    {
        my ($target, $backend, $times, @wanted) = @$_;
        my $got;

        wait_until {
            $got = $backend->arrived;
            !grep { ($got->{$_} // 0) < $times } @wanted;
        } 60;

        my @wrong = grep { ($got->{$_} // 0) != $times } @wanted;

        is("@wrong", '', "$name: $target has got each, and none too often");
    }

    ok((wait_until {
        !spool_sql($spool, 'SELECT count(*) FROM delivery WHERE state != 3')
    } 30), "$name: all is delivered");

    # not before its time

    for my $id (@{ $it->{retried} }) {
        my ($first, $second)
            = @{ spool_delivery($nginx, $id, 'later')->{history} };
        my ($said) = slurp($nginx->log_file)
            =~ /"\Q$id\E" to target .* failed: .* next attempt in (\d+) ms/;

        cmp_ok($second->{started} - $first->{started} - $first->{ms}, '>=',
            $said - 2, "$name: the retry has waited");
    }

    ok((wait_until {
        join(' ', sort(strays($nginx->dir)))
            eq join(' ', sort($nginx->pid // 0, $nginx->workers));
    } 20), "$name: no process is left");
    is(scalar(() = $nginx->workers), $workers, "$name: but for those at work");
}


# an upgrade

{
    my $it = busy('upgrade');
    my ($old, $new) = next_master();
    my @leaving = family($old);

    kill 'WINCH', $old;
    handed_back($it, \@leaving);
    kill 'QUIT', $old;
    ok(alive($old), 'upgrade: the old master waits for its workers');

    $slow->open_gate('upgrade');
    all_is_well($it, [ $old, @leaving ]);
    is($nginx->pid, $new, 'upgrade: the new master has taken over');
}


# one that is taken back: twice other workers take over

{
    my $it = busy('back');
    my ($old, $new) = next_master();
    my @leaving = family($old);

    kill 'WINCH', $old;
    handed_back($it, \@leaving);
    $slow->open_gate('back');
    ok((wait_until { !grep { alive($_) } @leaving } 30),
        'back: the old workers are gone');
    is(leased(@{ $it->{owners} }), 0, 'back: and have left no lease');

    # now the new ones are those that hang

    $it->{gate} = 'again';
    hang('again');
    ok((wait_until { hanging('again') == $workers * $room } 30),
        'back: the slow target hangs again');
    ok((wait_until { leased(owners()) > 3 * $workers * $room } 30),
        'back: with more behind it');
    $it->{owners} = [ owners() ];
    @leaving = family($new);

    kill 'HUP', $old;
    ok((wait_until { workers_of($old) == $workers } 30),
        'back: the old master has workers again');
    kill 'QUIT', $new;
    handed_back($it, \@leaving);

    $slow->open_gate('again');
    ok((wait_until { ($nginx->pid // 0) == $old } 30),
        'back: the old master has its place again');
    all_is_well($it, [ $new, @leaving ]);
}

is(scalar(spool_deliveries($nginx, 'state=failed')), 0, 'none has failed');
$nginx->no_errors(qr/target "\w+" of .* (?:is failing|recovered)/);

done_testing();
