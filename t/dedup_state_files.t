#!/usr/bin/perl

# trove_dedup_zone state=: other files in its place, other instances, and what
# "nginx -t" leaves alone.

use lib 't/lib';
use Trove;

use Fcntl qw/ LOCK_EX LOCK_NB F_SETFD /;

my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=%%ZONE%%:%%SIZE%% state=%%STATE%%;
    %%MORE%%

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret trove-whsec-state;
            trove_dedup zone=%%ZONE%% lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $nginx = nginx($http, vars => {
    ZONE => 'events', SIZE => '1m', STATE => 'events.state', MORE => '',
});
my $vars = $nginx->{opt}{vars};
my $file = $nginx->dir . '/events.state';
my @done = map { event() } 1 .. 10;

sub deliver {
    my ($body) = @_;

    my $r = post_event($nginx->port, '/gate', $body, secret => 'trove-whsec-state');

    return !$r ? 'nothing' : $r->status == 200 && $r->body =~ /"duplicate"/
        ? 'duplicate' : $r->status;
}


sub known {
    my ($name) = @_;

    is(join(' ', map { deliver($_) } @done),
        join(' ', ('duplicate') x @done), $name);
}


# all there is of the file: names, inodes, times, contents

sub look {
    return join "\n", map {
        my @stat = lstat $_;
        join ' ', $_, @stat[1, 2, 3, 7, 9], length slurp($_)
    } sort glob "$file*";
}


sub others { return grep { !/events\.state$/ } glob "$file*" }


# a descriptor that nginx inherits, of whoever starts it

sub inherited {
    my ($mode, $path) = @_;

    open my $fh, $mode, $path or die "open $path: $!";
    fcntl $fh, F_SETFD, 0;

    return $fh;
}


# nginx -t leaves alone what is there

for my $content (undef, '', "\0" x 10000) {
    my $name = !defined $content ? 'no file' : length $content ? 'zeroes'
        : 'an empty one';

    spew($file, $content) if defined $content;
    my $before = look();

    is(($nginx->test)[0], 0, "nginx -t: $name");
    is(look(), $before, 'is left alone');

    if (defined $content) {
        $nginx->mark->start;
        is(deliver(event()), 200, 'a start uses it');
        is(-s $file, 1048576, 'as a table');
        is(join(' ', others()), '', 'and sets nothing aside');
        ok($nginx->log_lines(qr/\[warn\].*is empty, the zone starts empty/),
            'but says so');
        $nginx->stop;
    }

    unlink $file;
}


# a file of somebody else is not touched

for my $content ("hello\n" x 1000, 'x', "\0" x 10000 . 'x') {
    spew($file, $content);
    my $before = look();

    for my $how (qw/ test try_start /) {
        my ($code, $text) = $nginx->$how;
        isnt($code, 0, length($content) . " bytes of something else: $how");
        like($text, qr/is not a state file, specify another path or move/,
            'and why');
        is(look(), $before, 'it is left alone');
    }

    is(slurp($file), $content, 'it is as it was');
    unlink $file;
}

$nginx->start;
is(deliver($_), 200, 'new') for @done;

for my $size (qw/ 1m 2m 64k /) {
    my $before = look();

    $vars->{SIZE} = $size;
    is(($nginx->test)[0], 0, "nginx -t: with $size, while it is in use");
    is(look(), $before, 'the file is left alone');
    $vars->{SIZE} = '1m';
}

known('and what is in it');
$nginx->stop;

{
    my $before = look();

    $vars->{SIZE} = '2m';
    is(($nginx->test)[0], 0, 'nginx -t: with another size, while it is not');
    is(look(), $before, 'the file is left alone');
    $vars->{SIZE} = '1m';
}


# a descriptor that is inherited from anybody does not make it an upgrade:
# what was in flight is free at once

$nginx->start;

{
    my $body = event();
    my ($id) = $body =~ /"id":"([^"]+)/;

    $backend->on($id, gate => 'never', times => 1);
    my ($conn) = many_start($nginx->port,
        event_request('/gate', $body, secret => 'trove-whsec-state'));
    ok($backend->wait_count(1, $id), 'in flight');

    $nginx->kill_all;

    my $fh = inherited('+<', $file);

    $nginx->start;
    is(deliver($body), 200, 'what was in flight gets through at once');
    known('and the rest is known');
    $nginx->stop;

    close $fh;
}


# who has it locked is another instance, whatever we have inherited of it

{
    open my $lock, '<', $file or die "open: $!";
    flock $lock, LOCK_EX or die "flock: $!";

    my ($code, $text) = $nginx->try_start;
    isnt($code, 0, 'locked: it does not start');
    like($text . $nginx->log, qr/is in use by another nginx/, 'and says why');
    is(join(' ', others()), '', 'and leaves nothing');
}


# workers whose master was killed still use it

