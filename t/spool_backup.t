#!/usr/bin/perl

# A backup of a spool while events come in, put back, and moved to another
# place: by the very commands of docs/spool.md.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;
use Trove::Util qw/ alive /;

my $docs = slurp(abs_path('docs') . '/spool.md');
my ($section) = $docs =~ /^## Backup, moving it\n(.*?)^## /ms;
my @commands = $section =~ /^```sh\n(.*?)^```$/msg;

is(@commands, 3, 'the page has commands for a backup, putting it back, moving');

my ($backup, $restore, $move) = @commands;

my $up = backend();
my $slow = backend();
my $broken = backend(status => 500);
my $paused = backend();

my $home = testdir() . '/home';

sub conf {
    my ($dir) = @_;

    return spool_conf(
        spool => "$dir/trove.spool", dedup => 1,
        targets => [
            up => { to => $up },
            slow => { to => $slow, fanout => 'events=exec.* max_inflight=2',
                conf => 'proxy_read_timeout 10m;' },
            broken => { to => $broken, fanout => 'events=exec.*',
                conf => 'trove_retry base=1h max=1h;' },
            gone => { fanout => 'events=exec.*', conf => 'return 410;' },
            paused => { to => $paused, fanout => 'events=exec.*' },
        ],
    );
}

# of root, as /var/lib/nginx may be

mkdir testdir() . "/$_" or die "mkdir: $!" for qw/ home backups srv /;

my $nginx = nginx(conf($home), workers => 2)->start;


# one of those, in the directories of this test

sub run {
    my ($commands, $name) = @_;

    my $dir = testdir();

    $commands =~ s{/var/lib/nginx/}{$dir/home/}g;
    $commands =~ s{/var/backups/}{$dir/backups/}g;
    $commands =~ s{/srv/nginx/}{$dir/srv/}g;

    unlike($commands, qr{(?<!\Q$dir\E)/(?:var|srv)/}, "$name: as it is there");

    open my $shell, '|-', 'sh -e 2>&1' or die "sh: $!";
    print $shell $commands;

    ok(close $shell, "$name: done");
}


# "target: deliveries in this state, ..", of a file

sub states {
    my ($file) = @_;

    return join ', ', spool_sql($file, q{
        SELECT target || ' ' || state || ' ' || count(*) FROM deliveries
        WHERE event_id IN (SELECT id FROM events WHERE type = 'exec.completed')
        GROUP BY target, state ORDER BY target, state });
}


sub has {
    my ($backend, $times, @ids) = @_;

    return wait_until {
        my $got = $backend->arrived;
        !grep { ($got->{$_} // 0) < $times } @ids;
    } 30;
}


spool_send($nginx, new_id(), 'exec.completed');
ok((wait_until { spool_sql("$home/trove.spool", 'SELECT count(*) FROM target')
    == 5 }), 'all targets are known');
spool_api($nginx, POST => 'targets/pause?target=paused');
ok((wait_until { !spool_sql("$home/trove.spool",
    "SELECT count(*) FROM delivery WHERE state < 3 AND target !=
     (SELECT id FROM target WHERE name = 'broken')") }),
    'what came first is over');

# five of each kind

$slow->on('/slow', gate => 'slow');

my @ids = spool_accepted($nginx, 5, 'exec.completed');
is(@ids, 5, 'accepted');

ok((wait_until { $slow->count > 2 }), 'a target hangs');

my $wanted = 'broken retry 6, gone failed 6, paused delivered 1, paused new 5,'
    . ' slow delivered 1, slow leased 5, up delivered 6';

ok((wait_until { states("$home/trove.spool") eq $wanted } 30),
    'deliveries in each state') or diag(states("$home/trove.spool"));


# while others send

my $load = load($nginx->port, '/events', secret => spool_secret(),
    senders => 2, fail => 0);

ok((wait_until { $load->deliveries > 20 } 30), 'events come in');

my @before = keys %{ $load->seen };

run($backup, 'backup');

my $copy = testdir() . '/backups/trove.spool';
my $before = $load->deliveries;

ok((wait_until { $load->deliveries > $before + 10 } 30), 'and go on to');
ok($load->finish, 'until they end');

is(spool_sql($copy, 'PRAGMA integrity_check'), 'ok', 'the backup is sound');
is((stat $copy)[2] & 0777, 0600, 'and only for its owner');
is(states($copy), $wanted, 'with deliveries in each state');

my %in = map { $_ => 1 } spool_sql($copy, 'SELECT id FROM events');

is(scalar(grep { !$in{$_} } @before), 0,
    'and all that was accepted before it began');

# what becomes of them meanwhile

my @since = spool_accepted($nginx, 3, 'exec.completed');

is(@since, 3, 'three are accepted afterwards');
$slow->open_gate('slow');
ok(has($slow, 1, @ids, @since), 'what hung is delivered');

my ($lost) = @since;
my @due = spool_sql($copy, "SELECT event_id, due FROM deliveries
    WHERE target = 'broken' ORDER BY event_id");

$nginx->stop;


# put back: as if nothing had happened since

run($restore, 'put back');

$_->forget for $up, $slow, $broken;
$nginx->start;

ok((wait_until { $slow->count >= 5 } 20), 'what was under way goes out again');
ok(has($slow, 1, @ids), 'all of it');
ok((wait_until { states("$home/trove.spool") eq
    $wanted =~ s/delivered 1, slow leased 5/delivered 6/r } 30),
    'everything else is as it was') or diag(states("$home/trove.spool"));
is_deeply([ spool_sql("$home/trove.spool", "SELECT event_id, due FROM deliveries
    WHERE target = 'broken' ORDER BY event_id") ], \@due, 'and when it is due');

is($broken->count, 0, 'what waits for a retry waits');
is(scalar(grep { $up->arrived->{$_} } @ids), 0,
    'what was delivered is not delivered again');

is(spool_send($nginx, $_, 'exec.completed')->status, 200,
    'what was accepted before is known') for @ids[0, 1];
is(spool_send($nginx, $lost, 'exec.completed')->status, 202,
    'what was accepted since is not');
ok(has($_, 1, $lost), 'and delivered') for $up, $slow;

is(spool_api($nginx, GET => "events/$since[1]")->status, 404,
    'the others are not in it');
is(spool_sql(testdir() . '/backups/aside/trove.spool',
    "SELECT count(*) FROM events WHERE id = '$since[1]'"), 1,
    'but in what was moved away');


# moved, with some that wait, and what is only in the -wal

$nginx->stop;

my $all = states("$home/trove.spool");

run($move, 'moved');
is(join(' ', glob "$home/*"), '', 'moved: nothing is left');

$nginx->{conf} = conf(testdir() . '/srv');
$_->forget for $up, $slow, $broken;
$nginx->start;

is(spool_send($nginx, $_, 'exec.completed')->status, 200,
    'moved: what was accepted is known') for @ids, $lost;
is(states(testdir() . '/srv/trove.spool'), $all, 'moved: all is there');

spool_api($nginx, POST => 'targets/resume?target=paused');
ok(has($paused, 1, @ids, $lost), 'moved: what waited is delivered');

my $id = new_id();

is(spool_send($nginx, $id, 'exec.completed')->status, 202,
    'moved: events are accepted');
ok(has($_, 1, $id), 'moved: and delivered') for $up, $slow, $broken, $paused;
is($up->count, 1, 'moved: nothing was delivered again');
is(join(' ', glob "$home/*"), '', 'moved: nothing is made at the old place');

$nginx->no_errors(qr{giving up after attempt},
    qr{target "\w+" of .* (?:is failing|recovered)});

done_testing();
