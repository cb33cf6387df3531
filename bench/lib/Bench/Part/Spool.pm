package Bench::Part::Spool;

# The spool: events that are written to the disk before they are answered.

use strict;
use warnings;

use File::Path qw/ make_path remove_tree /;
use HTTP::Tiny;
use IO::Handle;
use List::Util qw/ max min sum /;
use POSIX ();
use Time::HiRes qw/ sleep time /;

use Bench::Event qw/ event /;
use Bench::Load;
use Bench::Machine qw/ $root /;
use Bench::Plot qw/ plot /;
use Bench::Process qw/ start_nginx stop /;
use Bench::Report qw/ table number median /;
use Trove::Util qw/ slurp spew testdir /;

my $secret = 'trove-whsec-4f1d8a3b5c7e9a0b2c4d6e8f';
my $size = 280;
my $senders = 512;
my $inflight = 64;                              # of a target, in a worker
my $steady = 10_000;                            # events a second
my $hanging = 10_000;                           # deliveries that wait
my $pings = 500;                                # a second
my $rounds = 3;                                 # with a target that hangs

my %sizes = (
    quick => {
        workers => [1], targets => [ 1, 3 ], max => 2, half => 4, steady => 10,
        backlog => 50_000, hang => 2,
    },
    full => {
        workers => [ 1, 2 ], targets => [ 1, 3 ], max => 3, half => 5,
        steady => 60, backlog => 1_000_000, hang => 3,
    },
);


sub measure {
    my ($class, $bench) = @_;

    my $sizes = $sizes{ $bench->quick ? 'quick' : 'full' };
    my $directory = $bench->tool('spool');

    spew(testdir() . '/event', event('prose', $size));
    spew(testdir() . '/secret', "$secret\n");

    # NGINX uses several processors here, so nothing is pinned

    my $self = bless {
        load => Bench::Load->new($bench->tool('load')),
        ping => Bench::Load->new($bench->tool('load')),
        directory => $directory,
    }, $class;

    $bench->say('spool: the disk');

    my %figures = (
        %$sizes, disk => $self->disk, placement => 'no process is pinned');

    $bench->say('spool: accepting only');
    $figures{accept} = $self->accepting($sizes->{max});

    for my $workers (@{ $sizes->{workers} }) {
        for my $targets (@{ $sizes->{targets} }) {
            $bench->say("spool: workers $workers, targets $targets");

            my %cell = (workers => $workers, targets => $targets);

            for my $mode (qw/ spool wait /) {
                $cell{$mode} = $self->loads($sizes, %cell, mode => $mode,
                    rate => $cell{spool}{rate});
            }

            push @{ $figures{cells} }, \%cell;
        }
    }

    $bench->say("spool: $steady events a second");
    $figures{long} = $self->long($sizes->{steady});

    $bench->say("spool: a backlog of $sizes->{backlog}");
    $figures{drain} = $self->drain($sizes->{backlog});

    $bench->say('spool: a target that hangs');

    my %hang;

    for (1 .. $rounds) {
        push @{ $hang{$_} }, $self->hang($sizes->{hang}, $_)
            for qw/ answers hangs /;
    }

    $figures{hang} = { map { ($_ => middle(@{ $hang{$_} })) } keys %hang };

    $bench->say("spool: a replay of $sizes->{backlog}");
    $figures{replay} = $self->replay($sizes->{backlog}, $sizes->{half});

    remove_tree($directory);

    return \%figures;
}


# starts a server; "targets" are the names of their locations, such as "/t/0"

sub start {
    my ($self, %opt) = @_;

    my $directory = $self->{directory};
    my @targets = @{ $opt{targets} };

    remove_tree($directory);
    make_path($directory);
    chmod 0777, $directory;

    my $server = start_nginx(
        conf => slurp("$root/bench/spool/spool.conf"),
        modules => $ENV{TROVE_MODULE} ? [ $ENV{TROVE_MODULE} ] : [],
        workers => $opt{workers} // 1, connections => 8192,
        returns => $opt{returns},
        vars => {
            BACKEND => $self->{load}->port, SPOOL => $directory,
            SECRET => testdir() . '/secret', MODE => $opt{mode} // 'spool',
            KEEPALIVE => $inflight * max(1, scalar @targets),
            FANOUT => join('', map {
                "        trove_fanout $_ max_inflight=$inflight"
                    . ($opt{none} ? ' events=no.such' : '') . ";\n"
            } @targets),
            TARGETS => join("\n", map {
                "    location = $_ {\n        internal;\n"
                    . "        proxy_pass http://application;\n    }\n"
            } grep { $_ ne '/hang' } @targets),
        },
    );

    $self->{server} = $server;
    $self->{next} = 1;

    # the first access to a page of shared memory is not measured

    $self->run(requests => 15_000,
        targets => $opt{none} ? 0 : scalar grep { $_ ne '/hang' } @targets);

    return $server;
}


