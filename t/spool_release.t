#!/usr/bin/perl

# A spool that a release has made is taken over by this version: t/data/spool
# has a file of each release.  All of them have the same events: twelve, each
# delivered to "good", waiting for a retry to "bad", and waiting for "paused",
# which is paused; six have failed for "gone".

use lib 't/lib';
use Trove;

use IO::Uncompress::Gunzip qw/ gunzip $GunzipError /;

my $day = 86400;

for my $file (glob 't/data/spool/*.gz') {
    my ($release) = $file =~ m{([\d.]+)\.gz$};

    my %target = map { $_ => backend() } qw/ good bad gone paused /;

    my $nginx = nginx(spool_conf(
        spool => '%%TESTDIR%%/trove.spool retention=3660d', dedup => 1,
        retry => 'base=100ms max=1s',
        server => 'server_name gateway.example;',
        targets => [ map { $_ => { to => $target{$_},
            fanout => $_ eq 'gone' ? 'events=exec.*' : '' } }
            qw/ good bad gone paused / ],
    ), workers => 2);

    my $spool = $nginx->dir . '/trove.spool';

    gunzip($file => $spool) or die "$file: $GunzipError";

    my ($version) = spool_sql($spool, 'PRAGMA user_version');

    $nginx->start;

    ok($target{bad}->wait_count(12),
        "$release: the events that waited are delivered");
    ok((wait_until { 24 == (() = spool_sql($spool,
        'SELECT 1 FROM deliveries WHERE state = "delivered"')) } 30),
        "$release: and stored as such");

    cmp_ok((spool_sql($spool, 'PRAGMA user_version'))[0], '>=', $version,
        "$release: the file has the version of this module");

    is($target{$_}->count, 0, "$release: nothing is sent to \"$_\"")
        for qw/ good gone paused /;

    is(spool_send($nginx, 'evt-release-3', 'file.written')->status, 200,
        "$release: an event of it is a duplicate");

    is(spool_api($nginx, POST => 'targets/resume?target=paused')->status, 200,
        "$release: resume");
    ok($target{paused}->wait_count(12),
        "$release: the paused ones follow");

    is(spool_api($nginx, POST => "deliveries/replay?target=gone")->status, 200,
        "$release: replay");
    ok($target{gone}->wait_count(6),
        "$release: the failed ones are replayed");

    is(spool_send($nginx, "evt-new-$release", 'exec.completed')->status, 202,
        "$release: a new event is accepted");
    ok($target{$_}->wait_count(1, "evt-new-$release"),
        "$release: and delivered to \"$_\"") for sort keys %target;

    is_deeply([ spool_sql($spool, 'PRAGMA integrity_check') ], ['ok'],
        "$release: the file is sound");

    $nginx->stop;
}

done_testing;
