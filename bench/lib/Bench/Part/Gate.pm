package Bench::Part::Gate;

# The gate and other programs, compared with a plain proxy_pass.

use strict;
use warnings;

use List::Util qw/ max min sum /;

use Bench::Event qw/ event styles /;
use Bench::Load;
use Bench::Machine qw/ $root modules has_program processors /;
use Bench::Plot qw/ plot /;
use Bench::Process qw/ start_nginx start_server stop /;
use Bench::Report qw/ table number median bytes /;
use Trove::Util qw/ slurp spew testdir /;

my $secret = 'trove-whsec-4f1d8a3b5c7e9a0b2c4d6e8f';
my $known = 500;                                # ids that are repeated
my $filling = 15000;                            # ids in memory at the start
my $slices = 2;                                 # of a round
my $disturbed = 0.05;                           # of the time

# The variants, and the traffic that each is measured with: for a variant that
# does not remember ids, a repeated event is like a new one.  "plain" is first.
# The closer a variant is to it in this list, the more exact is the comparison.

my @variants = (
    { name => 'plain', title => 'plain', rgb => '#888888',
      traffic => [qw/ new /] },
    { name => 'gate', title => 'gate', rgb => '#d62728', module => 1,
      memory => 1, traffic => [qw/ new repeated wrong /] },
    { name => 'verify', title => 'gate, verify only', rgb => '#ff9896',
      module => 1, traffic => [qw/ new wrong /] },
    { name => 'lua', title => 'lua-nginx', rgb => '#1f77b4',
      modules => [qw/ ndk_http_module ngx_http_lua_module /], memory => 1,
      traffic => [qw/ new repeated wrong /] },
    { name => 'njs', title => 'njs, verify only', rgb => '#2ca02c',
      modules => [qw/ ngx_http_js_module /], traffic => [qw/ new wrong /] },
    { name => 'fastapi', title => 'FastAPI', rgb => '#9467bd',
      app => '/trove-events', traffic => [qw/ new repeated wrong /] },
    { name => 'behind', title => 'FastAPI, no checks', rgb => '#c5b0d5',
      app => '/plain', traffic => [qw/ new /] },
);

my @traffic = (
    [ new => 'All ids new' ],
    [ repeated => 'All ids repeated' ],
    [ wrong => 'All signatures wrong' ],
);

my %style = (
    prose => 'prose', log => 'log lines', members => 'many members',
);


sub measure {
    my ($class, $bench) = @_;

    my @sizes = $bench->quick ? (280, 16384) : (280, 4096, 16384, 262144);
    my @styles = $bench->quick ? 'prose' : styles();
    my ($cpu, $other) = processors();
    my $load = Bench::Load->new($bench->tool('load'), $other);
    my @events;

    for my $style (@styles) {
        for my $size (@sizes) {
            $bench->say('gate: ' . bytes($size) . " of $style{$style}");
            push @events, measure_event($bench, $load, $cpu, $style, $size);
        }
    }

    return { events => \@events, rounds => $bench->rounds };
}


# Starts new servers for each event, which remember no ids.