sub finish {
    my ($self) = @_;

    stop(delete $self->{server});
}


# runs a load, and checks that all events are answered and delivered

sub run {
    my ($self, %opt) = @_;

    my $status = $opt{status} // '2..';

    delete $opt{status};

    my $result = $self->{load}->run(
        file => testdir() . '/event', secret => $secret,
        uri => '/trove-events', server => $self->{server},
        connections => $senders, first => $self->{next}, wait => 30, %opt,
    );

    $self->{next} += int $opt{requests};

    my $good = sum(0, map { $result->{status}{$_} }
        grep { /^$status\z/ } keys %{ $result->{status} });

    die "bench: responses of the spool: ", join(', ', map {
            "$_ ($result->{status}{$_})" } sort keys %{ $result->{status} }),
            "\n"
        if $good != $result->{requests};

    for my $target (@{ $result->{targets} }) {
        die "bench: $target->{arrived} of $result->{requests} arrived\n"
            if $target->{arrived} != $result->{requests};
    }

    return $result;
}


# the maximum rate, for a number of seconds

sub flood {
    my ($self, $seconds, %opt) = @_;

    my $probe = $self->run(%opt, requests => 8000);
    my $rate = 8000 / $probe->{seconds};

    return $self->run(%opt, requests => max(8000, int($rate * $seconds)));
}


# the milliseconds of the disk for writing and syncing four pages at the end of
# a file

sub disk {
    my ($self) = @_;

    make_path($self->{directory});

    my $name = "$self->{directory}/disk";
    my @took;

    open my $file, '>', $name or die "$name: $!\n";

    for (1 .. 200) {
        syswrite $file, 'x' x 16384;

        my $start = time;
        $file->sync or die "fsync: $!\n";
        push @took, 1e3 * (time - $start);
    }

    close $file;
    unlink $name;

    @took = sort { $a <=> $b } @took;

    return { p50 => $took[100], p99 => $took[197] };
}


sub accepting {
    my ($self, $seconds) = @_;

    $self->start(targets => ['/t/0'], none => 1);

    my $result = $self->flood($seconds);

    $self->finish;

    return { rate => rate($result), %{ latency($result) },
             cpu => cpu($result) };
}


# The maximum rate, and then half of it.  The mode "wait" gets half of the
# maximum rate of the spool.

sub loads {
    my ($self, $sizes, %opt) = @_;

    my $targets = $opt{targets};

    $self->start(%opt, targets => [ map { "/t/$_" } 0 .. $targets - 1 ]);

    my $idle = $self->pinged(2, sub { sleep 1 });
    my $most = $self->flood($sizes->{max}, targets => $targets);
    my $rate = $opt{rate} // rate($most);

    my $half;
    my $busy = $self->pinged($sizes->{half}, sub {
        $half = $self->run(targets => $targets, rate => $rate / 2,
            requests => $rate / 2 * $sizes->{half});
    });

    $self->finish;

    return {
        rate => rate($most), delivered => delivered($most),
        cpu => $opt{workers} == 1 ? cpu($most) : undef,
        most => latency($most),
        half => latency($half), arrival => arrival($half),
        idle => latency($idle), busy => latency($busy),
    };
}


# requests another location, without events, at the same time

sub pinged {
    my ($self, $seconds, $what) = @_;

    $self->{ping}->begin(uri => '/ping', server => $self->{server}, get => 1,
        connections => 8, rate => $pings, requests => $pings * $seconds);

    $what->();

    return $self->{ping}->end;
}


sub long {
    my ($self, $seconds) = @_;

    $self->start(targets => ['/t/0']);

    my $result = $self->run(targets => 1, rate => $steady,
        requests => $steady * $seconds);

    my %figures = (
        seconds => $seconds, rate => rate($result),
        backlog => [ map { max(0, $_) } @{ $result->{backlog} } ],
        drain => $result->{drain}, cpu => cpu($result),
        ack => latency($result), arrival => arrival($result),
        memory => memory($self->{server}),
    );

    $self->finish;

    return \%figures;
}


