package Bench;

# The object that is passed to each part of the benchmark: the extent of the
# measurements, and the programs.

use strict;
use warnings;

use File::Path qw/ make_path /;
use JSON::PP ();

use Bench::Machine qw/ $root /;
use Trove::Util qw/ slurp spew /;

my $json = JSON::PP->new->canonical->pretty;


=head1 METHODS

=over

=item Bench->new(quick => 0)

Builds the programs.

=item quick(), rounds(), seconds()

Whether to measure only the most important figures, the number of rounds, and
the duration of each measurement.

=item tool($name)

The path of the program built from bench/NAME.c.

=item save($part, $figures), saved($part)

Saves the figures of a run, and returns those of the last run.

=item say($text)

Reports the progress.

=cut

sub new {
    my ($class, %opt) = @_;

    my $objs = $ENV{TROVE_OBJS}
        // die "bench: TROVE_OBJS is not set: run make bench\n";

    system('make', '-s', '-C', $root, '-f', 'bench/bench.mk', "OBJS=$objs",
        'CC=' . ($ENV{CC} // 'gcc')) == 0 or die "bench: the build failed\n";

    return bless { quick => $opt{quick}, tools => "$objs/bench" }, $class;
}


sub quick { return $_[0]{quick} ? 1 : 0 }
sub rounds { return $_[0]{quick} ? 3 : 5 }
sub seconds { return $_[0]{quick} ? 0.2 : 0.3 }
sub tool { return "$_[0]{tools}/$_[1]" }


sub save {
    my ($self, $part, $figures) = @_;

    make_path($self->{tools});
    spew("$self->{tools}/$part.json", $json->encode($figures));
}


sub saved {
    my ($self, $part) = @_;

    my $text = slurp("$self->{tools}/$part.json");

    die "bench: $part has not been measured yet\n" unless length $text;

    return $json->decode($text);
}


sub say {
    my ($self, $text) = @_;

    print STDERR "bench: $text\n";
}


=back

=cut

1;
