#!/usr/bin/perl

# Whatever becomes of NGINX: an event that was answered 202 reaches each of its
# targets in the end.  Everything is killed at random moments under load, with
# the disk full in every second round.
#
# TROVE_ROUNDS=50 runs longer; TROVE_FULL=1 fills the disk in each round, 0 in
# none.

use lib 't/lib';
use Trove::Disk;
use Trove;

use Time::HiRes qw/ time /;

my $a = backend();
my $b = backend();
my $rounds = $ENV{TROVE_ROUNDS} || 4;

my $disk = testdir() . '/disk';
my $small = small_disk($disk, '128m');

my $nginx = nginx(spool_conf(
    spool => "$disk/trove.spool",
    retry => 'base=100ms factor=2 max=1s',
    dedup => 1,
    http => <<'EOC',
    upstream a { server 127.0.0.1:%%BACKEND%%; keepalive 8; }
    upstream b { server 127.0.0.1:%%BACKEND_1%%; keepalive 8; }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
EOC
    targets => [ a => { to => 'http://a' }, b => { to => 'http://b' } ],
), workers => 2)->start;

my $file = testdir() . '/accepted';

# sends fresh events until it is told to stop, and notes those that are accepted

sub sender {
    my ($n) = @_;

    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;

    open my $fh, '>>', "$file.$n" or die "open: $!";
    $fh->autoflush(1);

    while (!-e "$file.stop") {
        my $id = new_id();
        my $r = eval { spool_send($nginx, $id) };

        print $fh "$id\n" if $r && $r->status == 202;
        select undef, undef, undef, 0.01 unless $r;
    }

    POSIX::_exit(0);
}

my $lost = 0;
my $accepted = 0;
my $refused = 0;

for my $round (1 .. $rounds) {
    unlink "$file.stop";

    my $fill = $small && ($ENV{TROVE_FULL} // $round % 2 == 0);

    my @senders = map { sender("$round.$_") } 1, 2;

    select undef, undef, undef, 0.2 + rand 0.5;

    if ($fill) {

        # what is accepted meanwhile, and what becomes of it, finds no room

        fill_disk($disk);
        select undef, undef, undef, rand 1;
    }

    $nginx->kill_all;
    $nginx->start;

    if ($fill) {
        select undef, undef, undef, rand 1;
        $refused += () = $nginx->log =~ /free disk space/g;
        empty_disk($disk);
    }

    wait_until { grep { -s "$file.$round.$_" } 1, 2 };

    open my $fh, '>', "$file.stop" or die "open: $!";
    close $fh;
    waitpid $_, 0 for @senders;

    my @ids = map { slurp("$file.$round.$_") =~ /^(\S+)$/mg } 1, 2;
    $accepted += @ids;

    for ([ a => $a ], [ b => $b ]) {
        my ($name, $backend) = @$_;
        my @missing = @ids;

        wait_until {
            my $got = $backend->arrived;
            @missing = grep { !$got->{$_} } @missing;
            !@missing;
        } 60;

        $lost += @missing;
        diag "round $round, $name: @missing" if @missing;
        $backend->forget;
    }
}

ok($accepted > $rounds, "$accepted events were accepted");
is($lost, 0, 'each reached each target');
ok($refused, "the disk was full $refused times")
    if $small && ($ENV{TROVE_FULL} // 1);

done_testing();
