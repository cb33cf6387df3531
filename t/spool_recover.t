#!/usr/bin/perl

# Damaged spools, from which trove-spool-recover saves what can be read, and
# with which NGINX goes on.  TROVE_SEED repeats a run, TROVE_ROUNDS makes it longer.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;

my $seed = $ENV{TROVE_SEED} // int rand 2 ** 31;
my $rounds = $ENV{TROVE_ROUNDS} // 5;

srand $seed;
diag("TROVE_SEED=$seed");

my $recover = abs_path('util/trove-spool-recover');
my $dir = testdir();
my $spool = "$dir/home/trove.spool";

mkdir "$dir/home" or die "mkdir: $!";

my $up = backend();
my $broken = backend(status => 500);
my $paused = backend();

my $nginx = nginx(spool_conf(
    spool => $spool, dedup => 1, retry => 'base=1h max=1h',
    targets => [
        up => { to => $up }, broken => { to => $broken },
        paused => { to => $paused },
    ],
    http => 'client_body_buffer_size 64k;',
))->start;


# events of one and of many pages, with deliveries in several states

my %body = map { new_id() => 'x' x (rand() < 0.3 ? rand 40000 : rand 300) }
    1 .. 60;
my @ids = sort keys %body;

ok(spool_send($nginx, $ids[0], 'exec.completed')->status == 202, 'accepted');
ok((wait_until { $paused->count == 1 }), 'all targets are known');
spool_api($nginx, POST => 'targets/pause?target=paused');

