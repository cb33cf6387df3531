#!/usr/bin/perl

# Many readers of streams: none misses an event or gets one twice, whatever the
# others do; they share one read of the spool; one that does not read costs
# nothing, and gets what it has missed when it does.

use Socket qw/ SOL_SOCKET SO_RCVBUF /;
use Time::HiRes qw/ time /;

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Metrics;
use Trove::Stream;

my $seed = $ENV{TROVE_SEED} // int rand 2**31;
diag("TROVE_SEED=$seed");
srand $seed;

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    server => 'client_body_buffer_size 1m;', http => <<'EOC'), workers => 2);
    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k;
        location /trove/ { trove_api a-token-of-some-length; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% sndbuf=64k;
        send_timeout 1s;
        location /trove/ { trove_api a-token-of-some-length; }
    }
EOC

$nginx->start;

my $file = $nginx->dir . '/trove.spool';


sub accepted {
    my ($id, $type, %over) = @_;

    my $r = spool_send($nginx, $id, $type // 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}

sub newest { return spool_sql($file, 'SELECT last FROM spool') }

sub stored {
    my ($after, $type) = @_;

    return [ spool_sql($file, "SELECT id FROM event WHERE number > $after "
        . (defined $type ? "AND type = '$type' " : '') . 'ORDER BY number') ];
}


# a model: readers of some types, which come, go, and continue

my @types = (undef, 'file.written', 'exec.completed');
my @readers;

sub query { return defined $_[0] ? "types=$_[0]" : undef }

for my $round (1 .. 12) {
    for (1 .. 3) {
        my $type = $types[rand @types];
        my $from = newest();

        push @readers, { type => $type, from => $from, got => [],
            stream => stream($nginx, query($type)) };
    }

    spool_accepted($nginx, 1 + int rand 40, $types[1 + int rand 2]);

    for my $reader (@readers) {
        next if rand() < 0.6;

        # some of what it gets; then it continues after that

        my $stream = $reader->{stream};
        $stream->take(0.05);

        my @events = $stream->events(0);
        my $last = @events ? $events[-1]{number} : $reader->{from};

        push @{ $reader->{got} }, map { $_->{data}{id} } @events;
        $reader->{from0} //= $reader->{from};
        $reader->{from} = $last;

        rand() < 0.5 ? $stream->connection->reset : $stream->connection->close;

        $reader->{stream} = stream($nginx, query($reader->{type}),
            headers => [ 'Last-Event-ID' => $last ]);
    }
}

my $bad = 0;

for my $reader (@readers) {
    my $want = stored($reader->{from0} // $reader->{from}, $reader->{type});
    my $rest = @$want - @{ $reader->{got} };

    my @got = (@{ $reader->{got} }, @{ $reader->{stream}->ids($rest) });

    $bad++ if "@got" ne "@$want";
    $reader->{stream}->connection->close;
}

is($bad, 0, 'each reader gets each event once, in order');


# one read for all

my @many = map { stream($nginx) } 1 .. 300;

ok(metric_wait($nginx, 'trove_stream_readers', {}, 300, 99), 'all are counted');

my ($before, $sent, $start) = (
    metric($nginx, 'trove_stream_reads_total', {}, 99),
    metric($nginx, 'trove_stream_events_total', {}, 99), time);

accepted("evt-many$_") for 1 .. 3;

is_deeply($_->ids(3), [ map { "evt-many$_" } 1 .. 3 ], 'gets them')
    || last for @many;

my $reads = metric($nginx, 'trove_stream_reads_total', {}, 99) - $before;
my $rounds = (time() - $start) * 10 * 2;

cmp_ok($reads, '<', $rounds + 20, "$reads reads");
is(metric($nginx, 'trove_stream_events_total', {}, 99) - $sent, 900,
    'each event for each reader');

$_->connection->close for @many;
ok(metric_wait($nginx, 'trove_stream_readers', {}, 0, 99), 'they are gone');


# readers that do not read, a slow one, and one that does

sub memory { return eval join '+', map { $nginx->pss($_) } $nginx->workers }

sub narrow {
    my ($stream) = @_;

    setsockopt $stream->connection->{socket}, SOL_SOCKET, SO_RCVBUF, 65536;

    return $stream;
}

my $from = newest();
my @stuck = map { narrow(stream($nginx, undef, port => 1)) } 1 .. 20;
my $slow = narrow(stream($nginx, undef, port => 1));
my $reader = stream($nginx);

my $rss = memory();

for my $n (1 .. 40) {
    accepted("evt-large$n", 'file.written', data => { x => 'x' x 200_000 });
    is($reader->ids($n)->[-1], "evt-large$n", "event $n") if $n % 20 == 0;
    $reader->events($n);
    $slow->take(0.001) if $n % 10 == 0;
}

my $grown = memory() - $rss;

SKIP: {
    skip 'sanitizers need memory', 1 if sanitized();

    cmp_ok($grown, '<', 40 * 1024 * 1024,
        "8 MB for each of 20 readers that do not read: $grown bytes");
}

my $want = stored($from);

is_deeply($slow->ids(40, 30), $want, 'the slow one gets all of them');
is_deeply($stuck[0]->ids(40, 30), $want, 'and one that reads now');

$_->connection->close for @stuck, $slow;


# a time-out

my $closed = narrow(stream($nginx, undef, port => 2, open => 0,
    headers => [ 'Last-Event-ID' => $from ]));

ok(metric_wait($nginx, 'trove_stream_readers', {}, 1, 99),
    'one that reads nothing for send_timeout is closed');
$_->connection->close for $closed, $reader;


# a worker is killed

my @before = map { stream($nginx) } 1 .. 8;
$from = newest();

accepted('evt-k1');
$_->events(1) for @before;

ok($nginx->kill_worker, 'a worker is killed');

accepted('evt-k2');

for my $stream (@before) {
    my @events = $stream->events(2, 3);

    if (@events < 2) {
        $stream = stream($nginx, undef,
            headers => [ 'Last-Event-ID' => $events[-1]{number} ]);
        is_deeply($stream->ids(1), [ 'evt-k2' ], 'a client of it continues');

    } else {
        is($events[1]{data}{id}, 'evt-k2', 'the others go on');
    }
}

ok(metric_wait($nginx, 'trove_stream_readers', {}, 8, 99),
    'those of the killed one are not counted');

$nginx->stop;

done_testing();