sub measure_event {
    my ($bench, $load, $cpu, $style, $size) = @_;

    my $file = testdir() . '/event';
    my (@cells, @floor);

    spew($file, event($style, $size));
    spew("$file.small", event('prose', 280));

    my @running = map { { %$_, server => start($_, $load->port, $cpu) } }
        available();

    # the first access to a page of shared memory is not measured

    for my $variant (grep { $_->{memory} } @running) {
        $load->run(
            file => "$file.small", secret => $secret, uri => '/trove-events',
            server => $variant->{server}, requests => $filling, first => 1e9,
        );
    }

    for my $traffic (map { $_->[0] } @traffic) {
        for my $variant (@running) {
            next unless grep { $_ eq $traffic } @{ $variant->{traffic} };

            push @cells, {
                variant => $variant, traffic => $traffic, rounds => [],
                run => {
                    file => $file, secret => $secret,
                    server => $variant->{server},
                    uri => $variant->{app} // '/trove-events',
                },
            };

            prepare($bench, $load, $cells[-1]);
        }
    }

    # in both orders, so that slow changes affect all variants equally

    for (1 .. $bench->rounds) {
        my %slices;

        for my $n (0 .. $#cells, reverse 0 .. $#cells) {
            push @{ $slices{$n} }, measure_cell($load, $cells[$n]);
        }

        push @{ $cells[$_]{rounds} }, joined(@{ $slices{$_} }) for 0 .. $#cells;
        push @floor, floor_of($bench, $file, $cpu);
    }

    stop(map { $_->{server} } @running);

    return {
        style => $style, size => $size, floor => \@floor,
        cells => { map { ("$_->{variant}{name}/$_->{traffic}" => $_->{rounds}) }
                   @cells },
    };
}


# the modules of the distribution can be loaded only into its NGINX

sub available {
    my $dir = modules();

    return grep {
        my $missing = grep { !defined $dir || !-e "$dir/$_.so" }
            @{ $_->{modules} || [] };

        !$missing && (!$_->{app} || has_program('uvicorn'));
    } @variants;
}


sub start {
    my ($variant, $backend, $cpu) = @_;

    my $here = "$root/bench/gate";
    my $file = testdir() . '/trove.secret';

    spew($file, "$secret\n");

    if ($variant->{app}) {
        return start_server(
            [ qw/ uvicorn app:app --app-dir /, $here, qw/ --host 127.0.0.1
                --port %%PORT%% --loop uvloop --http httptools --no-access-log
                --log-level warning / ],
            env => { TROVE_SECRET_FILE => $file, PYTHONDONTWRITEBYTECODE => 1 },
            cpu => $cpu,
        );
    }

    my @modules = map { modules() . "/$_.so" } @{ $variant->{modules} || [] };

    push @modules, $ENV{TROVE_MODULE}
        if $variant->{module} && $ENV{TROVE_MODULE};

    return start_nginx(
        conf => slurp("$here/common.conf")
            . slurp("$here/$variant->{name}.conf"),
        modules => \@modules, cpu => $cpu,
        vars => {
            BACKEND => $backend, HERE => $here, SECRET => $file,
            SECRET_VALUE => $secret,
        },
    );
}


# sets the number of requests of a slice, and sends the events to be repeated

sub prepare {
    my ($bench, $load, $cell) = @_;

    my $run = $cell->{run};

    if ($cell->{traffic} eq 'wrong') {
        $run->{wrong} = 1;

    } elsif ($cell->{traffic} eq 'repeated') {
        $load->run(%$run, requests => $known);
        $run->{ids} = $known;
    }

    $run->{first} = $cell->{traffic} eq 'new' ? 1e6 : 0;
    $run->{requests} = $load->requests_for($bench->seconds / $slices, %$run);
    $run->{first} *= 10;
}


# measures, and checks the work: the responses, and the requests passed on

