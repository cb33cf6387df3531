package Bench::Plot;

# Draws plots with gnuplot.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Path qw/ make_path /;

use Bench::Machine qw/ $root /;

our @EXPORT_OK = qw/ plot /;


=head1 FUNCTIONS

=over

=item plot($name, %options)

Draws docs/benchmarks/NAME.svg: panels side by side, each with lines over the
same ticks of the x axis.  The y axis is logarithmic.

    title, ylabel
    ticks => [ '280 bytes', .. ]
    panels => [ { title, lines => [ { title, values => [], rgb, dashed } ] } ]

Lines of the same title look alike in all panels.

=cut

sub plot {
    my ($name, %opt) = @_;

    my $directory = "$root/docs/benchmarks";
    my $panels = @{ $opt{panels} };
    my $last = $#{ $opt{ticks} };
    my @all = map { @{ $_->{values} } } map { @{ $_->{lines} } }
        @{ $opt{panels} };
    my ($low, $high) = range(grep { defined && $_ > 0 } @all);

    make_path($directory);

    my $script = join "\n",
        sprintf('set terminal svg size %d,460 background "white" '
            . 'font "sans-serif,13" noenhanced', 40 + 330 * $panels),
        "set output '$directory/$name.svg'",
        "set multiplot layout 1,$panels title '$opt{title}'",
        'set xtics (' . join(', ', map { "'$opt{ticks}[$_]' $_" } 0 .. $last)
            . ')',
        "set xrange [-0.25:$last.25]",
        'set logscale y',
        "set yrange [$low:$high]",
        'set grid ytics lc rgb "#dddddd"',
        'set key top left reverse Left samplen 2',
        'set lmargin 11',
        '';

    for my $n (0 .. $panels - 1) {
        my $panel = $opt{panels}[$n];
        my (@lines, $data);

        $script .= 'set ylabel ' . ($n ? "''" : "'$opt{ylabel}'") . "\n"
            . "set title '$panel->{title}'\n";

        for my $line (@{ $panel->{lines} }) {
            push @lines, "'-' title '$line->{title}' with linespoints lw 2 "
                . 'pt 7 ps 0.5 lc rgb "' . $line->{rgb} . '"'
                . ($line->{dashed} ? ' dt 2' : '');

            $data .= join('', map { "$_ $line->{values}[$_]\n" }
                grep { defined $line->{values}[$_] } 0 .. $last) . "e\n";
        }

        $script .= 'plot ' . join(', ', @lines) . "\n$data";
        $script .= "unset key\n";
    }

    open my $gnuplot, '|-', 'gnuplot' or die "gnuplot: $!\n";
    print $gnuplot "$script\nunset multiplot\n";
    close $gnuplot or die "gnuplot failed\n";
}


sub range {
    my @sorted = sort { $a <=> $b } @_;

    return ($sorted[0] / 1.5, $sorted[-1] * 1.5);
}


=back

=cut

1;
