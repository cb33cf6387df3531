#!/usr/bin/perl

# What a sender gets when the spool cannot be written, what the log says about
# it, and that all goes on by itself when the cause is gone.

use lib 't/lib';
use Trove::Disk;
use Trove;

my $backend = backend();

my $disk = testdir() . '/disk';
my $small = small_disk($disk, '48m');
my $spool = "$disk/trove.spool";

my $nginx = nginx(spool_conf(
    spool => "$spool max_size=8m retention=1s",
    retry => 'base=50ms factor=1 max=50ms',
    http => 'client_max_body_size 1m;',
    targets => [ a => { to => $backend } ],
), workers => 2);

my $log = qr/\[crit\] .* trove: spool "\Q$spool\E" failed: /;

$nginx->start;

sub send_one {
    my (%over) = @_;

    my $id = new_id();
    my $r = spool_send($nginx, $id, 'file.written', %over);

    return wantarray ? ($r, $id) : $r;
}


# accepted, and delivered

sub works {
    my ($name) = @_;

    my ($r, $id);

    my $accepted = wait_until {
        ($r, $id) = send_one();
        $r->status == 202;
    } 30;

    ok($accepted, "$name: accepted") or diag($r->status . ' ' . $r->body);
    ok($backend->wait_count(1, $id), "$name: delivered");
}


sub refused {
    my ($r, $error, $name) = @_;

    is($r->status, 503, "$name: 503");
    is($r->json->{error}, $error, "$name: why");
    is($r->header('Retry-After'), 10, "$name: when to come back");
}


works('at first');


# a stranger who keeps it locked

{
    $nginx->mark;

    open my $shell, '|-', "sqlite3 '$spool' >'$disk/shell'" or die "sqlite3: $!";
    $shell->autoflush(1);
    print $shell "BEGIN EXCLUSIVE;\nSELECT 'locked';\n";
    wait_until { slurp("$disk/shell") =~ /locked/ };

    refused(scalar send_one(), 'spool_unavailable', 'locked');
    ok($nginx->wait_log(qr/$log.*; stop the program that keeps the spool locked/),
        'locked: what to do');
    is(spool_api($nginx, GET => 'targets')->status, 200,
        'locked: it can be read');

    # each worker finds out for itself, also that it is over

    ok((wait_until { $nginx->log_lines($log) >= 2 } 30),
        'locked: for both workers');

    print $shell "ROLLBACK;\n.quit\n";
    close $shell;

    works('not locked any more');
    ok((wait_until { $nginx->log_lines(qr/spool .* recovered/) == 2 } 30),
        'not locked any more: for both workers');
}


# its own limit: it is only for new events

sub fills_up {
    my ($name, $fill) = @_;

    $nginx->mark;
    spool_api($nginx, POST => 'targets/pause?target=a');

    my ($r, @ids);

    $fill->();

    my $full = wait_until {
        ($r, my $id) = send_one(data => { stdout => 'x' x 200_000 });
        push @ids, $id if $r->status == 202;
        $r->status != 202;
    } 60;

    ok($full, "$name: it fills up, after " . @ids);
    refused($r, 'spool_full', $name);

    return @ids;
}

my @ids = fills_up('max_size', sub { });

spool_api($nginx, POST => 'targets/resume?target=a');
my $delivered = wait_until {
    !spool_deliveries($nginx, 'state=pending,inflight')
} 30;
ok($delivered, 'max_size: what was accepted is delivered');

# one line while it is full, though there was room for what became of others

is($nginx->log_lines(qr/$log.*the limit of 8388608 bytes/), 1,
    'max_size: it is logged once');
is($nginx->log_lines(qr/spool .* recovered/), 0,
    'max_size: no outcome is taken for the end of it');

works('below max_size again');
$backend->forget;


# the disk

if ($small) {
    @ids = fills_up('disk', sub { fill_disk($disk) });
    ok($nginx->wait_log(qr/$log.*; free disk space/), 'disk: what to do');

    # who has the event already gets it once more, until that can be written

    empty_disk($disk);
    spool_api($nginx, POST => 'targets/resume?target=a');
    works('room on the disk again');
    $delivered = wait_until {
        !spool_deliveries($nginx, 'state=pending,inflight')
    } 30;
    ok($delivered, 'disk: what was accepted is delivered');

} else {
    note('no disk of its own');
}


# no right to write

$nginx->stop;
chmod 0400, $spool;
$nginx->mark;
$nginx->start;


refused(scalar send_one(), 'spool_unavailable', 'read-only');
ok($nginx->wait_log(
    qr/$log.*; give the user of the workers write access to the spool/),
    'read-only: what to do');
chmod 0600, $spool;
works('writable again');


# damaged, and restored in place; what is in PATH-wal is in the file, too

$nginx->stop;
spew("$spool-wal", '');
system('cp', $spool, testdir() . '/copy') == 0 or die 'cp';
system("dd if=/dev/urandom of='$spool' bs=4096 seek=1 count=200 conv=notrunc"
    . " 2>/dev/null") == 0 or die 'dd';
$nginx->mark;
$nginx->start;

refused(scalar send_one(), 'spool_unavailable', 'damaged');
ok($nginx->wait_log(qr/$log.*; move the spool away or restore a backup, and recover /),
    'damaged: what to do');
system("cat '@{[ testdir() ]}/copy' >'$spool'") == 0 or die 'cat';
works('restored');


# taken away, and put back

$nginx->mark;
rename $spool, "$spool.away" or die "rename: $!";
refused(scalar send_one(), 'spool_unavailable', 'taken away');
ok($nginx->wait_log(qr/$log.*; restore the file, or reload nginx/),
    'taken away: what to do');
rename "$spool.away", $spool or die "rename: $!";
works('put back');

# only a file beside it: what has been accepted is kept

$nginx->mark;
my @before = map { scalar new_id() } 1 .. 20;

for my $id (@before) {
    ok(wait_until { spool_send($nginx, $id, 'file.written')->status == 202 },
        'accepted before');
}

unlink "$spool-wal" or die "unlink: $!";

ok($nginx->wait_log(qr/$log.*the "-wal" file was removed or replaced/),
    'the -wal file is removed: which file it was');
works('the -wal file is removed');

for my $id (@before) {
    wait_until { spool_send($nginx, $id, 'file.written')->status != 503 };
    ok($backend->wait_count(1, $id), 'the -wal file is removed: delivered');
}

ok($nginx->wait_log(qr/\[error\] .* trove: spool "\Q$spool\E" recovered/),
    'which is logged at the level of errors');

done_testing();