sub measure_cell {
    my ($load, $cell) = @_;

    my ($run, $traffic) = @{$cell}{qw/ run traffic /};
    my $result = $load->run(%$run);

    my $n = $run->{requests};
    my $status = $traffic eq 'wrong' ? 400 : 200;
    my $expected = $traffic eq 'new' && !$cell->{variant}{app} ? $n : 0;
    my %got = %{ $result->{status} };

    die "bench: $cell->{variant}{name}, $traffic: of $n requests, "
        . "$result->{passed} instead of $expected were passed on, answers: "
        . join(', ', map { "$_ ($got{$_})" } sort keys %got) . "\n"
        if ($got{$status} // 0) != $n || $result->{passed} != $expected;

    $run->{first} += $n if $traffic eq 'new';

    return $result;
}


sub joined {
    my %sum;

    for my $slice (@_) {
        $sum{$_} += $slice->{$_} for qw/ run wait seconds requests /;
    }

    return {
        cpu => $sum{run} / 1e3 / $sum{requests},
        rate => $sum{requests} / $sum{seconds},
        busy => $sum{run} / 1e9 / $sum{seconds},
        wait => $sum{wait} / 1e9 / $sum{seconds},
    };
}


sub floor_of {
    my ($bench, $file, $cpu) = @_;

    my @command = ($bench->tool('floor'), $file, 500 * $bench->seconds,
        $cpu // ());

    open my $out, '-|', @command or die "bench: $command[0]: $!\n";
    my ($mac, $yajl) = split ' ', <$out> // '';
    close $out or die "bench: $command[0] failed\n";

    return { mac => $mac / 1e3, yajl => $yajl / 1e3 };
}


# Ratios and differences are computed within a round.

sub value {
    my ($event, $name, $what) = @_;

    my $rounds = $event->{cells}{$name} or return undef;

    return median(map { $_->{$what} } @$rounds);
}


sub ratio {
    my ($event, $name) = @_;

    my ($rounds, $plain) = @{ $event->{cells} }{ $name, 'plain/new' };

    return undef unless $rounds;
    return median(map { $rounds->[$_]{cpu} / $plain->[$_]{cpu} }
        0 .. $#$rounds);
}


sub extra {
    my ($event, $name) = @_;

    my ($rounds, $plain) = @{ $event->{cells} }{ $name, 'plain/new' };

    return median(map { $rounds->[$_]{cpu} - $plain->[$_]{cpu} }
        0 .. $#$rounds);
}


sub floor_value {
    my ($event) = @_;

    return median(map { $_->{mac} + $_->{yajl} } @{ $event->{floor} });
}


sub allowed { return 1.2 * floor_value($_[0]) + 1 }


sub goals {
    my ($class, $figures) = @_;

    my @events = @{ $figures->{events} };
    my @small = grep { $_->{size} == 280 } @events;
    my @met = grep { extra($_, 'gate/new') <= allowed($_) } @events;
    my $worst = max(map { ratio($_, 'gate/new') } @small);
    my $several = join ', ', map {
        "$style{$_->{style}} " . number(ratio($_, 'gate/new'))
    } @small;

    return (
        [ 'the gate, 280 bytes', 'at most 1.12 times plain', $several,
          $worst <= 1.12 ],
        [ 'all sizes and kinds', 'gate minus plain at most 1.2 times the floor '
            . 'plus 1 us', @met . ' of ' . @events . ' kinds of events',
          @met == @events ],
    );
}


sub report {
    my ($class, $figures) = @_;

    my @events = @{ $figures->{events} };
    my $text = '';

    for my $traffic (@traffic) {
        my ($name, $title) = @$traffic;

        my @shown = grep {
            $_->{name} eq 'plain' || exists $events[0]{cells}{"$_->{name}/$name"}
        } @variants;

        my $key = sub { "$_[0]{name}/" . ($_[0]{name} eq 'plain' ? 'new'
                                                               : $name) };

        my $rows = sub {
            my ($cell) = @_;

            return [ map {
                my $event = $_;
                [ bytes($event->{size}) . ', ' . $style{$event->{style}},
                  map { $cell->($event, $key->($_)) } @shown ]
            } @events ];
        };

        my @headers = ('event', map { ">$_->{title}" } @shown);

        $text .= "### $title\n\n"
            . "Processor time per request in microseconds, and its ratio to "
            . "plain:\n\n"
            . table(\@headers, $rows->(sub {
                number(value(@_, 'cpu')) . ($_[1] eq 'plain/new' ? ''
                    : sprintf ' (%s)', number(ratio(@_)));
            }))
            . "\nRequests per second:\n\n"
            . table(\@headers, $rows->(sub { number(value(@_, 'rate')) }))
            . "\n";
    }

    return $text . against_floor(@events) . quality($figures);
}


sub against_floor {
    return "### Overhead of the gate, and the floor\n\nMicroseconds:\n\n"
        . table(
            [ 'event', '>HMAC', '>yajl', '>floor', '>allowed', '>gate - plain',
              '>verify - plain', 'reached' ],
            [ map {
                my $event = $_;
                [ bytes($event->{size}) . ', ' . $style{$event->{style}},
                  map({ my $what = $_; number(median(map { $_->{$what} }
                      @{ $event->{floor} })) } qw/ mac yajl /),
                  number(floor_value($event)), number(allowed($event)),
                  number(extra($event, 'gate/new')),
                  number(extra($event, 'verify/new')),
                  extra($event, 'gate/new') <= allowed($event) ? 'yes' : 'no' ]
            } @_ ]
        );
}


# the accuracy of the figures

sub quality {
    my ($figures) = @_;

    my @all = map { @$_ } map { values %{ $_->{cells} } }
        @{ $figures->{events} };
    my @waited = grep { $_->{wait} > $disturbed } @all;

    my @spread = map {
        my $event = $_;
        my @ratios = map {
            $event->{cells}{'gate/new'}[$_]{cpu}
                / $event->{cells}{'plain/new'}[$_]{cpu}
        } 0 .. $figures->{rounds} - 1;
        max(@ratios) / min(@ratios) - 1;
    } @{ $figures->{events} };

    my @busy = map { value($_, 'plain/new', 'busy') } @{ $figures->{events} };

    return sprintf "\n%d rounds.  The ratio of gate to plain varies between "
        . "rounds by %.0f %% (median of the events) to %.0f %% (maximum).  The "
        . "worker of plain used its processor for %.0f to %.0f %% of the "
        . "time.  In %d of %d measurements the measured process waited for its "
        . "processor for more than %.0f %% of the time, because of other work "
        . "on the machine.\n",
        $figures->{rounds}, 100 * median(@spread), 100 * max(@spread),
        100 * min(@busy), 100 * max(@busy), scalar @waited, scalar @all,
        100 * $disturbed;
}


sub plots {
    my ($class, $figures) = @_;

    my @events = @{ $figures->{events} };
    my %sizes = map { $_->{size} => 1 } @events;
    my @sizes = sort { $a <=> $b } keys %sizes;
    my @styles = grep { my $style = $_; grep { $_->{style} eq $style } @events }
        styles();

    my $line = sub {
        my ($style, $look, $value) = @_;

        my %at = map { $_->{size} => $value->($_) }
            grep { $_->{style} eq $style } @events;

        return { %$look, values => [ @at{@sizes} ] };
    };

    my @shown = grep { exists $events[0]{cells}{"$_->{name}/new"} } @variants;
    my %common = (
        ticks => [ map { bytes($_) } @sizes ],
        ylabel => 'processor time per request, us',
    );

    plot('gate', %common, title => 'New events', panels => [ map {
        my $style = $_;
        {
            title => $style{$style},
            lines => [ map {
                my $variant = $_;
                $line->($style, $variant,
                    sub { value($_[0], "$variant->{name}/new", 'cpu') });
            } @shown ],
        };
    } @styles ]);

    plot('gate-floor', %common, title => 'Overhead of the gate over proxy_pass',
        panels => [ map {
            {
                title => $style{$_},
                lines => [
                    $line->($_, { title => 'gate - plain', rgb => '#d62728' },
                        sub { max(0.1, extra($_[0], 'gate/new')) }),
                    $line->($_, { title => 'allowed', rgb => '#888888',
                        dashed => 1 }, \&allowed),
                    $line->($_, { title => 'HMAC and yajl', rgb => '#444444' },
                        \&floor_value),
                ],
            };
        } @styles ]);

    return (
        [ 'gate', 'Processor time of a new event, by its size' ],
        [ 'gate-floor', 'Overhead of the gate over proxy_pass, by the size of '
            . 'the event' ],
    );
}


1;
