#!/usr/bin/perl

# trove_spool: links and other things that are no files, which somebody who may
# write the directory has put where the master, which is root, opens and makes
# files, and gives them to the user of the workers.

use lib 't/lib';
use Trove;
use Trove::Plant;

my $root = $> == 0;
my $target = backend();

my $nginx = nginx(spool_conf(spool => '%%TESTDIR%%/theirs/trove.spool',
    targets => [ one => { to => $target } ]));
my $dir = $nginx->dir;
my $spool = "$dir/theirs/trove.spool";

mkdir "$dir/theirs" or die "mkdir: $!";
mkdir "$dir/elsewhere" or die "mkdir: $!";

if ($root) {
    my ($nobody, $nogroup) = (getpwnam 'nobody')[2, 3];
    chown $nobody, $nogroup, "$dir/theirs";
}

my $outside = "$dir/elsewhere/passwd";

spew($outside, "root:x:0:0:root:/root:/bin/bash\n" x 300);
chmod 0640, $outside;

# all but how many names there are: in their own directory they may remove one

sub look {
    return join "\n", slurp($outside), map {
        join ' ', $_, (lstat $_)[0 .. 2, 4, 5, 7, 9]
    } $outside, sort glob "$dir/elsewhere/*";
}


my %plant = (
    planted($outside, "$dir/elsewhere"),
    "root's file, moved here" => [ sub { spew($_[0], 'secret') && 1 },
        qr/is not owned by the user of the workers, .*; chown it/ ],
);

# elsewhere the workers are the same user, and nothing is given to anybody

%plant = () if !$root;

for my $suffix ('-wal', '-shm', '-lock') {
    my $name = "$spool$suffix";

    for my $what (sort keys %plant) {
        my ($plant, $message) = @{ $plant{$what} };

        $plant->($name) or die "$what: $!";

        my $before = look();

        $nginx->mark->start;

        ok($nginx->log_lines(
            qr/\[error\].*cannot be opened: "trove.spool$suffix" $message/),
            "$what at PATH$suffix: it is said what to do");
        is(look(), $before, 'nothing outside has changed');

        # SQLite may have removed it, by the rights of the workers

        -d $name && !-l $name ? rmdir $name : unlink $name;

        ok($nginx->reload, 'a reload without it');
        is(spool_send($nginx, my $id = new_id(), 'file.written')->status, 202,
            'the spool works');
        ok($target->wait_count(1, $id), 'it is delivered');
        is(look(), $before, 'nothing outside has changed');

        $nginx->stop;
        unlink glob "$spool*";
    }
}


# a link in the place of the directory

if ($root) {
    my ($nobody, $nogroup) = (getpwnam 'nobody')[2, 3];
    my $before = look();

    rename "$dir/theirs", "$dir/away" or die "rename: $!";
    symlink "$dir/elsewhere", "$dir/theirs" or die "symlink: $!";
    system 'chown', '-h', $nobody, "$dir/theirs";

    $nginx->mark->start;
    $nginx->stop;
    is(look(), $before, 'nothing is made behind a link of the workers');

    unlink "$dir/theirs";
    rename "$dir/away", "$dir/theirs" or die "rename: $!";
}


# PATH itself is looked at by nginx -t, too

for my $what (sort keys %plant) {
    my ($plant) = @{ $plant{$what} };

    $plant->($spool) or die "$what: $!";

    my $before = look();
    my ($code, $text) = $nginx->test;

    if ($what eq 'a hard link' && $code == 0) {
        ($code, $text) = $nginx->try_start;
        $nginx->stop if $code == 0;
    }

    isnt($code, 0, "$what at PATH: nginx -t") if $what !~ /hard/;
    is(look(), $before, 'nothing outside has changed');

    -d $spool && !-l $spool ? rmdir $spool : unlink $spool;
    unlink glob "$spool*";
}


# all of it is given to the workers, also in a directory that is not theirs

if ($root) {
    chown 0, 0, "$dir/theirs";
    $nginx->start;
    is(spool_send($nginx, new_id(), 'file.written')->status, 202,
        'in a directory of root');

    my %owner = map { s/.*trove.spool//r => scalar getpwuid((lstat $_)[4]) }
        glob "$spool*";

    is_deeply(\%owner, { map { $_ => 'nobody' } '', qw/ -wal -shm -lock / },
        'the files are of the workers');

    # a copy that root has put there, too

    $nginx->stop;
    chown 0, 0, $spool;
    $nginx->start;
    is(spool_send($nginx, new_id(), 'file.written')->status, 202,
        'and a copy of root is given to them');
    is((lstat $spool)[4], (getpwnam 'nobody')[2], 'by the master');
}

done_testing();
