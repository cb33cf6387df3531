package Bench::Part::Zone;

# The table of event ids.

use strict;
use warnings;

use JSON::PP ();

use Bench::Machine qw/ processors /;
use Bench::Report qw/ table number percent /;


sub measure {
    my ($class, $bench) = @_;

    my ($one, $two) = processors();

    my $rounds = $bench->quick ? 3 : 7;
    my @ids = ('-i', $bench->quick ? 400000 : 500000);

    $bench->say('zone');

    my $zone = printed($bench->tool('zone'), '-r', $rounds, @ids,
        defined $one ? ($one, $two) : ());

    $zone->{floor} = printed($bench->tool('zone_floor'), $rounds, $one, $two)
        if defined $one;

    return $zone;
}


sub printed {
    my @command = @_;

    open my $out, '-|', @command or die "bench: $command[0]: $!\n";
    my $text = join '', <$out>;
    close $out or die "bench: $command[0] failed\n";

    return JSON::PP::decode_json($text);
}


sub goals {
    my ($class, $zone) = @_;

    my ($held) = grep { $_->{ids} == $zone->{ids} } @{ $zone->{held} };
    my $early = $held->{filling} + $held->{flowing};

    return (
        [ 'live ids in 10 MB', 'at least 400,000, at most 0.1 % of them evicted '
            . 'early', number($held->{ids}) . ', ' . percent($early)
            . ' evicted early', $early <= 0.001 ],
        [ 'a claim, as made by the gate', 'at most 200 ns',
          number($zone->{claim}) . ' ns', $zone->{claim} <= 200 ],
        [ 'two processes on one table',
          'at least 0.85 times two on private tables',
          defined $zone->{ratio} ? number($zone->{ratio})
                                 : ('not measured: a single processor'),
          ($zone->{ratio} // 0) >= 0.85 ],
    );
}


sub report {
    my ($class, $zone) = @_;

    my $rate = sub { defined $_[0] ? number($_[0]) . ' million/s' : undef };

    my $text = 'A table of 10 MB has ' . number($zone->{slots})
        . " slots.\n\n"
        . table([ '>live ids', '>evicted early during filling',
                  '>evicted early while as many arrive as expire' ],
            [ map { [ number($_->{ids}), percent($_->{filling}),
                      percent($_->{flowing}) ] } @{ $zone->{held} } ])
        . "\nOne process, with " . number($zone->{ids}) . " live ids:\n\n"
        . table([ 'operation', '>time' ], [
            [ 'claim of a new id after a prefetch, as made by the gate',
              number($zone->{claim}) . ' ns' ],
            [ 'claim of a new id without a prefetch',
              number($zone->{cold}) . ' ns' ],
            [ 'completion', number($zone->{complete}) . ' ns' ],
            [ 'claim of a duplicate', number($zone->{duplicate}) . ' ns' ],
            [ 'hashing a scope and an id, 46 bytes',
              number($zone->{hash}) . ' ns' ],
        ])
        . "\nClaims of new ids, each with its completion:\n\n"
        . table([ 'processes', '>total' ], [
            [ 'one', $rate->($zone->{one}) ],
            [ 'two, each on its own table', $rate->($zone->{private}) ],
            [ 'two on one table', $rate->($zone->{shared}) ],
            [ 'ratio of the last two', number($zone->{ratio}) ],
            [ 'additional cost of a claim and its completion on one table',
              more($zone) ],
            [ 'two that claim only one and the same id',
              defined $zone->{hot} ? number($zone->{hot}) . ' ns each' : undef ],
        ])
        . floor($zone->{floor})
        . "\nA full table:\n\n"
        . table([ 'contents', '>a claim', '>slots in use', '>result' ], [
            [ 'completed ids', number($zone->{full}{ns})
              . ' ns, with completion', percent1($zone->{full}{used}),
              percent1($zone->{full}{evicted}) . ' evict the oldest' ],
            [ 'ids that are being processed',
              number($zone->{full_inflight}{ns}) . ' ns',
              percent1($zone->{full_inflight}{used}),
              percent1($zone->{full_inflight}{refused}) . ' are refused' ],
        ]);

    $text .= "\n$zone->{disturbed} of these measurements were disturbed by "
        . "other work on the machine.\n" if $zone->{disturbed};

    return $text;
}


sub floor {
    my ($floor) = @_;

    return '' unless $floor;

    return "\nThe floor: each page of the table has a mutex and nothing else, "
        . "which is taken twice\nin each step:\n\n"
        . table([ 'processes', '>total' ], [
            [ 'two, each on its own table',
              number($floor->{private}) . ' million/s' ],
            [ 'two on one table', number($floor->{shared}) . ' million/s' ],
            [ 'ratio', number($floor->{ratio}) ],
            [ 'additional cost of a step on one table', more($floor) ],
            [ 'transfer of a cache line between the processors',
              number($floor->{line}) . ' ns' ],
        ]);
}


# nanoseconds in each of two processes, from millions per second of both

sub more {
    my ($rates) = @_;

    return undef unless $rates->{shared};
    return number(2000 / $rates->{shared} - 2000 / $rates->{private}) . ' ns';
}


sub percent1 { return sprintf '%.1f %%', 100 * $_[0] }


sub plots { return }


1;
