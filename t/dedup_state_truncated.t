#!/usr/bin/perl

# trove_dedup_zone state=: somebody truncates the file, or writes something else
# into it, while NGINX uses it.  What is lost is lost; the service goes on.

use lib 't/lib';
use Trove::Disk;
use Trove;

my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%% state=%%STATE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events;
            add_header X-Worker $pid always;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location /metrics {
            trove_metrics;
        }
    }
EOF

my $nginx = nginx($http, workers => 2,
    vars => { SIZE => '1m', STATE => 'events.state' });
my $vars = $nginx->{opt}{vars};
my $file = $nginx->dir . '/events.state';
my $lost = qr/\[error\].* was truncated or overwritten by another program/;
my $bytes = 1048576;

sub signed { return event_request('/gate', $_[0], secret => 's3cret') }

sub outcome {
    my ($r) = @_;

    return !$r ? 'nothing' : $r->status == 200 && $r->body =~ /"duplicate"/
        ? 'duplicate' : $r->status;
}


sub count {
    my %count;
    $count{ outcome($_) }++ for @_;
    return \%count;
}


# events at once, so that both workers have something to do; who answered them

sub both {
    my (@bodies) = @_;

    my (%count, %worker);

    for my $body (@bodies) {
        my ($r) = many($nginx->port, signed($body));
        $count{ outcome($r) }++;
        $worker{ $r->header('X-Worker') // '' }++ if $r;
    }

    return (\%count, scalar keys %worker);
}


sub truncate_to {
    my ($size) = @_;

    truncate $file, $size or die "truncate: $!";
}


my %damage = (
    'to nothing' => sub { truncate_to(0) },
    'to a page' => sub { truncate_to(4096) },
    'to the half' => sub { truncate_to($bytes / 2) },
    'to 5000 bytes' => sub { truncate_to(5000) },
    'to 40 bytes' => sub { truncate_to(40) },
    'by copytruncate, in use again at once' => sub {
        truncate_to(0);
        truncate_to($bytes);
    },
    'by a shell: > file' => sub {
        open my $fh, '>', $file or die "open: $!";
    },
    'and overwritten by a text' => sub {
        open my $fh, '>', $file or die "open: $!";
        print $fh "hello\n" x 100000;
    },
    'and overwritten by random bytes' => sub {
        open my $random, '<', '/dev/urandom' or die "open: $!";
        my $noise;
        sysread $random, $noise, $bytes;
        open my $fh, '>', $file or die "open: $!";
        print $fh $noise;
    },
);

$nginx->start;

for my $name (sort keys %damage) {
    $nginx->mark;

    my @before = map { event() } 1 .. 100;
    is_deeply(count(many($nginx->port, map { signed($_) } @before)),
        { 200 => 100 }, "$name: 100 events before");

    # what is under way when it happens

    my @slow = map { event('file.written', id => new_id()) } 1 .. 5;
    my ($id) = $slow[0] =~ m{"id":"([^"]+)};

    $backend->on($id, delay => 0.3, times => 1);

    my @conns = many_start($nginx->port, map { signed($_) } @slow);
    my @workers = $nginx->workers;
    $backend->wait_count(1, $id);

    $damage{$name}->();

    my ($first) = both(map { event() } 1 .. 50);
    is_deeply($first, { 200 => 50 }, 'each event after it gets its answer');
    is_deeply(count(many_finish(@conns)), { 200 => 5 }, 'and those before');

    my @after = map { event() } 1 .. 60;
    is_deeply((both(@after))[0], { 200 => 60 }, '60 more');

    my ($again, $workers) = both(@after);
    is_deeply($again, { duplicate => 60 }, 'are known to');
    is($workers, 2, 'both workers');

    my $body = event();
    my $copies = count(many($nginx->port, map { signed($body) } 1 .. 20));
    is($copies->{200}, 1, 'of 20 copies at once one passes');

    is(-s $file, $bytes, 'the file has its size again');
    is(join(' ', $nginx->workers), join(' ', @workers), 'no worker died');
    is(() = $nginx->log_lines($lost), 1, 'one line tells of it');
    like(get($nginx->port, '/metrics')->body,
        qr/trove_zone_used\{zone="events",state="done"\} \d\d/, 'metrics');

    # what was known before: some of it, where not all was lost

    my $known = (both(@before))[0]->{duplicate} // 0;
    $name eq 'to the half' ? cmp_ok($known, '>', 10, 'the rest is still known')
                           : pass("$known are known");

    # what comes later finds a table in order

    if ($name eq 'to nothing') {
        ok($nginx->reload, 'reload');
        is_deeply((both(@after))[0], { duplicate => 60 }, 'they are known');
        $nginx->restart;
        is_deeply((both(@after))[0], { duplicate => 60 }, 'after a restart');
    }

    if ($name eq 'to the half') {
        $nginx->kill_all;
        $nginx->start;
        is_deeply((both(@after))[0], { duplicate => 60 }, 'after a SIGKILL');
    }

    $nginx->kill_worker if $name eq 'to a page';
    is_deeply((both(@after))[0], { duplicate => 60 }, 'and known');
}


