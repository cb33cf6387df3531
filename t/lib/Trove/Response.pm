package Trove::Response;

# A response, of HTTP/1 or HTTP/2.

use strict;
use warnings;

use JSON::PP ();


=head1 METHODS

=over

=item status(), reason(), body(), complete()

complete() is false where the connection closed before the announced end.

=item header($name), headers()

All values of a header joined by ", ", undef when absent; all as pairs.

=item json()

The body, decoded; undef where it is not JSON.

=item interim()

Whether it is a 1xx.

=cut

sub new {
    my ($class, %fields) = @_;

    return bless { headers => [], body => '', complete => 1, %fields }, $class;
}


sub status { return $_[0]{status} }
sub reason { return $_[0]{reason} }
sub body { return $_[0]{body} }
sub complete { return $_[0]{complete} }
sub headers { return @{ $_[0]{headers} } }
sub interim { return $_[0]{status} < 200 }


sub header {
    my ($self, $name) = @_;

    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
        @{ $self->{headers} };

    return @values ? join(', ', @values) : undef;
}


sub json {
    my ($self) = @_;

    return eval { JSON::PP->new->utf8->decode($self->{body}) };
}


=item targets()

What a fan-out says of its targets: "NAME=STATUS", then "skipped" and what went
wrong, joined by blanks; undef where the body is no answer of a fan-out.

=cut

sub targets {
    my ($self) = @_;

    my $json = $self->json;

    return undef unless ref $json eq 'HASH' && $json->{targets};

    return join ' ', map {
        join ' ', "$_->{name}=$_->{status}", $_->{skipped} ? 'skipped' : (),
            $_->{error} // ()
    } @{ $json->{targets} };
}


=item parse(\$bytes, eof => 0, head => 0)

Takes one response off the front of the bytes; undef where it is not there
as a whole yet.

=cut

sub parse {
    my ($class, $bytes, %opt) = @_;

    $$bytes =~ /^(.*?)\x0d?\x0a\x0d?\x0a/s or return undef;

    my ($head, $start) = ($1, $+[0]);
    my ($line, @lines) = split /\x0d?\x0a/, $head;
    my ($status, $reason) = $line =~ m{^HTTP/1\.\d (\d{3}) ?(.*)$}
        or return $class->new(status => 0, reason => 'not HTTP',
            body => substr($$bytes, 0, length $$bytes, ''));

    my $self = $class->new(status => $status, reason => $reason, headers =>
        [ map { [ /^([^:]*):\s*(.*?)\s*$/ ] } @lines ]);

    my $rest = substr $$bytes, $start;
    my $used;

    if ($status < 200 || $status == 204 || $status == 304 || $opt{head}) {
        $used = 0;

    } elsif (lc($self->header('Transfer-Encoding') // '') eq 'chunked') {
        ($self->{body}, $used) = dechunk($rest);

    } elsif (defined(my $length = $self->header('Content-Length'))) {
        $used = $length if length $rest >= $length;
        $self->{body} = substr $rest, 0, $length;

    } else {
        $used = length $rest if $opt{eof};
        $self->{body} = $rest;
    }

    if (!defined $used) {
        return undef unless $opt{eof};

        $self->{complete} = 0;
        $used = length $rest;
    }

    $$bytes = substr $rest, $used;

    return $self;
}


sub dechunk {
    my ($rest) = @_;

    my $body = '';

    pos($rest) = 0;

    while ($rest =~ /\G([0-9a-f]+)[^\x0a]*\x0a/gci) {
        my $size = hex $1;

        if ($size == 0) {
            return $rest =~ /\G(?:[^\x0d\x0a]+\x0d\x0a)*\x0d\x0a/gc
                ? ($body, pos $rest) : ($body, undef);
        }

        my $at = pos $rest;

        return ($body, undef) if length $rest < $at + $size + 2;

        $body .= substr $rest, $at, $size;
        pos($rest) = $at + $size + 2;
    }

    return ($body, undef);
}


=back

=cut

1;
