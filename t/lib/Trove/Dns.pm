package Trove::Dns;

# A DNS server that answers as a test wants it.

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Socket::INET;
use POSIX ();

use Trove::Util qw/ testdir slurp spew on_exit wait_until /;

our @EXPORT = qw/ dns /;

my $count = 0;


=head1 FUNCTIONS

=over

=item dns()

Starts a server on a UDP port of its own.

=back

=head1 METHODS

=over

=item port()

=item answer($name, @answers)

The answers to queries for the addresses of a name: each query gets the next one,
the last one is repeated.  An answer is a list of IPv4 and IPv6 addresses,
separated by commas; "cname:NAME", followed by addresses; "nothing", which is no
response at all; or "error".  A name without answers does not exist.

=item queries($name)

The number of queries for IPv4 addresses.

=back

=cut

sub dns {
    my $dir = testdir() . '/dns' . $count++;

    mkdir $dir or die "mkdir: $!";

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Proto => 'udp') or die "socket: $!";

    defined(my $pid = fork) or die "fork: $!";

    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
        serve($socket, $dir);
        POSIX::_exit(0);
    }

    on_exit { kill 'KILL', $pid; waitpid $pid, 0 };

    return bless { dir => $dir, port => $socket->sockport }, __PACKAGE__;
}


sub port { return $_[0]{port} }


sub answer {
    my ($self, $name, @answers) = @_;

    unlink "$self->{dir}/$name.n";
    spew("$self->{dir}/$name.new", join '', map { "$_\n" } @answers);
    rename "$self->{dir}/$name.new", "$self->{dir}/$name"
        or die "rename: $!";
}


sub queries {
    my ($self, $name) = @_;

    return -s "$self->{dir}/$name.n" // 0;
}


sub serve {
    my ($socket, $dir) = @_;

    while (1) {
        my $peer = $socket->recv(my $query, 4096) // next;
        my $response = respond($query, $dir) // next;

        $socket->send($response, 0, $peer);
    }
}


sub respond {
    my ($query, $dir) = @_;

    my ($id, $flags) = unpack 'nn', $query;
    my ($at, @labels) = (12);

    while (my $len = ord substr $query, $at, 1) {
        push @labels, lc substr $query, $at + 1, $len;
        $at += $len + 1;
    }

    my $question = substr $query, 12, $at + 5 - 12;
    my $type = unpack 'n', substr $query, $at + 1, 2;
    my $name = join '.', @labels;

    return pack('nnnnnn', $id, 0x8183, 1, 0, 0, 0) . $question
        if !-e "$dir/$name";

    my @answers = split /\n/, slurp("$dir/$name");
    my $n = -s "$dir/$name.n" // 0;

    # both types of a query are of the same answer: IPv4 comes first

    if ($type == 1) {
        open my $fh, '>>', "$dir/$name.n" or die "open: $!";
        print $fh '.';
        close $fh;

    } elsif ($n) {
        $n--;
    }

    my $answer = $answers[$n > $#answers ? $#answers : $n];

    return if $answer eq 'nothing';
    return pack('nnnnnn', $id, 0x8182, 1, 0, 0, 0) . $question
        if $answer eq 'error';

    my ($records, $count) = ('', 0);
    my $owner = "\xc0\x0c";

    for my $item (split /,/, $answer) {

        if ($item =~ /^cname:(.*)/) {
            my $target = join('', map { chr(length) . $_ } split /\./, $1)
                . "\0";

            $records .= $owner . pack('nnNn', 5, 1, 0, length $target)
                . $target;
            $owner = $target;
            $count++;

        } elsif ($item =~ /:/ && $type == 28) {
            $records .= $owner . pack('nnNn', 28, 1, 0, 16)
                . Socket::inet_pton(Socket::AF_INET6(), $item);
            $count++;

        } elsif ($item !~ /:/ && $type == 1) {
            $records .= $owner . pack('nnNn', 1, 1, 0, 4)
                . Socket::inet_aton($item);
            $count++;
        }
    }

    return pack('nnnnnn', $id, 0x8180, 1, $count, 0, 0) . $question . $records;
}


1;
