package Bench::Part::Gate;

# The gate and its peers against a plain proxy_pass.

use strict;
use warnings;

use List::Util qw/ max /;

use Bench::Event qw/ event styles /;
use Bench::Load qw/ load load_for median /;
use Bench::Machine qw/ $root modules processors /;
use Bench::Process qw/
    start_nginx start_backend backend_count start_server stop
/;
use Trove::Util qw/ slurp spew testdir /;

my $secret = 'trove-whsec-4f1d8a3b5c7e9a0b2c4d6e8f';

# what is compared, and which traffic tells something about it: without a
# memory, a repeated event is like a new one

my @variants = (
    { name => 'plain', traffic => [qw/ new /] },
    { name => 'verify', traffic => [qw/ new wrong /], module => 1 },
    { name => 'gate', traffic => [qw/ new repeated wrong /], module => 1 },
    { name => 'lua', traffic => [qw/ new repeated wrong /],
      modules => [qw/ ndk_http_module ngx_http_lua_module /] },
    { name => 'njs', traffic => [qw/ new wrong /],
      modules => [qw/ ngx_http_js_module /] },
    { name => 'fastapi', traffic => [qw/ new repeated wrong /], app => 1 },
);


sub measure {
    my ($class, $bench) = @_;

    my @sizes = $bench->quick ? (280, 16384) : (280, 4096, 16384, 262144);
    my @styles = $bench->quick ? 'prose' : styles();
    my @events;

    for my $style (@styles) {
        for my $size (@sizes) {
            $bench->say("gate: $size bytes, $style");
            push @events, measure_event($bench, $style, $size);
        }
    }

    return { events => \@events };
}


sub measure_event {
    my ($bench, $style, $size) = @_;

    my $file = testdir() . '/event';
    my ($cpu, $backend_cpu, $load_cpu) = processors();

    spew($file, event($style, $size));

    my $backend = start_backend($bench->tool('backend'), $backend_cpu);
    my @running = map { start($_, $backend, $cpu) } available();
    my %common = (file => $file, secret => $secret, cpu => $load_cpu);
    my %cells;

    for my $variant (@running) {
        for my $traffic (@{ $variant->{traffic} }) {
            my $cell = {
                variant => $variant, traffic => $traffic, rounds => [],
                load => { %common, uri => '/trove-events',
                          server => $variant->{server} },
            };

            prepare($bench, $cell);
            $cells{"$variant->{name}/$traffic"} = $cell;
        }
    }

    my @order = sort keys %cells;
    my @floor;

    for my $round (1 .. $bench->rounds) {
        measure_cell($bench, $cells{$_}, $backend) for @order;

        # no one is always after the same other one

        @order = (reverse(@order[ 1 .. $#order ]), $order[0]);

        push @floor, floor_of($bench, $file, $cpu);
    }

    stop($backend, map { $_->{server} } @running);

    return {
        style => $style, size => $size, floor => \@floor,
        cells => { map { $_ => $cells{$_}{rounds} } keys %cells },
    };
}


# the modules of the distribution fit its NGINX only

sub available {
    my $dir = modules();

    return grep {
        !grep { !defined $dir || !-e "$dir/$_.so" } @{ $_->{modules} || [] }
    } @variants;
}


sub start {
    my ($variant, $backend, $cpu) = @_;

    my $here = "$root/bench/gate";
    my $dir = testdir();
    my $file = "$dir/trove.secret";
    my $server;

    spew($file, "$secret\n");

    if ($variant->{app}) {
        $server = start_server(
            [ qw/ uvicorn app:app --app-dir /, $here, qw/ --host 127.0.0.1
                --port %%PORT%% --loop uvloop --http httptools --no-access-log
                --log-level warning / ],
            env => { TROVE_SECRET_FILE => $file, PYTHONDONTWRITEBYTECODE => 1 },
            cpu => $cpu,
        );

    } else {
        my @modules = map { modules() . "/$_.so" } @{ $variant->{modules} };

        push @modules, $ENV{TROVE_MODULE}
            if $variant->{module} && $ENV{TROVE_MODULE};

        $server = start_nginx(
            conf => slurp("$here/common.conf")
                . slurp("$here/$variant->{name}.conf"),
            modules => \@modules,
            vars => { BACKEND => $backend->{port}, HERE => $here,
                      SECRET => $file,
                      SECRET_VALUE => $secret },
            cpu => $cpu,
        );
    }

    return { %$variant, server => $server };
}


# how many requests make a round; where events are repeated, they have been seen

sub prepare {
    my ($bench, $cell) = @_;

    my $load = $cell->{load};

    if ($cell->{traffic} eq 'wrong') {
        $load->{wrong} = 1;

    } elsif ($cell->{traffic} eq 'repeated') {
        load($bench->tool('load'), %$load, requests => 500);
        $load->{ids} = 500;
    }

    $load->{first} = $cell->{traffic} eq 'new' ? 1e6 : 0;
    $load->{requests} = load_for($bench->tool('load'), $bench->seconds,
        %$load);
    $load->{first} *= 10;
}


sub measure_cell {
    my ($bench, $cell, $backend) = @_;

    my ($load, $traffic) = @{$cell}{qw/ load traffic /};

    my $before = backend_count($backend);
    my $result = load($bench->tool('load'), %$load);
    my $passed = backend_count($backend) - $before;

    my $n = $load->{requests};
    my $status = $traffic eq 'wrong' ? 400 : 200;
    my $expected = $traffic eq 'new' && !$cell->{variant}{app} ? $n : 0;

    die "$cell->{variant}{name}, $traffic: $passed of $n passed, not "
        . "$expected; answers: "
        . join(', ', %{ $result->{status} }) . "\n"
        if ($result->{status}{$status} // 0) != $n || $passed != $expected;

    $load->{first} += $n if $traffic eq 'new';

    push @{ $cell->{rounds} },
        { map { $_ => $result->{$_} } qw/ cpu rate busy p99 / };
}


sub floor_of {
    my ($bench, $file, $cpu) = @_;

    my @command = ($bench->tool('floor'), $file,
        1000 * $bench->seconds / 2, $cpu // ());

    open my $out, '-|', @command or die "floor: $!\n";
    my ($mac, $yajl) = split ' ', <$out>;
    close $out or die "the floor failed\n";

    return { mac => $mac / 1e3, yajl => $yajl / 1e3 };
}


sub report {
    my ($class, $figures) = @_;

    my $text = '';

    for my $event (@{ $figures->{events} }) {
        my $plain = $event->{cells}{'plain/new'};

        $text .= "\n$event->{size} $event->{style}\n";

        for my $name (sort keys %{ $event->{cells} }) {
            my $rounds = $event->{cells}{$name};

            $text .= sprintf "%-20s %8.2f us %6.2f x %8.0f/s busy %.2f\n",
                $name, median(map { $_->{cpu} } @$rounds),
                median(map { $rounds->[$_]{cpu} / $plain->[$_]{cpu} }
                       0 .. $#$rounds),
                median(map { $_->{rate} } @$rounds),
                median(map { $_->{busy} } @$rounds);
        }

        $text .= sprintf "floor %.2f + %.2f\n",
            map { my $what = $_; median(map { $_->{$what} }
                @{ $event->{floor} }) } qw/ mac yajl /;
    }

    return $text;
}


1;
