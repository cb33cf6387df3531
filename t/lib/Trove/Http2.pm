package Trove::Http2;

# An HTTP/2 client with prior knowledge, down to single frames.

use strict;
use warnings;

use Exporter qw/ import /;
use Time::HiRes qw/ time /;

use Trove::Hpack;
use Trove::Http ();
use Trove::Response;
use Trove::Util qw/ limit /;

our @EXPORT = qw/ h2 /;

my ($DATA, $HEADERS, $RST_STREAM, $SETTINGS, $PING, $GOAWAY, $WINDOW_UPDATE,
    $CONTINUATION) = (0, 1, 3, 4, 6, 7, 8, 9);
my ($END_STREAM, $ACK, $END_HEADERS, $PADDED, $PRIORITY) = (1, 1, 4, 8, 32);


=head1 FUNCTIONS

=over

=item h2($port, $conn)

A connection, by default a new one without TLS, on which the preface and the
settings are exchanged.

=back

=head1 METHODS

=over

=item post($path, $body, name => value, ..)

A POST with Content-Length; returns the response.

=item headers($method, $path, headers => [ name => value, .. ], end => 0)

Starts a request with HEADERS, ending it there if told; returns the number of
its stream.  Content-Length is up to the caller: without it the body is of
unknown length.

=item data($stream, $bytes, end => 0)

Sends DATA, as far as the windows allow, waiting for them to open; false when
the peer reset the stream or closed.

=item response($stream, timeout => 10)

Waits for the end of the stream's response.  Its status is 0 where the peer
reset the stream; rst() of a stream and goaway() tell the error codes.

=item rst($stream), goaway()

What the peer sent, undef otherwise.

=item send_rst($stream, $code = 8)

Sends RST_STREAM, by default CANCEL.

=item close(), drop()

Closes the connection; drops it by a TCP reset.

=cut

sub h2 {
    my ($port, $conn) = @_;

    my $self = bless {
        conn => $conn // Trove::Http::conn($port), hpack => Trove::Hpack->new, next => 1,
        streams => {}, window => 65535, initial => 65535,
    }, __PACKAGE__;

    $self->{conn}->send("PRI * HTTP/2.0\x0d\x0a\x0d\x0aSM\x0d\x0a\x0d\x0a");

    # windows that nobody has to refill in a test

    $self->frame($SETTINGS, 0, 0, pack 'nN', 4, 0x7fffffff);
    $self->frame($WINDOW_UPDATE, 0, 0, pack 'N', 0x7fffffff - 65535);

    $self->run(sub { $self->{settled} }) or die "no HTTP/2 on port $port";

    return $self;
}


sub frame {
    my ($self, $type, $flags, $stream, $payload) = @_;

    return $self->{conn}->send(
        substr(pack('N', length $payload), 1)
        . pack('CCN', $type, $flags, $stream) . $payload);
}


sub headers {
    my ($self, $method, $path, %opt) = @_;

    my $id = $self->{next};
    my @pairs = @{ $opt{headers} || [] };
    my @headers = ([':method', $method], [':scheme', 'http'], [':path', $path],
        [':authority', 'localhost']);

    while (my ($name, $value) = splice @pairs, 0, 2) {
        push @headers, [ lc $name, $value ];
    }

    $self->{next} += 2;
    $self->{streams}{$id} = {
        window => $self->{initial}, headers => [], body => '', done => 0,
    };

    my $block = $self->{hpack}->encode(@headers);
    my $type = $HEADERS;
    my $flags = $opt{end} ? $END_STREAM : 0;

    while (length $block > 16384) {
        $self->frame($type, $flags, $id, substr $block, 0, 16384, '');
        ($type, $flags) = ($CONTINUATION, 0);
    }

    $self->frame($type, $flags | $END_HEADERS, $id, $block);

    return $id;
}


sub data {
    my ($self, $id, $bytes, %opt) = @_;

    my $stream = $self->{streams}{$id};
    my $at = 0;

    do {
        my $rest = length($bytes) - $at;

        if ($rest) {
            # An early response ends the stream, and RST_STREAM follows: until
            # then, a window without space means to wait, not to send nothing.

            $self->run(sub {
                defined $stream->{rst}
                || $self->{window} > 0 && $stream->{window} > 0
            }) or return 0;

            return 0 if defined $stream->{rst};
        }

        my ($size) = sort { $a <=> $b } $rest, 16384,
            map { $_ > 0 ? $_ : 0 } $self->{window}, $stream->{window};
        my $last = $at + $size == length $bytes;

        $self->frame($DATA, $last && $opt{end} ? $END_STREAM : 0, $id,
            substr $bytes, $at, $size) or return 0;

        $at += $size;
        $self->{window} -= $size;
        $stream->{window} -= $size;

    } while ($at < length $bytes);

    return 1;
}