is(scalar(grep {
    spool_send($nginx, $_, 'exec.completed', output => $body{$_})->status == 202
} @ids[1 .. $#ids]), $#ids, 'the others as well');

ok((wait_until { spool_sql($spool, "SELECT count(*) FROM deliveries
    WHERE (target = 'up' AND state = 'delivered')
        OR (target = 'broken' AND state = 'retry')") == 2 * @ids } 30),
    'are delivered or wait');

# with the most recent writes in PATH-wal, and with all in the file

$nginx->stop;
system("mkdir $dir/wal $dir/file; cp -p $spool $spool-wal $dir/wal;"
    . " cp -p $spool $spool-wal $dir/file;"
    . " sqlite3 $dir/file/trove.spool 'PRAGMA wal_checkpoint(TRUNCATE)'"
    . ' >/dev/null') == 0
    or die 'cp';
unlink "$dir/file/trove.spool-wal", "$dir/file/trove.spool-shm";


sub damaged {
    my ($from, $name, $damage) = @_;

    system("rm -rf $dir/damaged $dir/new; mkdir $dir/damaged $dir/new;"
        . " cp -p $dir/$from/* $dir/damaged") == 0 or die 'cp';

    my $file = "$dir/damaged/trove.spool";

    $damage->($file);

    my $sum = qx{cat $dir/damaged/* | cksum};
    my $out = qx{$recover $file $dir/new/trove.spool 2>&1};

    is($?, 0, "$name: exit code") or diag($out);
    is(qx{cat $dir/damaged/* | cksum}, $sum, "$name: nothing is changed");

    my $new = "$dir/new/trove.spool";

    is(spool_sql($new, 'PRAGMA integrity_check'), 'ok', "$name: is sound");

    return $new;
}

sub pages {
    my ($file, $what, @pages) = @_;

    open my $fh, '+<', $file or die "$file: $!";
    binmode $fh;

    for my $n (@pages) {
        seek $fh, ($n - 1) * 4096, 0;
        print $fh $what eq 'zero' ? "\0" x 4096
            : join '', map { chr rand 256 } 1 .. 4096;
    }

    close $fh or die "$file: $!";
}

my $states = q{SELECT event_id, target, replace(state, 'leased', 'retry'), body
    FROM deliveries JOIN event ON number = event ORDER BY 1, 2};
my @all = spool_sql("$dir/file/trove.spool", $states);

is(@all, 3 * @ids, 'deliveries');

# SQLite as a reader: the tables of each page

my %pages;

push @{ $pages{$_->[0]} }, $_->[1] for map { [ split /\|/ ] }
    qx{sqlite3 -readonly $dir/file/trove.spool "SELECT tbl.name, rootpage
        FROM sqlite_master AS tbl WHERE rootpage > 0"};

chomp for map { @$_ } values %pages;


# nothing is lost where a copy of it is left

for my $from ('file', 'wal') {
    my $new = damaged($from, "$from, sound", sub { });

    is_deeply([ spool_sql($new, $states) ], \@all, "$from, sound: all of it");

    is(spool_sql($new, "SELECT group_concat(name || sql, ' ') FROM
        (SELECT name, replace(replace(sql, '(', ''), ' ', '') AS sql
        FROM sqlite_master WHERE type = 'view' ORDER BY name)"),
        spool_sql("$dir/file/trove.spool",
        "SELECT group_concat(name || sql, ' ') FROM
        (SELECT name, replace(replace(sql, '(', ''), ' ', '') AS sql
        FROM sqlite_master WHERE type = 'view' ORDER BY name)"),
        "$from, sound: the views of this version");

    is_deeply([ map { [ spool_sql($_, "SELECT m.name, i.name, i.type,
            i.\"notnull\", i.dflt_value, i.pk FROM sqlite_master AS m,
            pragma_table_info(m.name) AS i WHERE m.type = 'table'
            AND m.name != 'ident' AND i.name != 'earliest'
            ORDER BY m.name, i.cid") ] } $new ],
        [ map { [ spool_sql($_, "SELECT m.name, i.name, i.type,
            i.\"notnull\", i.dflt_value, i.pk FROM sqlite_master AS m,
            pragma_table_info(m.name) AS i WHERE m.type = 'table'
            AND m.name != 'ident' AND i.name != 'earliest'
            ORDER BY m.name, i.cid") ] } "$dir/file/trove.spool" ],
        "$from, sound: the tables of a version that nginx converts");

    for my $pragma (qw/ application_id page_size auto_vacuum /) {
        is(spool_sql($new, "PRAGMA $pragma"),
            spool_sql("$dir/file/trove.spool", "PRAGMA $pragma"),
            "$from, sound: $pragma");
    }
}

for my $what ('zero', 'random') {
    my $new = damaged(file => "first page, $what", sub {
        pages($_[0], $what, 1);
    });

    is_deeply([ spool_sql($new, $states) ], \@all, "first page, $what: all");

    for my $index (grep { /^delivery_|^sqlite_auto/ } sort keys %pages) {
        $new = damaged(file => "$index, $what", sub {
            pages($_[0], $what, @{ $pages{$index} });
        });

        is_deeply([ spool_sql($new, $states) ], \@all, "$index, $what: all");
    }

    $new = damaged(file => "root of event, $what", sub {
        pages($_[0], $what, @{ $pages{event} });
    });

    is_deeply([ spool_sql($new, $states) ], \@all,
        "root of event, $what: all");

    is(spool_sql($new, 'SELECT group_concat(name) FROM target WHERE paused'),
        'paused', "root of event, $what: a target stays paused");

    $new = damaged(file => "targets, $what", sub {
        pages($_[0], $what, @{ $pages{target} });
    });

    is_deeply([ spool_sql($new, $states) ], \@all, "targets, $what: all");
    is(spool_sql($new, 'SELECT count(*) FROM target WHERE paused'), 3,
        "targets, $what: are paused, because they may have been");
}


# any damage

for my $round (1 .. $rounds) {
    for my $from ('file', 'wal') {
        my $new = damaged($from, "round $round, $from", sub {
            my ($file) = @_;
            my $size = (-s $file) / 4096;
            my $wal = "$file-wal";

            pages($file, rand() < 0.5 ? 'zero' : 'random',
                map { 1 + int rand $size } 1 .. rand 5) if $size > 1;
            truncate $file, rand(-s $file) if rand() < 0.3;

            return if !-e $wal;

            unlink $wal if rand() < 0.1;
            truncate $wal, rand(-s $wal) if -e $wal && rand() < 0.3;
        });

        my %known = map { /^([^|]*)/ ? ($1 => 1) : () } @all;
        my @got = spool_sql($new, 'SELECT id FROM events');

        is(scalar(grep { !$known{$_} } @got), 0,
            "round $round, $from: no others");
        is(spool_sql($new, 'SELECT events - (SELECT count(*) FROM event)
            FROM spool'), 0, "round $round, $from: counted");
    }
}


# NGINX goes on with it

my $new = damaged(file => 'for nginx', sub {
    pages($_[0], 'random', 1, map { @{ $pages{$_} } } 'event',
        grep { /^delivery_/ } keys %pages);
});

system("rm -f $spool*; cp -p $new $spool") == 0 or die 'cp';

$_->forget for $up, $paused;
$nginx->start;

is(spool_send($nginx, $ids[1], 'exec.completed')->status, 200,
    'what was accepted is a duplicate');
is($paused->count, 0, 'a target that was paused is paused');

my $id = new_id();

is(spool_send($nginx, $id, 'exec.completed')->status, 202, 'a new event');
ok((wait_until { $up->arrived->{$id} }), 'is delivered');

qx{$recover $spool $dir/again 2>&1};
isnt($?, 0, 'nothing is recovered while nginx runs');
ok(!-e "$dir/again", 'and nothing is created');

spool_api($nginx, POST => 'targets/resume?target=paused');
ok((wait_until {
    my $got = $paused->arrived;
    !grep { !$got->{$_} } @ids[1 .. $#ids], $id;
} 30), 'what waited is delivered') or diag(scalar keys %{ $paused->arrived });

$nginx->stop;

done_testing();