$nginx->start;

{
    my $pid = $nginx->pid;
    my @workers = $nginx->workers;

    kill 'KILL', $pid;
    ok((wait_until { !kill 0, $pid }), 'the master is killed');
    ok((kill 0, @workers), 'a worker lives');
    is(deliver($done[0]), 'duplicate', 'and works');

    unlink $nginx->dir . '/nginx.pid';

    my ($code, $text) = $nginx->try_start;
    isnt($code, 0, 'another one does not start');
    is(deliver($done[0]), 'duplicate', 'which disturbs nobody');

    # nor with other ports, where the file alone is in the way

    my $other = nginx($http, vars => { %$vars, STATE => $file });
    ($code, $text) = $other->try_start;
    isnt($code, 0, 'nor one with another port');
    like($text . $other->log, qr/is in use by another nginx/, 'and says why');

    kill 'KILL', @workers;
    ok((wait_until { !grep { kill 0, $_ } @workers }), 'all are killed');
    $nginx->start;
    known('now one starts');
}


# the zone gets another name, loses the file, gets it back

$vars->{ZONE} = 'renamed';
ok($nginx->reload($http), 'reload with another name of the zone');
known('with the same file');
push @done, my $renamed = event();
is(deliver($renamed), 200, 'a new one');

{
    my $nowhere = $http =~ s/trove_dedup(?:_zone)? .*?;//gr;

    ok($nginx->reload($nowhere), 'reload without a zone');
    ok($nginx->wait_old, 'the old worker ends');
    is(deliver($done[0]), 200, 'nothing is deduplicated');

    $vars->{ZONE} = 'events';
    ok($nginx->reload($http), 'reload with it');
    known('all is known');
    is($nginx->log_lines(qr/is in memory until a restart/), 0,
        'from the file');
}

$nginx->restart;
known('also after a restart');
$nginx->stop;


# two zones with one file, by two names, found out only when the first made it

{
    $vars->{STATE} = 'lost.state';
    $vars->{MORE} = 'trove_dedup_zone zone=more:1m state=conf/../lost.state;';
    mkdir $nginx->dir . '/conf';

    my ($code, $text) = $nginx->try_start;
    isnt($code, 0, 'two zones with one file by two names are refused');
    like($text . $nginx->log, qr/is the same file as that of zone "events"/,
        'and why');

    ($code, $text) = $nginx->test;
    is($code, 1, 'when it is there');
    like($text, qr/is already used by zone "events"/, 'by nginx -t, too');

    $vars->{MORE} = '';
    $vars->{STATE} = 'events.state';
}


# killed while a damaged file was set aside: it has both names

{
    my $bytes = slurp($file);

    spew($file, substr($bytes, 0, 8) . "\0" x 100000);
    link $file, "$file.bad-1700000000.0" or die "link: $!";

    is(($nginx->test)[0], 0, 'nginx -t: a file that was nearly set aside');
    $nginx->mark->start;
    is(deliver($done[0]), 200, 'the start makes another one');
    is(-s "$file.bad-1700000000.0", 100008, 'and has that set aside');
    $nginx->stop;

    unlink others();
    spew($file, $bytes);
}


# what was left by somebody who was killed

spew("$file.tmp", 'x' x 5000);
$nginx->start;
known('with a rest of a start that was killed');
is(join(' ', others()), '', 'which is removed');
$nginx->stop;

spew("$file.tmp", 'x' x 5000);
open my $busy, '<', "$file.tmp" or die "open: $!";
flock $busy, LOCK_EX or die "flock: $!";

my ($code, $text) = $nginx->try_start;
isnt($code, 0, 'if somebody is at it, it does not start');
like($text . $nginx->log, qr/is in use by another nginx/, 'and says why');
is(slurp("$file.tmp"), 'x' x 5000, 'and leaves that alone');
close $busy;

$nginx->start;
known('then it does');


# a chain of tables, of which the last is damaged

for my $size (qw/ 2m 3m /) {
    $vars->{SIZE} = $size;
    ok($nginx->reload($http), "reload with $size");
}

my $late = event();
is(deliver($late), 200, 'a late one');
$nginx->kill_all;

my $damaged = slurp($file);
substr $damaged, (1 + 2) * 1048576, 8, 'x' x 8;
spew($file, $damaged);

$nginx->mark->start;
known('all is known that was in the others');
is(deliver($late), 200, 'but not the late one');
ok($nginx->log_lines(qr/\[warn\].*is damaged, it was renamed/),
    'which is told');

my ($aside) = others();
like($aside, qr/events\.state\.bad-\d+\.0$/, 'a file was set aside');
ok(slurp($aside) eq $damaged, 'as it was');

$nginx->mark->restart;
known('the next start');
is($nginx->log_lines(qr/\[warn\]/), 0, 'has nothing to complain about');

done_testing();