# accumulates deliveries for paused targets, and measures memory while they are
# delivered

sub drain {
    my ($self, $deliveries) = @_;

    my $targets = 2;
    my $events = $deliveries / $targets;

    $self->start(targets => [ map { "/t/$_" } 0 .. $targets - 1 ],
        returns => 1);

    my %figures = (before => memory($self->{server}));

    $self->call("/v1/targets/pause?target=/t/$_") for 0 .. $targets - 1;

    my $result = $self->run(requests => $events);

    $figures{accepted} = rate($result);
    $figures{full} = memory($self->{server});
    $figures{file} = sum(map { -s } glob "$self->{directory}/spool.db{,-wal}");

    $self->call("/v1/targets/resume?target=/t/$_") for 0 .. $targets - 1;

    my @peak = (0, 0);

    my $drain = $self->{load}->await($deliveries, 240, sub {
        my $now = memory($self->{server});
        @peak = map { max($peak[$_], $now->[$_]) } 0, 1;
    });

    die "bench: $drain->{passed} of $deliveries were delivered\n"
        if $drain->{passed} != $deliveries;

    $figures{peak} = \@peak;
    $figures{seconds} = $drain->{seconds};
    $figures{rate} = $deliveries / $drain->{seconds};

    $self->finish;

    return \%figures;
}


sub call {
    my ($self, $path) = @_;

    my $answer = HTTP::Tiny->new(timeout => 600)->post(
        "http://127.0.0.1:$self->{server}{port}/api$path",
        { headers => { Authorization => "Bearer $secret" } });

    die "bench: $path: $answer->{status} $answer->{content}\n"
        unless $answer->{success};

    return $answer->{content};
}


# The same load twice: without other work, and while waiting deliveries of a
# paused target are replayed, again and again.

sub replay {
    my ($self, $deliveries, $seconds) = @_;

    my $rate = 2000;

    $self->start(targets => ['/t/0']);
    $self->call('/v1/targets/pause?target=/t/0');
    $self->run(requests => $deliveries);

    my @load = (rate => $rate, requests => $rate * $seconds);
    my $idle = $self->run(@load);

    pipe my $read, my $write or die "pipe: $!\n";

    defined(my $pid = fork) or die "fork: $!\n";

    if ($pid == 0) {
        close $read;
        $write->autoflush;

        my $ok = eval {
            while (1) {
                my $start = time;
                my $json = $self->call('/v1/deliveries/replay?state=pending');

                printf $write "%d %f\n", $json =~ /"count":(\d+)/,
                    time - $start;
            }
        };

        warn $@ if !$ok;
        POSIX::_exit(1);
    }

    close $write;

    my $busy = $self->run(@load);

    # one replay of all, or more

    my ($count, $took) = split ' ', readline($read) // die "bench: no replay\n";

    kill 'KILL', $pid;
    waitpid $pid, 0;

    $self->finish;

    return { idle => latency($idle), busy => latency($busy),
             rate => $count / $took };
}


# The same work twice: with a second target that answers, and with one that
# never does and has many waiting deliveries.

sub hang {
    my ($self, $seconds, $how) = @_;

    my @targets = ('/t/0', $how eq 'hangs' ? '/hang' : '/t/1');
    my $rate = 2000;

    $self->start(targets => \@targets);

    $self->run(requests => $hanging, targets => 1);

    my $result = $self->run(targets => 1, rate => $rate,
        requests => $rate * $seconds);

    # stops now, instead of waiting for the timeout

    $self->finish;

    return arrival($result);
}


sub rate { return $_[0]{requests} / $_[0]{seconds} }
sub cpu { return $_[0]{run} / 1e3 / $_[0]{requests} }


sub delivered {
    my ($result) = @_;

    return $result->{requests} / ($result->{seconds} + $result->{drain});
}


sub latency {
    my ($from) = @_;

    return { map { ($_ => 1e3 * $from->{$_}) } qw/ p50 p99 max / };
}


# the figures of the slowest target

sub arrival {
    my ($result) = @_;

    my @all = map { latency($_) } @{ $result->{targets} };

    return { map { my $what = $_; ($what => max(map { $_->{$what} } @all)) }
             qw/ p50 p99 max / };
}


