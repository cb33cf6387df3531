package Trove::Http;

# An HTTP/1 client that can do what a well-behaved one cannot.

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use Socket qw/ SOL_SOCKET SO_LINGER SHUT_WR IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time /;

use Trove::Response;
use Trove::Util qw/ limit wait_until slurp /;

our @EXPORT = qw/
    conn http request get post build many_start many_finish many stub_status
/;


=head1 FUNCTIONS

=over

=item build($method, $uri, headers => [ name => value, .. ], body => $bytes,
chunked => $size)

The bytes of a request: with Host, and Content-Length where there is a body, or
in chunks of $size; "Connection: close" is up to the caller.  A header
of these names in "headers" replaces ours.

=cut

sub build {
    my ($method, $uri, %opt) = @_;

    my @headers = @{ $opt{headers} || [] };
    my $body = $opt{body};
    my %given;

    for (my $i = 0; $i < @headers; $i += 2) {
        $given{ lc $headers[$i] } = 1;
    }

    unshift @headers, Host => 'localhost' unless $given{host};

    if ($opt{chunked}) {
        push @headers, 'Transfer-Encoding' => 'chunked';
        $body = chunks($body, $opt{chunked});

    } elsif (defined $body && !$given{'content-length'}
        && !$given{'transfer-encoding'})
    {
        push @headers, 'Content-Length' => length $body;
    }

    my $bytes = "$method $uri " . ($opt{version} // 'HTTP/1.1') . "\x0d\x0a";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $bytes .= "$name: $value\x0d\x0a";
    }

    return "$bytes\x0d\x0a" . ($body // '');
}


sub chunks {
    my ($body, $size) = @_;

    my $bytes = '';

    for (my $i = 0; $i < length $body; $i += $size) {
        my $piece = substr $body, $i, $size;
        $bytes .= sprintf "%x\x0d\x0a%s\x0d\x0a", length $piece, $piece;
    }

    return $bytes . "0\x0d\x0a\x0d\x0a";
}


=item http($port, $bytes), request($port, $method, $uri, %build_options)

Sends on a new connection, closes it after the answer; returns the response
(see Trove::Response), undef when there was none.

=item get($port, $uri, name => value, ..), post($port, $uri, $body, name =>
value, ..)

The same with headers.

=cut

sub http {
    my ($port, $bytes) = @_;

    my $conn = conn($port);
    my ($method) = $bytes =~ /^(\S+)/;

    $conn->send($bytes);

    my $response = $conn->response(head => ($method // '') eq 'HEAD');

    $conn->close;

    return $response;
}


sub request {
    my ($port, $method, $uri, %opt) = @_;

    return http($port, build($method, $uri, %opt));
}


sub get {
    my ($port, $uri, @headers) = @_;

    return request($port, 'GET', $uri, headers => \@headers);
}


sub post {
    my ($port, $uri, $body, @headers) = @_;

    return request($port, 'POST', $uri, body => $body, headers => \@headers);
}


=item many_start($port, @bytes), many_finish(@conns), many($port, @bytes)

Sends each request on a connection of its own, all at the same time, and does
not wait; waits for all answers, in the order of the requests; both.

=cut

sub many_start {
    my ($port, @requests) = @_;

    my @conns = map { conn($port) } @requests;

    $_->send(shift @requests) for @conns;

    return @conns;
}


sub many_finish {
    my (@conns) = @_;

    my $select = IO::Select->new(map { $_->{socket} } @conns);
    my %by_fd = map { fileno $_->{socket} => $_ } @conns;
    my $end = time() + limit(30);

    while ($select->count && time() < $end) {

        for my $socket ($select->can_read(0.5)) {
            my $conn = $by_fd{ fileno $socket };

            $conn->fill;

            if ($conn->{eof}
                || Trove::Response->parse(\(my $copy = $conn->{in})))
            {
                $select->remove($socket);
            }
        }
    }

    my @responses = map { $_->response(timeout => 0) } @conns;

    $_->close for @conns;

    return @responses;
}


sub many {
    my ($port, @requests) = @_;

    return many_finish(many_start($port, @requests));
}


=item stub_status($port, $uri = '/status')

What stub_status says: { active, accepts, handled, requests, reading, writing,
waiting }.  "active" and "writing" count the asking connection, too.

=cut

sub stub_status {
    my ($port, $uri) = @_;

    my $body = get($port, $uri // '/status')->body;
    my %status;

    ($status{active}) = $body =~ /Active connections: (\d+)/
        or die "no stub_status: $body";
    @status{qw/ accepts handled requests /} =
        $body =~ /^ (\d+) (\d+) (\d+) $/m;
    @status{qw/ reading writing waiting /} =
        $body =~ /Reading: (\d+) Writing: (\d+) Waiting: (\d+)/;

    return \%status;
}


=item conn($port, from => $address)

A connection, from this address.

=back

=head1 METHODS of a connection

=over

=item send(@pieces)

Sends, each piece in a segment of its own where it can; false when the peer has
closed.  Reads meanwhile what comes, so that nothing blocks for ever.

=cut

sub conn {
    my ($port, %opt) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp',
        Timeout => limit(10), $opt{from} ? (LocalAddr => $opt{from}) : (),
    ) or die "connect to $port: $!";

    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    $socket->blocking(0);
    binmode $socket;

    return bless { socket => $socket, in => '', eof => 0 }, __PACKAGE__;
}


sub send {
    my ($self, @pieces) = @_;

    my $end = time() + limit(20);

    for my $piece (@pieces) {
        my $sent = 0;

        while ($sent < length $piece) {
            my $n = syswrite $self->{socket}, $piece, 65536, $sent;

            if (defined $n) {
                $sent += $n;
                next;
            }

            return 0 if !$!{EAGAIN} && !$!{EINTR};
            return 0 if time() > $end;

            my $select = IO::Select->new($self->{socket});
            IO::Select->select($self->{eof} ? undef : $select, $select, undef,
                0.1);
            $self->fill unless $self->{eof};
        }
    }

    return 1;
}


=item response(timeout => 10, head => 0)

The next response on the connection; undef when it closes without one, or none
comes in time.  head: the answer to HEAD, which has no body.  An interim
answer (100) is a response, too.

=cut

sub response {
    my ($self, %opt) = @_;

    my $end = time() + limit($opt{timeout} // 10);

    while (1) {
        my $response = Trove::Response->parse(\$self->{in}, eof => $self->{eof},
            head => $opt{head});

        return $response if $response;
        return undef if $self->{eof} || time() > $end;

        $self->fill($end - time());
    }
}


# reads what is there, waiting for it if asked to

sub fill {
    my ($self, $wait) = @_;

    return if $self->{eof};

    if ($wait) {
        IO::Select->new($self->{socket})->can_read($wait) or return;
    }

    while (1) {
        my $n = sysread $self->{socket}, $self->{in}, 65536,
            length $self->{in};

        if (!defined $n) {
            return if $!{EAGAIN} || $!{EINTR};
            $self->{reset} = 1;
            $self->{eof} = 1;
            return;
        }

        if ($n == 0) {
            $self->{eof} = 1;
            return;
        }
    }
}


=item wait_read($seconds = 10)

Waits until the peer has read all that was sent, so that what is sent next
comes to it as something new; false when it does not in time.

=cut

sub wait_read {
    my ($self, $seconds) = @_;

    my $socket = $self->{socket};
    my $ports = sprintf '[0-9A-F]+:%04X [0-9A-F]+:%04X',
        $socket->peerport, $socket->sockport;
    my $back = sprintf '[0-9A-F]+:%04X [0-9A-F]+:%04X',
        $socket->sockport, $socket->peerport;

    return wait_until {
        my $table = slurp('/proc/net/tcp');

        # the queues, to be sent and to be read, of both ends

        my ($theirs) = $table =~ /: $ports \w\w \w{8}:(\w{8}) /
            or return 1;
        my ($ours) = $table =~ /: $back \w\w (\w{8}):/;

        hex($theirs) == 0 && hex($ours // 0) == 0;
    } $seconds // 10;
}


=item read_until($regex, $seconds = 10)

Waits for bytes that match, and returns all that came so far, without taking
it; undef after the limit.

=item wait_closed($seconds = 10)

Whether the peer closes in time; was_reset() tells whether by RST.

=item half_close(), reset(), close()

Ends our sending side; closes by RST; closes.

=cut

sub read_until {
    my ($self, $regex, $seconds) = @_;

    my $end = time() + limit($seconds // 10);

    while ($self->{in} !~ $regex) {
        return undef if $self->{eof} || time() > $end;
        $self->fill($end - time());
    }

    return $self->{in};
}


sub wait_closed {
    my ($self, $seconds) = @_;

    my $end = time() + limit($seconds // 10);

    $self->fill($end - time()) while !$self->{eof} && time() < $end;

    return $self->{eof};
}


sub was_reset { return $_[0]{reset} }


sub half_close {
    my ($self) = @_;

    shutdown $self->{socket}, SHUT_WR;
}


sub reset {
    my ($self) = @_;

    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    CORE::close($self->{socket});
    $self->{eof} = 1;
}


sub close {
    my ($self) = @_;

    CORE::close($self->{socket});
    $self->{eof} = 1;
}


=back

=cut

1;
