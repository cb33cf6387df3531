package Bench::Part::Fanout;

# The fan-out, and other ways to copy a request to several servers.

use strict;
use warnings;

use List::Util qw/ max min sum /;

use Bench::Event qw/ event /;
use Bench::Load;
use Bench::Machine qw/ $root modules processors /;
use Bench::Plot qw/ plot /;
use Bench::Process qw/ start_nginx stop /;
use Bench::Report qw/ table number median /;
use Trove::Util qw/ slurp spew testdir /;

my $secret = 'nobody-looks-at-the-signature';
my $size = 280;
my $slices = 2;                                 # of a round
my $senders = 32;
my $disturbed = 0.05;                           # of the time

# the responses of the targets

my @kinds = (
    { name => 'body', title => 'with a body', query => '' },
    { name => 'empty', title => 'without a body, with the status 204',
      query => '?204' },
);

# for the target that hangs

my $rate = 500;                                 # events a second
my $others = 9;

my @variants = (
    { name => 'trove', title => 'trove_fanout', rgb => '#d62728', module => 1 },
    { name => 'mirror', title => 'mirror', rgb => '#888888' },
    { name => 'mirror_first', title => 'proxy_pass and mirror',
      rgb => '#444444' },
    { name => 'lua', title => 'lua-nginx', rgb => '#1f77b4',
      modules => [qw/ ndk_http_module ngx_http_lua_module /] },
);


sub measure {
    my ($class, $bench) = @_;

    my @counts = $bench->quick ? (1, 10) : (1, 10, 50);
    my ($cpu, $other) = processors();
    my $load = Bench::Load->new($bench->tool('load'), $other);
    my $file = testdir() . '/event';
    my @fans;

    spew($file, event('prose', $size));

    for my $kind (@kinds) {

        for my $count (@counts) {
            $bench->say("fanout: $count targets, responses $kind->{title}");
            push @fans, measure_fan($bench, $load, $cpu, $file, $count, $kind);
        }
    }

    $bench->say('fanout: a target that hangs');

    return {
        fans => \@fans, rounds => $bench->rounds,
        hang => measure_hang($bench, $load, $cpu, $file),
    };
}


sub measure_fan {
    my ($bench, $load, $cpu, $file, $count, $kind) = @_;

    my @cells = map {
        {
            variant => $_, rounds => [],
            run => {
                file => $file, secret => $secret, uri => '/trove-events',
                targets => $count, connections => $senders, first => 1e6,
                server => start($_, $load->port, $cpu, count => $count,
                    query => $kind->{query}),
            },
        }
    } available();

    for my $cell (@cells) {
        my $run = $cell->{run};

        $run->{requests} = $load->requests_for($bench->seconds / $slices,
            %$run);
        $run->{first} *= 10;
    }

    # in both orders, so that slow changes affect all variants equally

    for (1 .. $bench->rounds) {
        my %slices;

        for my $n (0 .. $#cells, reverse 0 .. $#cells) {
            push @{ $slices{$n} }, measure_cell($load, $cells[$n], $count);
        }

        push @{ $cells[$_]{rounds} }, joined(@{ $slices{$_} }) for 0 .. $#cells;
    }

    stop(map { $_->{run}{server} } @cells);

    return {
        count => $count, kind => $kind->{name},
        cells => { map { ("$_->{variant}{name}" => $_->{rounds}) } @cells },
    };
}


sub available {
    my $dir = modules();

    return grep {
        my $missing = grep { !defined $dir || !-e "$dir/$_.so" }
            @{ $_->{modules} || [] };
        !$missing;
    } @variants;
}


# starts a server with "count" targets; "more" is added to the location