sub middle {
    my @all = @_;

    return { map { my $what = $_; ($what => median(map { $_->{$what} } @all)) }
             qw/ p50 p99 max / };
}


# megabytes of all workers: resident, and the private part of it

sub memory {
    my ($server) = @_;

    my @sum = (0, 0);

    for my $pid (@{ $server->{pids} }) {
        my $status = slurp("/proc/$pid/status");
        my ($all) = $status =~ /^VmRSS:\s*(\d+)/m;
        my ($own) = $status =~ /^RssAnon:\s*(\d+)/m;

        $sum[0] += $all / 1024;
        $sum[1] += $own / 1024;
    }

    return \@sum;
}


sub first_cell { return $_[0]{cells}[0] }


sub goals {
    my ($class, $figures) = @_;

    my ($cell, $long, $drain, $hang, $replay) = (first_cell($figures),
        @{$figures}{qw/ long drain hang replay /});

    my @one = grep { $_->{targets} == 1 } @{ $figures->{cells} };
    my $best = max(map { $_->{spool}{rate} } @one);
    my $more = $drain->{peak}[1] - $drain->{before}[1];
    my ($ack, $busy) = @{ $cell->{spool} }{qw/ half busy /};

    return (
        [ 'events acknowledged, with delivery to one target',
          'at least 20,000 per second', number($best), $best >= 20_000 ],
        [ number($steady) . " events per second for $long->{seconds} s",
          'all are delivered, and the backlog does not grow',
          join(', ', map { number($_) } @{ $long->{backlog} })
              . ' undelivered after each quarter',
          $long->{rate} > 0.99 * $steady && $long->{backlog}[-1] < $steady / 4
              && $long->{drain} < 1 ],
        [ 'p99 of the acknowledgement at half of the maximum rate',
          'at most 20 ms', number($cell->{spool}{half}{p99}) . ' ms',
          $cell->{spool}{half}{p99} <= 20 ],
        [ 'another location of the worker at that rate, which needs no disk',
          'at most half of the time of an acknowledgement',
          join(', ', map { "$_ " . number($busy->{$_}) . ' of '
              . number($ack->{$_}) . ' ms' } qw/ p50 p99 /),
          $busy->{p50} <= $ack->{p50} / 2 && $busy->{p99} <= $ack->{p99} / 2 ],
        [ 'a backlog of ' . number($figures->{backlog}),
          'is delivered with at most 64 MB more than an empty spool uses',
          sprintf('%.0f MB more', $more), $more <= 64 ],
        [ 'a target hangs, ' . number($hanging) . ' deliveries wait for it',
          'p99 of another target at most 1.25 times plus 2 ms',
          number($hang->{hangs}{p99}) . ' ms; ' . number($hang->{answers}{p99})
              . ' ms if it responds',
          $hang->{hangs}{p99} <= 1.25 * $hang->{answers}{p99} + 2 ],
        [ number($figures->{backlog}) . ' deliveries are replayed',
          'p99 of the acknowledgement at most twice that without',
          number($replay->{busy}{p99}) . ' ms; '
              . number($replay->{idle}{p99}) . ' ms without',
          $replay->{busy}{p99} <= 2 * $replay->{idle}{p99} ],
    );
}


