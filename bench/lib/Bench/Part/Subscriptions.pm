package Bench::Part::Subscriptions;

# Subscriptions in the spool: the cost of an event, and of calls of the API.

use strict;
use warnings;

use File::Temp qw/ tempdir /;
use JSON::PP ();

use Bench::Report qw/ table number /;


sub measure {
    my ($class, $bench) = @_;

    $bench->say('subscriptions');

    my $many = $bench->quick ? 10_000 : 100_000;
    my $deliveries = 10 * $many;

    open my $out, '-|', $bench->tool('spool_subscribe'), tempdir(CLEANUP => 1),
        $many, $deliveries or die "bench: spool_subscribe: $!\n";
    my $text = join '', <$out>;
    close $out or die "bench: spool_subscribe failed\n";

    return { %{ JSON::PP::decode_json($text) }, many => $many,
        deliveries => $deliveries };
}


sub goals {
    my ($class, $f) = @_;

    my ($slowest) = sort { $b->{p99} <=> $a->{p99} } @{ $f->{calls} };
    my $many = number($f->{many});

    return (
        [ "an event with $many subscriptions of which one matches",
          'at most 1.2 times one with a single subscription',
          number($f->{spread}{ratio}), $f->{spread}{ratio} <= 1.2 ],
        [ 'the same, 30 % of them in its namespace', 'likewise',
          number($f->{crowded}{ratio}), $f->{crowded}{ratio} <= 1.2 ],
        [ 'an event that matches 1,000 subscriptions, in one transaction',
          'at most 20 ms', number($f->{next}) . ' ms', $f->{next} <= 20 ],
        [ 'the slowest call of the API, p99', 'at most 20 ms',
          number($slowest->{p99}) . ' ms', $slowest->{p99} <= 20 ],
    );
}


sub report {
    my ($class, $f) = @_;

    return "Processor time of an event with one target, accepted in batches of "
        . "64:\n\n"
        . table([ 'subscriptions', '>time', '>ratio' ], [
            map { [ $_->[0], number($f->{ $_->[1] }{us}) . ' us',
                    number($f->{ $_->[1] }{ratio}) ] }
            [ 'none', 'none' ],
            [ 'one, which matches', 'one' ],
            [ number($f->{many}) . ", one matches, each has its own namespace", 'spread' ],
            [ number($f->{many}) . ", one matches, 30 % have its namespace", 'crowded' ],
        ])
        . "\nCalls, with " . number($f->{deliveries})
        . " deliveries in the spool:\n\n"
        . table([ 'call', '>p50', '>p99' ], [
            map { [ $_->{name}, number($_->{p50}) . ' ms',
                    number($_->{p99}) . ' ms' ] } @{ $f->{calls} }
        ]);
}


sub plots { return }


1;