sub start {
    my ($variant, $backend, $cpu, %opt) = @_;

    my $here = "$root/bench/fanout";
    my @numbers = 0 .. $opt{count} - 1;
    my $query = $opt{query} // '';
    my $fanout = slurp("$here/$variant->{name}.conf") . ($opt{more} // '');

    # repeats the line after the mark for each target

    $fanout =~ s{^ *# EACH( BUT ONE)?:.*\n(.*\n)}{
        my $line = $2;
        join '', map { $line =~ s/%%N%%/$_/gr }
            $1 ? @numbers[ 1 .. $#numbers ] : @numbers;
    }gem;

    $fanout =~ s/%%COUNT%%/$opt{count}/g;

    my @modules = map { modules() . "/$_.so" } @{ $variant->{modules} || [] };

    push @modules, $ENV{TROVE_MODULE}
        if $variant->{module} && $ENV{TROVE_MODULE};

    return start_nginx(
        conf => slurp("$here/common.conf") =~ s/%%FANOUT%%\n/$fanout/r
            =~ s/%%TARGETS%%/targets($query, @numbers)/er
            =~ s/%%QUERY%%/$query/gr,
        modules => \@modules, cpu => $cpu, connections => 8192,
        vars => {
            BACKEND => $backend, PATIENCE => $opt{patience} // '60s',
            KEEPALIVE => $senders * $opt{count},
        },
    );
}


sub targets {
    my ($query, @numbers) = @_;

    return join "\n", map {
        "    location = /t/$_ {\n        internal;\n"
            . "        proxy_pass http://application/t/$_$query;\n    }\n"
    } @numbers;
}


# measures, and checks that the work was done

sub measure_cell {
    my ($load, $cell, $count) = @_;

    my $run = $cell->{run};
    my $result = $load->run(%$run);
    my $n = $run->{requests};
    my %got = %{ $result->{status} };
    my $arrived = sum(map { $_->{arrived} } @{ $result->{targets} });

    die "bench: $cell->{variant}{name}, $count targets: of $n events, "
        . "$result->{passed} deliveries, answers: "
        . join(', ', map { "$_ ($got{$_})" } sort keys %got) . "\n"
        if ($got{200} // 0) + ($got{204} // 0) != $n || $arrived != $n * $count
            || $result->{passed} != $n * $count;

    $run->{first} += $n;

    return $result;
}


sub joined {
    my %sum;

    for my $slice (@_) {
        $sum{$_} += $slice->{$_}
            for qw/ run wait seconds drain requests opened passed /;
    }

    my $seconds = $sum{seconds} + $sum{drain};

    return {
        cpu => $sum{run} / 1e3 / $sum{requests},
        rate => $sum{requests} / $seconds,
        wait => $sum{wait} / 1e9 / $seconds,
        opened => $sum{opened} / $sum{passed},
    };
}


# Sends events at a constant rate, with an additional target that never answers.
# Its queue is limited, as recommended by the documentation.

sub measure_hang {
    my ($bench, $load, $cpu, $file) = @_;

    my $seconds = $bench->quick ? 2 : 3;
    my %runs;

    for (1 .. $bench->rounds) {
        for my $what (qw/ without with /) {
            my $server = start($variants[0], $load->port, $cpu,
                count => $others, patience => ($seconds + 1) . 's',
                more => $what eq 'with' ? '        trove_fanout /hang optional '
                    . "max_inflight=4 max_queue=0;\n" : '');

            my %run = (
                file => $file, secret => $secret, uri => '/trove-events',
                targets => $others, connections => 256, server => $server,
            );

            # opens the connections, and lets the target hang

            $load->run(%run, requests => 200, first => 1, rate => $rate);

            push @{ $runs{$what} }, $load->run(%run, first => 1e6,
                requests => $rate * $seconds, rate => $rate);

            stop($server);
        }
    }

    return { map { ($_ => [ map { latency($_) } @{ $runs{$_} } ]) } keys %runs };
}


# the latency of the slowest target

sub latency {
    my ($result) = @_;

    return { map {
        my $what = $_;
        ($what => max(map { $_->{$what} } @{ $result->{targets} }))
    } qw/ p50 p99 max / };
}


sub value {
    my ($fan, $name, $what) = @_;

    my $rounds = $fan->{cells}{$name} or return undef;

    return median(map { $_->{$what} } @$rounds);
}


# the median of the ratios within each round

sub ratio {
    my ($fan, $name, $other) = @_;

    my ($one, $two) = @{ $fan->{cells} }{ $name, $other };

    return undef unless $one && $two;
    return median(map { $one->[$_]{cpu} / $two->[$_]{cpu} } 0 .. $#$one);
}


sub hang_ms {
    my ($figures, $which, $what) = @_;

    return 1e3 * median(map { $_->{$what} } @{ $figures->{hang}{$which} });
}


sub goals {
    my ($class, $figures) = @_;

    my ($ten, $empty) = map {
        my $kind = $_->{name};
        grep { $_->{count} == 10 && $_->{kind} eq $kind } @{ $figures->{fans} }
    } @kinds;
    my @ratios = map { ratio($ten, 'trove', $_) } qw/ mirror mirror_first /;
    my @empty = map { ratio($empty, 'trove', $_) } qw/ mirror mirror_first /;
    my $opened = max(map { value($_, 'trove', 'opened') }
        @{ $figures->{fans} });
    my ($without, $with) = map { hang_ms($figures, $_, 'p99') }
        qw/ without with /;

    return (
        [ '10 targets, responses with a body', 'at most 0.37 times mirror',
          number($ratios[0]) . '; ' . number($ratios[1])
            . ' times proxy_pass and mirror', $ratios[0] <= 0.375 ],
        [ '10 targets, responses without a body', 'at most 1.0 times mirror',
          number($empty[0]) . '; ' . number($empty[1])
            . ' times proxy_pass and mirror', $empty[0] <= 1.0 ],
        [ 'connections to targets', 'reused', number($opened * 1000)
            . ' opened per 1,000 deliveries', $opened < 0.01 ],
        [ 'one target hangs', 'the others are not delayed: p99 at most 1.25 '
            . 'times plus 0.5 ms', number($with) . ' ms; ' . number($without)
            . ' ms without it', $with <= 1.25 * $without + 0.5 ],
    );
}


sub report {
    my ($class, $figures) = @_;

    my @fans = @{ $figures->{fans} };
    my @shown = grep { exists $fans[0]{cells}{ $_->{name} } } @variants;
    my $text = join "\n", map { report_kind($figures, $_, @shown) } @kinds;

    $text .=
        "\nA target that never responds, in addition to $others others, "
        . "with trove_fanout and $rate events per second.  Milliseconds from "
        . "the time at which an event is due to be sent until the last of the "
        . "others has received it:\n\n"
        . table([ 'the tenth target', '>p50', '>p99', '>maximum' ], [
            map {
                my $which = $_;
                [ $which eq 'with' ? 'hangs' : 'is absent',
                  map { number(hang_ms($figures, $which, $_)) }
                      qw/ p50 p99 max / ]
            } qw/ without with /
        ]);

    my @all = map { @$_ } map { values %{ $_->{cells} } } @fans;
    my @waited = grep { $_->{wait} > $disturbed } @all;

    return $text . sprintf "\n%d rounds.  In %d of %d measurements the "
        . "measured process waited for its processor for more than %.0f %% of "
        . "the time.\n", $figures->{rounds}, scalar @waited, scalar @all,
        100 * $disturbed;
}


sub report_kind {
    my ($figures, $kind, @shown) = @_;

    my @fans = grep { $_->{kind} eq $kind->{name} } @{ $figures->{fans} };
    my @headers = ('targets', map { ">$_->{title}" } @shown);

    my $rows = sub {
        my ($cell) = @_;

        return [ map {
            my $fan = $_;
            [ $fan->{count}, map { $cell->($fan, $_->{name}) } @shown ]
        } @fans ];
    };

    return "### Responses $kind->{title}\n\n"
        . "Processor time per event in microseconds, and its ratio to "
        . "mirror:\n\n"
        . table(\@headers, $rows->(sub {
            number(value(@_, 'cpu')) . ($_[1] eq 'mirror' ? ''
                : sprintf ' (%s)', number(ratio(@_, 'mirror')));
        }))
        . "\nPer delivery:\n\n"
        . table(\@headers, $rows->(sub {
            number(value(@_, 'cpu') / $_[0]{count});
        }))
        . "\nEvents per second, each to all targets:\n\n"
        . table(\@headers, $rows->(sub { number(value(@_, 'rate')) }))
        . "\nConnections opened per 1,000 deliveries:\n\n"
        . table(\@headers, $rows->(sub { number(1000 * value(@_, 'opened')) }));
}


sub plots {
    my ($class, $figures) = @_;

    my @fans = @{ $figures->{fans} };
    my @shown = grep { exists $fans[0]{cells}{ $_->{name} } } @variants;

    plot('fanout',
        title => 'An event to several targets',
        ylabel => 'processor time per event, us',
        ticks => [ map { $_->{count} }
            grep { $_->{kind} eq $kinds[0]{name} } @fans ],
        panels => [ map {
            my $kind = $_;
            my @own = grep { $_->{kind} eq $kind->{name} } @fans;
            +{
                title => "responses $kind->{title}",
                lines => [ map {
                    my $variant = $_;
                    +{
                        %$variant,
                        values => [ map { value($_, $variant->{name}, 'cpu') }
                            @own ],
                    }
                } @shown ],
            }
        } @kinds ],
    );

    return ([ 'fanout',
        'Processor time of an event, by the number of targets' ]);
}


1;