sub report {
    my ($class, $figures) = @_;

    my ($accept, $long, $drain, $hang, $disk, $replay) = @{$figures}{qw/
        accept long drain hang disk replay /};

    my @rows = map {
        my $cell = $_;
        map { [ $cell, $_ ] } qw/ spool wait /;
    } @{ $figures->{cells} };

    my $label = sub { @{ $_[0][0] }{qw/ workers targets /}, $_[0][1] };
    my $value = sub { $_[0][0]{ $_[0][1] } };
    my $pair = sub { map { number($_[0]{$_}) } qw/ p50 p99 / };
    my $mb = sub { map { number($_) } @{ $_[0] } };

    return 'A write of 16 KB followed by `fsync` takes '
        . number($disk->{p50}) . " ms on this disk without other load, at p99 "
        . number($disk->{p99}) . " ms.\n\n"
        . "### Maximum rate\n\n"
        . table([ 'workers', 'targets', 'mode', '>responses per second',
                  '>events delivered per second', '>processor time, us',
                  '>p50, ms', '>p99, ms' ], [
            [ 1, 'none', 'spool', number($accept->{rate}), undef,
              number($accept->{cpu}), $pair->($accept) ],
            map {
                my $v = $value->($_);
                [ $label->($_), number($v->{rate}), number($v->{delivered}),
                  number($v->{cpu}), $pair->($v->{most}) ]
            } @rows
        ])
        . "\n### Half of the maximum rate of the spool\n\nMilliseconds:\n\n"
        . table([ 'workers', 'targets', 'mode', '>events per second',
                  '>response: p50', '>p99', '>arrival: p50', '>p99',
                  '>other location: p50', '>p99', '>idle: p50', '>p99' ], [
            map {
                my $v = $value->($_);
                [ $label->($_), number($_->[0]{spool}{rate} / 2),
                  map { $pair->($v->{$_}) } qw/ half arrival busy idle / ]
            } @rows
        ])
        . "\n### " . number($steady) . " events per second to one target, for "
        . "$long->{seconds} seconds\n\n"
        . table([ 'measurement', '>result' ], [
            [ 'undelivered events after each quarter',
              join ', ', map { number($_) } @{ $long->{backlog} } ],
            [ 'time from the last response to the last arrival',
              number(1e3 * $long->{drain}) . ' ms' ],
            [ 'response: p50, p99', join ', ', map { "$_ ms" }
              $pair->($long->{ack}) ],
            [ 'arrival: p50, p99', join ', ', map { "$_ ms" }
              $pair->($long->{arrival}) ],
            [ 'processor time per event', number($long->{cpu}) . ' us' ],
        ])
        . "\n### A backlog of " . number($figures->{backlog})
        . " deliveries to two targets\n\nIt was delivered in "
        . number($drain->{seconds}) . ' s, at ' . number($drain->{rate})
        . ' deliveries per second.  The events had been accepted at '
        . number($drain->{accepted}) . ' per second.  The file and its `-wal` '
        . 'took ' . number($drain->{file} / 1e6) . " MB.\n\n"
        . table([ 'memory of the worker, MB', '>resident', '>anonymous' ], [
            [ 'an empty spool', $mb->($drain->{before}) ],
            [ 'the full backlog', $mb->($drain->{full}) ],
            [ 'the maximum during the delivery', $mb->($drain->{peak}) ],
        ])
        . "\n### A target that hangs\n\nMilliseconds from the time at which an "
        . "event is due to be sent until another target has received it:\n\n"
        . table([ 'the target', '>p50', '>p99', '>maximum' ], [
            map {
                my ($which, $text) = @$_;
                [ $text, map { number($_) }
                    @{ $hang->{$which} }{qw/ p50 p99 max /} ]
            } [ answers => 'responds' ], [ hangs => 'hangs' ]
        ])
        . "\n### A replay of " . number($figures->{backlog}) . " deliveries\n\n"
        . 'They were replayed at ' . number($replay->{rate}) . " per second.  "
        . "Milliseconds until a response, at 2,000 events per second:\n\n"
        . table([ 'the replay', '>p50', '>p99', '>maximum' ], [
            map {
                my ($which, $text) = @$_;
                [ $text, map { number($_) }
                    @{ $replay->{$which} }{qw/ p50 p99 max /} ]
            } [ idle => 'none' ], [ busy => 'in progress' ]
        ]);
}


sub plots {
    my ($class, $figures) = @_;

    my @cells = @{ $figures->{cells} };
    my %look = (spool => '#d62728', wait => '#888888');

    plot('spool',
        title => 'Half of the maximum rate',
        ylabel => 'milliseconds',
        ticks => [ map { "$_->{workers}/$_->{targets}" } @cells ],
        panels => [ map {
            my ($what, $title) = @$_;
            +{
                title => "$title, by workers/targets",
                lines => [ map {
                    my $mode = $_;
                    map {
                        my $quantile = $_;
                        +{
                            title => "$mode, $quantile", rgb => $look{$mode},
                            dashed => $quantile eq 'p99',
                            values => [ map { $_->{$mode}{$what}{$quantile} }
                                        @cells ],
                        }
                    } qw/ p50 p99 /;
                } qw/ spool wait / ],
            }
        } [ half => 'response' ], [ arrival => 'arrival' ] ],
    );

    return ([ 'spool', 'Latencies of the modes, at half of the maximum rate' ]);
}


1;
