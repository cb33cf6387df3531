package Trove::Metrics;

# What trove_metrics answers, for tests.

use strict;
use warnings;

use Exporter qw/ import /;

use Trove::Http qw/ get /;
use Trove::Util qw/ spew testdir wait_until /;

our @EXPORT = qw/ metrics metric metric_wait metrics_lint /;


=head1 FUNCTIONS

=over

=item metrics($nginx, $port = 0)

All samples of /metrics at a port of the harness: a reference to a hash, whose
keys are the name and the labels as they are written, 'name{a="b"}'.

=item metric($nginx, $name, \%labels, $port)

The values of the samples of this name whose labels include these; the first one
in scalar context.

=item metric_wait($nginx, $name, \%labels, $value, $port)

Waits until metric() is the value; true if it is at last.

=item metrics_lint($nginx, $port)

What is wrong with them by promtool: "" is nothing.

=back

=cut

sub text {
    my ($nginx, $port) = @_;

    # a worker may die before it answers

    my $r;
    wait_until { $r = get($nginx->port($port // 0), '/metrics') };

    return $r->body;
}


sub metrics {
    my ($nginx, $port) = @_;

    return { text($nginx, $port) =~ /^(\w+(?:\{.*\})?) (\S+)$/mg };
}


sub metric {
    my ($nginx, $name, $labels, $port) = @_;

    my $metrics = metrics($nginx, $port);
    my @found;

    for my $sample (sort keys %$metrics) {
        my ($family, $text) = $sample =~ /^(\w+)(?:\{(.*)\})?$/;

        next if $family ne $name;

        my %has = ($text // '') =~ /(\w+)="((?:[^"\\]|\\.)*)"/g;

        push @found, $metrics->{$sample}
            unless grep { ($has{$_} // '') ne $labels->{$_} } keys %$labels;
    }

    return wantarray ? @found : $found[0];
}


sub metric_wait {
    my ($nginx, $name, $labels, $value, $port) = @_;

    return wait_until {
        my $is = metric($nginx, $name, $labels, $port);
        defined $is && $is eq $value;
    } 30;
}


sub metrics_lint {
    my ($nginx, $port) = @_;

    my $file = testdir() . '/metrics.txt';
    spew($file, text($nginx, $port));

    my $said = qx{promtool check metrics <"$file" 2>&1};

    return $said . ($? ? "\nexit code " . ($? >> 8) : '');
}


1;
