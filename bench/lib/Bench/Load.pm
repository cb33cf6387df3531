package Bench::Load;

# Sends the load, and what comes of it.

use strict;
use warnings;

use Exporter qw/ import /;
use JSON::PP ();
use List::Util qw/ max min /;

use Trove::Util qw/ slurp /;

our @EXPORT_OK = qw/ load load_for /;


=head1 FUNCTIONS

=over

=item load($program, %options)

Runs load.c.  Options: file, uri, secret, server (whose "port" gets it, and
whose "pid" is watched), requests, ids, first, wrong, connections, cpu.
Returns what it prints, and besides

  rate    requests a second
  status  { status => how many }

=cut

sub load {
    my ($program, %opt) = @_;

    my @command = ($program, '-p', $opt{server}{port}, '-P',
        $opt{server}{pid}, '-u', $opt{uri}, '-s', $opt{secret},
        '-n', $opt{requests}, '-c', $opt{connections} // 32);

    push @command, '-d', $opt{ids} if $opt{ids};
    push @command, '-b', $opt{first} if $opt{first};
    push @command, '-a', $opt{cpu} if defined $opt{cpu};
    push @command, '-w' if $opt{wrong};

    open my $out, '-|', @command, $opt{file} or die "$program: $!\n";
    my $text = join '', <$out>;

    close $out
        or die "the load failed: ", $opt{server}{name} // $opt{uri}, "\n",
            map { tail("$opt{server}{dir}/$_") } qw/ error.log output /;

    my $result = JSON::PP::decode_json($text);

    $result->{rate} = $result->{requests} / $result->{seconds};

    for my $kind (keys %{ $result->{answers} }) {
        my ($status) = split /\//, $kind;
        $result->{status}{$status} += $result->{answers}{$kind};
    }

    return $result;
}


sub tail {
    my @lines = slurp($_[0]) =~ /.*\n/g;

    return @lines > 5 ? @lines[ -5 .. -1 ] : @lines;
}


=item load_for($program, $seconds, %options)

How many requests take about that long: for the option "requests".

=cut

sub load_for {
    my ($program, $seconds, %opt) = @_;

    my $n = 64;

    for (1 .. 3) {
        my $result = load($program, %opt, requests => $n);

        $opt{first} += $n;

        return max(64, int($result->{rate} * $seconds))
            if $result->{seconds} > $seconds / 10;

        $n = int min($n * 20, $result->{rate} * $seconds / 4) + 64;
    }

    return $n * 4;
}


=back

=cut

1;
