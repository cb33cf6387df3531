package Trove::Hpack;

# Header compression of HTTP/2 (RFC 7541): decodes all of it, encodes as
# literals that are never indexed.

use strict;
use warnings;


# the code is canonical: the lengths say it all (RFC 7541, appendix B)

my @LENGTHS = qw/
    13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
    28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
     6 10 10 12 13  6  8 11 10 10  8 11  8  6  6  6
     5  5  5  6  6  6  6  6  6  6  7  8 15  6 12 10
    13  6  7  7  7  7  7  7  7  7  7  7  7  7  7  7
     7  7  7  7  7  7  7  7  8  7  8 13 19 13 14  6
    15  5  6  5  6  5  6  6  6  5  7  7  6  6  6  5
     6  7  6  5  5  6  7  7  7  7  7 15 11 14 13 28
    20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
    24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
    22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
    21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
    26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
    19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
    20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
    26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
    30
/;

my %SYMBOLS;

{
    my ($code, $last) = (0, 0);

    for my $symbol (sort { $LENGTHS[$a] <=> $LENGTHS[$b] || $a <=> $b } 0 .. 256)
    {
        my $length = $LENGTHS[$symbol];

        $code <<= $length - $last;
        $last = $length;
        $SYMBOLS{ sprintf '%0*b', $length, $code++ } = $symbol;
    }
}


# appendix A; entry 1 is the first

my @STATIC = (
    undef,
    [':authority', ''], [':method', 'GET'], [':method', 'POST'],
    [':path', '/'], [':path', '/index.html'], [':scheme', 'http'],
    [':scheme', 'https'],
    (map { [':status', $_] } qw/ 200 204 206 304 400 404 500 /),
    ['accept-charset', ''], ['accept-encoding', 'gzip, deflate'],
    map { [$_, ''] } qw/
        accept-language accept-ranges accept access-control-allow-origin age
        allow authorization cache-control content-disposition content-encoding
        content-language content-length content-location content-range
        content-type cookie date etag expect expires from host if-match
        if-modified-since if-none-match if-range if-unmodified-since
        last-modified link location max-forwards proxy-authenticate
        proxy-authorization range referer refresh retry-after server set-cookie
        strict-transport-security transfer-encoding user-agent vary via
        www-authenticate
    /
);


=head1 METHODS

=over

=item new()

A decoder: it keeps the dynamic table of a connection.

=item decode($block)

The headers as a list of [ name, value ].

=item encode([ name, value ], ..)

A header block.

=cut

sub new {
    my ($class) = @_;

    return bless { dynamic => [] }, $class;
}


sub decode {
    my ($self, $block) = @_;

    my @headers;
    my $at = 0;

    while ($at < length $block) {
        my $byte = ord substr $block, $at, 1;

        if ($byte & 0x80) {
            push @headers, $self->entry(integer(\$block, \$at, 7));
            next;
        }

        if (($byte & 0xe0) == 0x20) {
            integer(\$block, \$at, 5);
            next;
        }

        my $indexed = $byte & 0x40;
        my $index = integer(\$block, \$at, $indexed ? 6 : 4);
        my $name = $index ? $self->entry($index)->[0] : text(\$block, \$at);
        my $header = [ $name, text(\$block, \$at) ];

        unshift @{ $self->{dynamic} }, $header if $indexed;
        push @headers, $header;
    }

    return @headers;
}


sub entry {
    my ($self, $index) = @_;

    my $entry = $index < @STATIC ? $STATIC[$index]
                                 : $self->{dynamic}[$index - @STATIC];

    return $entry || die "no header table entry $index";
}


sub integer {
    my ($block, $at, $bits) = @_;

    my $max = (1 << $bits) - 1;
    my $value = ord(substr $$block, $$at++, 1) & $max;

    return $value if $value < $max;

    for (my $shift = 0; ; $shift += 7) {
        my $byte = ord substr $$block, $$at++, 1;

        $value += ($byte & 0x7f) << $shift;

        return $value unless $byte & 0x80;
    }
}


sub text {
    my ($block, $at) = @_;

    my $huffman = ord(substr $$block, $$at, 1) & 0x80;
    my $length = integer($block, $at, 7);
    my $bytes = substr $$block, $$at, $length;

    $$at += $length;

    return $huffman ? unhuffman($bytes) : $bytes;
}


sub unhuffman {
    my ($bytes) = @_;

    my ($text, $code) = ('', '');

    for my $bit (split //, unpack 'B*', $bytes) {
        $code .= $bit;

        next unless exists $SYMBOLS{$code};

        $text .= chr $SYMBOLS{$code};
        $code = '';
    }

    return $text;
}


sub encode {
    my ($self, @headers) = @_;

    return join '', map { "\x10" . string($_->[0]) . string($_->[1]) } @headers;
}


sub string {
    my ($text) = @_;

    my $length = length $text;

    return chr($length) . $text if $length < 127;

    my $bytes = chr 127;

    for ($length -= 127; $length > 127; $length >>= 7) {
        $bytes .= chr(($length & 0x7f) | 0x80);
    }

    return $bytes . chr($length) . $text;
}


=back

=cut

1;
