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
        [ 'a claim, as the gate makes it', 'at most 200 ns',
          number($zone->{claim}) . ' ns', $zone->{claim} <= 200 ],
        [ 'two processes on one table', 'at least 0.85 of two on private tables',
          defined $zone->{ratio} ? number($zone->{ratio})
                                 : ('not measured: a single processor'),
          ($zone->{ratio} // 0) >= 0.85 ],
    );
}


sub report {
    my ($class, $zone) = @_;

    my $rate = sub { defined $_[0] ? number($_[0]) . ' million/s' : undef };

    my $text = number($zone->{slots}) . " slots in 10 MB.\n\n"
        . table([ '>ids alive', '>evicted early while it is filled',
                  '>evicted early while as many follow as expire' ],
            [ map { [ number($_->{ids}), percent($_->{filling}),
                      percent($_->{flowing}) ] } @{ $zone->{held} } ])
        . "\nWith " . number($zone->{ids}) . " ids alive, by one process:\n\n"
        . table([ 'what', '>time' ], [
            [ 'claim of a new id, which the table is told of before, as by '
                . 'the gate', number($zone->{claim}) . ' ns' ],
            [ 'claim of a new id out of the blue',
              number($zone->{cold}) . ' ns' ],
            [ 'completion', number($zone->{complete}) . ' ns' ],
            [ 'claim of a duplicate', number($zone->{duplicate}) . ' ns' ],
            [ 'hashing a scope and an id, 46 bytes',
              number($zone->{hash}) . ' ns' ],
        ])
        . "\nClaims of new ids, with completion:\n\n"
        . table([ 'processes', '>in all' ], [
            [ 'one', $rate->($zone->{one}) ],
            [ 'two, a table each', $rate->($zone->{private}) ],
            [ 'two on one table', $rate->($zone->{shared}) ],
            [ 'the last two, ratio', number($zone->{ratio}) ],
            [ 'a claim and its completion cost more on one table', more($zone) ],
            [ 'two that ask for nothing but one and the same id',
              defined $zone->{hot} ? number($zone->{hot}) . ' ns each' : undef ],
        ])
        . floor($zone->{floor})
        . "\nA full table:\n\n"
        . table([ 'full of', '>a claim', '>slots in use', '>what happens' ], [
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

    return "\nThe floor: a mutex in each page of such a table and nothing else, "
        . "taken twice for\neach step:\n\n"
        . table([ 'processes', '>in all' ], [
            [ 'two, a table each', number($floor->{private}) . ' million/s' ],
            [ 'two on one table', number($floor->{shared}) . ' million/s' ],
            [ 'ratio', number($floor->{ratio}) ],
            [ 'a step costs more on one table', more($floor) ],
            [ 'a line of the cache from one processor to the other',
              number($floor->{line}) . ' ns' ],
        ]);
}


# of two processes, each: nanoseconds, of millions a second by both

sub more {
    my ($rates) = @_;

    return undef unless $rates->{shared};
    return number(2000 / $rates->{shared} - 2000 / $rates->{private}) . ' ns';
}


sub percent1 { return sprintf '%.1f %%', 100 * $_[0] }


sub plots { return }


1;
