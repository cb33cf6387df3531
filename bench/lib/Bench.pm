package Bench;

# What each part of the benchmark is given: how much to measure, and with which
# programs.

use strict;
use warnings;

use Bench::Machine qw/ $root /;


=head1 METHODS

=over

=item Bench->new(quick => 0)

Builds the programs.

=item quick(), rounds(), seconds()

Whether to measure only the most important, how often, and how long each time.

=item tool($name)

The path of a program, made of bench/NAME.c.

=item say($text)

Tells how far it is.

=cut

sub new {
    my ($class, %opt) = @_;

    my $objs = $ENV{TROVE_OBJS}
        // die "bench: TROVE_OBJS is not set: run make bench\n";

    system('make', '-s', '-C', $root, '-f', 'bench/bench.mk', "OBJS=$objs",
        'CC=' . ($ENV{CC} // 'gcc')) == 0 or die "bench: cannot build\n";

    return bless { quick => $opt{quick}, tools => "$objs/bench" }, $class;
}


sub quick { return $_[0]{quick} }
sub rounds { return $_[0]{quick} ? 3 : 5 }
sub seconds { return $_[0]{quick} ? 0.2 : 0.35 }
sub tool { return "$_[0]{tools}/$_[1]" }


sub say {
    my ($self, $text) = @_;

    print STDERR "bench: $text\n";
}


=back

=cut

1;
