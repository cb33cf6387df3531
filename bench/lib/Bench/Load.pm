package Bench::Load;

# Controls load.c: the load generator, and the application behind the server.

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IPC::Open2 qw/ open2 /;
use JSON::PP ();
use List::Util qw/ max min /;

use Trove::Util qw/ slurp /;



=head1 METHODS

=over

=item Bench::Load->new($program, $cpu)

Starts the program, on that processor.  It ends when the object is destroyed.

=item port()

The port of the application.

=cut

sub new {
    my ($class, $program, $cpu) = @_;

    my $self = bless { }, $class;

    $self->{pid} = open2($self->{out}, $self->{in}, $program, $cpu // ());
    $self->{port} = readline $self->{out}
        // die "bench: $program does not start\n";

    chomp $self->{port};

    return $self;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!);

    # others may have the other end of its input

    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
}


sub port { return $_[0]{port} }


=item run(%options)

Runs a load.  Options: file, uri, secret, server (requests are sent to its
"port", and its "pid" is measured), requests, ids, first, wrong, connections,
rate (per second; by default as fast as requests are answered), targets (the
number of targets whose deliveries are recorded and waited for), get (GET
requests instead of events), wait (seconds).  Returns the output of load.c, with
"status" added: { status => count }.

=item begin(%options), end()

The same in two steps.

=item await($requests, $seconds, sub { })

Waits until the application has received this number of requests, or the time
has passed.  Calls the function periodically meanwhile.

=cut

sub run {
    my ($self, %opt) = @_;

    $self->begin(%opt);

    return $self->end;
}


sub begin {
    my ($self, %opt) = @_;

    my @words = ('-p', $opt{server}{port}, '-P', $opt{server}{pid},
        '-u', $opt{uri}, '-s', $opt{secret} // 'none', '-n',
        int $opt{requests});

    push @words, '-c', $opt{connections} if $opt{connections};
    push @words, '-d', $opt{ids} if $opt{ids};
    push @words, '-b', $opt{first} if $opt{first};
    push @words, '-r', $opt{rate} if $opt{rate};
    push @words, '-e', $opt{targets} if $opt{targets};
    push @words, '-t', $opt{wait} if $opt{wait};
    push @words, '-g' if $opt{get};
    push @words, '-w' if $opt{wrong};

    $self->{run} = \%opt;
    $self->ask(@words, $opt{file} // 'none');
}


sub await {
    my ($self, $requests, $seconds, $meanwhile) = @_;

    $self->{run} = { };
    $self->ask('-a', $requests, '-t', $seconds);

    my $select = IO::Select->new($self->{out});

    $meanwhile->() until $select->can_read(0.1);

    return $self->end;
}


sub ask {
    my ($self, @words) = @_;

    $self->{in}->autoflush(1);
    print { $self->{in} } "@words\n";
}


sub end {
    my ($self) = @_;

    my %opt = %{ $self->{run} };

    my $text = readline $self->{out}
        // die "bench: the load on $opt{uri} failed\n",
               map { tail("$opt{server}{dir}/$_") } qw/ error.log output /;


    my $result = JSON::PP::decode_json($text);

    for my $kind (keys %{ $result->{answers} }) {
        my ($status) = split /\//, $kind;
        $result->{status}{$status} += $result->{answers}{$kind};
    }

    return $result;
}


# the last lines of a file

sub tail {
    my @lines = slurp($_[0]) =~ /.*\n/g;

    return @lines > 5 ? @lines[ -5 .. -1 ] : @lines;
}


=item requests_for($seconds, %options)

The number of requests that take about this time, for the option "requests".

=cut

sub requests_for {
    my ($self, $seconds, %opt) = @_;

    my $n = 64;

    for (1 .. 3) {
        my $result = $self->run(%opt, requests => $n);
        my $rate = $n / $result->{seconds};

        $opt{first} += $n unless $opt{ids};

        return max(32, int($rate * $seconds))
            if $result->{seconds} > $seconds / 10;

        $n = 64 + int min($n * 20, $rate * $seconds / 4);
    }

    return $n * 4;
}


=back

=cut

1;