# it is the master that finds it: a reload, with the same size and with another

for my $size (qw/ 1m 2m /) {
    my @done = map { event() } 1 .. 20;
    is_deeply((both(@done))[0], { 200 => 20 }, "before a reload with $size");

    $nginx->mark;
    truncate_to(0);
    $vars->{SIZE} = $size;

    my $master = $nginx->pid;
    ok($nginx->reload($http), 'reload');
    is($nginx->pid, $master, 'by the same master');
    is_deeply((both(@done))[0], { 200 => 20 }, 'what was completed is lost');
    is_deeply((both(@done))[0], { duplicate => 20 }, 'what is now, is known');
    is(() = $nginx->log_lines($lost), 1, 'one line tells of it');
}

$vars->{SIZE} = '1m';


# only the second of two tables is left: by a reload it has got another size

{
    $vars->{SIZE} = '2m';
    ok($nginx->reload($http), 'a reload with 2m');
    is((both(event()))[0]{200}, 1, 'in the new table');
    truncate_to(0);

    my @done = map { event() } 1 .. 20;
    is_deeply((both(@done))[0], { 200 => 20 }, 'the first table is lost');
    ok($nginx->upgrade, 'another binary starts with it');
    is_deeply((both(@done))[0], { duplicate => 20 }, 'knows them');
    $nginx->restart;
    is_deeply((both(@done))[0], { duplicate => 20 }, 'after a restart, too');
    $vars->{SIZE} = '1m';
}


# it is empty at the start

$nginx->stop;
truncate_to(0);
$nginx->start;

my @done = map { event() } 1 .. 20;
is_deeply((both(@done))[0], { 200 => 20 }, 'started with an empty file');
is_deeply((both(@done))[0], { duplicate => 20 }, 'and used');
$nginx->stop;


# there is no room to give it its size again

my $disk = $nginx->dir . '/disk';

if (small_disk($disk, '2m')) {
    $vars->{STATE} = 'disk/events.state';
    $file = "$disk/events.state";

    $nginx->start;
    is_deeply((both(@done))[0], { 200 => 20 }, 'on a disk that is to be full');

    my @workers = $nginx->workers;

    $nginx->mark;
    truncate_to(0);
    fill_disk($disk);

    my ($answers, $workers) = both(map { event() } 1 .. 40);
    is_deeply($answers, { 503 => 40 }, 'no room for it: all answers are 503');
    is($workers, 2, 'of both workers');
    is(join(' ', $nginx->workers), join(' ', @workers), 'none died');
    ok($nginx->reload, 'reload');
    is_deeply((both(event()))[0], { 503 => 1 }, '503 still');
    ok($nginx->log_lines(qr/\[crit\].*cannot be extended/), 'and why');

    empty_disk($disk);

    my $body;
    ok(wait_until { $body = event(); (both($body))[0]->{200} },
        'with room again, it goes on');

    # each worker looks once a second whether there is room

    ok(wait_until { ((both(($body) x 20))[0]->{duplicate} // 0) == 20 },
        'and knows what it has seen');

    @done = map { event() } 1 .. 40;
    ok(wait_until { (both(map { event() } 1 .. 20))[0]->{200} == 20 },
        'in both workers');
    is_deeply((both(@done))[0], { 200 => 40 }, 'new');
    is_deeply((both(@done))[0], { duplicate => 40 }, 'and known to both');

    $nginx->restart;
    is_deeply((both(@done))[0], { duplicate => 40 }, 'also after a restart');
    $nginx->stop;
}

done_testing();
