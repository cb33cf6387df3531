package Bench::Report;

# Tables in Markdown, and updates of docs/benchmarks.md.

use strict;
use warnings;

use Exporter qw/ import /;
use List::Util qw/ max /;

use Bench::Machine qw/ $root /;
use Trove::Util qw/ slurp spew /;

our @EXPORT_OK = qw/ table number median percent bytes write_section /;


=head1 FUNCTIONS

=over

=item table(\@headers, \@rows)

Renders a table.  A column whose header begins with ">" is aligned to the right.
An undefined cell is shown as a dash.

=cut

sub table {
    my ($headers, $rows) = @_;

    my @names = map { s/^>//r } @$headers;
    my @right = map { /^>/ ? 1 : 0 } @$headers;
    my @lines = map { [ map { $_ // '-' } @$_ ] } \@names, @$rows;
    my @width = map { my $n = $_; max(3, map { length $_->[$n] } @lines) }
        0 .. $#names;

    my $line = sub {
        my ($cells) = @_;

        return '| ' . join(' | ', map {
            sprintf $right[$_] ? '%*s' : '%-*s', $width[$_], $cells->[$_]
        } 0 .. $#names) . " |\n";
    };

    return $line->(shift @lines)
        . '| ' . join(' | ', map {
            '-' x ($width[$_] - $right[$_]) . ($right[$_] ? ':' : '')
        } 0 .. $#names) . " |\n"
        . join '', map { $line->($_) } @lines;
}


=item number($n), percent($share), bytes($size)

A number with three significant digits, a share in per cent, and a size with its
unit.

=cut

sub number {
    my ($n) = @_;

    return undef unless defined $n;

    my $digits = abs $n < 9.995 ? 2 : abs $n < 99.95 ? 1 : 0;
    my $text = sprintf '%.*f', $digits, $n;

    1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;

    return $text;
}


sub percent {
    my ($share) = @_;

    return $share == 0 ? '0 %' : sprintf '%.2g %%', 100 * $share;
}


sub bytes {
    my ($size) = @_;

    return $size % 1024 ? "$size bytes" : $size / 1024 . ' KB';
}


=item median(@numbers)

=cut

sub median {
    my @sorted = sort { $a <=> $b } @_;

    return undef unless @sorted;
    return $sorted[ @sorted / 2 ] if @sorted % 2;
    return ($sorted[ @sorted / 2 - 1 ] + $sorted[ @sorted / 2 ]) / 2;
}


=item write_section($part, $text)

Replaces the text between the marks of a part in docs/benchmarks.md.

=cut

sub write_section {
    my ($part, $text) = @_;

    my $page = "$root/docs/benchmarks.md";
    my $content = slurp($page);
    my ($begin, $end) = ("<!-- $part: measured -->", "<!-- /$part -->");

    $content =~ s/^\Q$begin\E\n\K.*?(?=^\Q$end\E$)/\n$text\n/ms
        or die "$page has no lines \"$begin\" and \"$end\"\n";

    spew($page, $content);
}


=back

=cut

1;