sub response {
    my ($self, $id, %opt) = @_;

    my $stream = $self->{streams}{$id};

    $self->run(sub { $stream->{done} }, $opt{timeout});

    my ($status) = map { $_->[1] } grep { $_->[0] eq ':status' }
        @{ $stream->{headers} };

    return Trove::Response->new(
        status => $status // 0,
        headers => [ grep { $_->[0] !~ /^:/ } @{ $stream->{headers} } ],
        body => $stream->{body},
        complete => $stream->{end} ? 1 : 0,
    );
}


sub post {
    my ($self, $path, $body, @headers) = @_;

    my $id = $self->headers('POST', $path,
        headers => [ @headers, 'content-length' => length $body ]);

    $self->data($id, $body, end => 1);

    return $self->response($id);
}


sub rst { return $_[0]{streams}{ $_[1] }{rst} }
sub goaway { return $_[0]{goaway} }


sub send_rst {
    my ($self, $id, $code) = @_;

    return $self->frame($RST_STREAM, 0, $id, pack 'N', $code // 8);
}


sub close {
    my ($self) = @_;

    $self->{conn}->close;
}


sub drop {
    my ($self) = @_;

    $self->{conn}->reset;
}


# takes in frames until the condition holds

sub run {
    my ($self, $condition, $seconds) = @_;

    my $conn = $self->{conn};
    my $end = time() + limit($seconds // 10);

    while (1) {
        $self->take while $self->whole;

        return 1 if $condition->();

        if ($conn->{eof}) {
            $_->{done} = 1 for values %{ $self->{streams} };
            return $condition->();
        }

        return 0 if time() > $end;

        $conn->fill($end - time());
    }
}


sub whole {
    my ($self) = @_;

    my $in = \$self->{conn}{in};

    return length $$in >= 9
        && length $$in >= 9 + unpack 'N', "\0" . substr $$in, 0, 3;
}


sub take {
    my ($self) = @_;

    my $in = \$self->{conn}{in};
    my $length = unpack 'N', "\0" . substr $$in, 0, 3;
    my ($type, $flags, $id) = unpack 'CCN', substr $$in, 3, 6;
    my $payload = substr $$in, 9, $length;

    $$in = substr $$in, 9 + $length;

    my $stream = $self->{streams}{$id} || {};

    if ($type == $HEADERS || $type == $CONTINUATION) {

        if ($type == $HEADERS) {
            $payload = unpad($payload) if $flags & $PADDED;
            $payload = substr $payload, 5 if $flags & $PRIORITY;
            $self->{block} = '';
            $self->{ends} = $flags & $END_STREAM;
        }

        $self->{block} .= $payload;

        if ($flags & $END_HEADERS) {
            push @{ $stream->{headers} },
                $self->{hpack}->decode($self->{block});
            $stream->{end} = $stream->{done} = 1 if $self->{ends};
        }

    } elsif ($type == $DATA) {
        $stream->{body} .= $flags & $PADDED ? unpad($payload) : $payload;
        $stream->{end} = $stream->{done} = 1 if $flags & $END_STREAM;

    } elsif ($type == $RST_STREAM) {
        $stream->{rst} = unpack 'N', $payload;
        $stream->{done} = 1;

    } elsif ($type == $SETTINGS && !($flags & $ACK)) {
        $self->settings($payload);
        $self->frame($SETTINGS, $ACK, 0, '');

    } elsif ($type == $PING && !($flags & $ACK)) {
        $self->frame($PING, $ACK, 0, $payload);

    } elsif ($type == $GOAWAY) {
        $self->{goaway} = unpack 'x4 N', $payload;

    } elsif ($type == $WINDOW_UPDATE) {
        my $more = unpack 'N', $payload;

        if ($id) {
            $stream->{window} += $more;

        } else {
            $self->{window} += $more;
        }
    }
}


sub settings {
    my ($self, $payload) = @_;

    while (length $payload >= 6) {
        my ($name, $value) = unpack 'nN', substr $payload, 0, 6, '';

        next unless $name == 4;

        $_->{window} += $value - $self->{initial}
            for values %{ $self->{streams} };
        $self->{initial} = $value;
    }

    $self->{settled} = 1;
}


sub unpad {
    my ($payload) = @_;

    my $padding = ord $payload;

    return substr $payload, 1, length($payload) - 1 - $padding;
}


=back

=cut

1;
