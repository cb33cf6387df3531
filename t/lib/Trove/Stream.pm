package Trove::Stream;

# A reader of the stream of events, like "trove webhooks listen", for tests.

use strict;
use warnings;

use Encode qw/ decode /;
use Exporter qw/ import /;
use JSON::PP ();

use Trove::Http qw/ build conn /;
use Trove::Nginx ();
use Trove::Util qw/ wait_until /;

our @EXPORT = qw/ stream /;

my $json = JSON::PP->new;


=head1 FUNCTIONS

=over

=item stream($nginx, $query, %options)

Opens a stream of the workspace "ws-test" by the API of Trove::Api; $query are
its arguments, or undef.  Options: those of build(), workspace => 'ws-test',
token => of the client, port => 99, conn => a connection, base => '/trove',
method => 'GET', open => 0: does not wait until it is open.

=back

=head1 METHODS

=over

=item status(), headers()

Of the response; undef if there is none.

=item events($n, $seconds = 10)

Waits for $n events in all, and returns those that came so far, as
{ number, data, line }; data is decoded.

=item ids($n, $seconds)

Of these the member "id".

=item comments()

The number of comments so far.

=item ended($seconds = 10)

Whether the response ends as it has to, in time.

=item connection()

The connection, of Trove::Http.

=back

=cut

sub stream {
    my ($nginx, $query, %opt) = @_;

    my $workspace = delete $opt{workspace} // 'ws-test';
    my $token = delete $opt{token} // 'a-token-of-some-length';
    my $port = delete $opt{port} // 99;
    my $conn = delete $opt{conn} // conn($nginx->port($port));
    my $base = delete $opt{base} // '/trove';
    my $open = delete $opt{open} // 1;
    my $method = delete $opt{method} // 'GET';

    my $self = bless { conn => $conn, rest => '', events => [], comments => 0,
        connected => 0 }, __PACKAGE__;

    $self->{conn}->send(build($method,
        "$base/v1/workspaces/$workspace/webhooks/stream"
            . (defined $query ? "?$query" : ''), %opt,
        headers => [ Authorization => "Bearer $token",
            @{ $opt{headers} || [] } ]));

    if ($open) {
        $self->wait_for(sub { $self->{connected} }, 10);
        die 'the stream is not open: ' . ($self->{conn}{in} // '')
            unless $self->{connected};
    }

    return $self;
}


sub connection { return $_[0]{conn} }


# what has come; dies where it is not as it has to be

sub take {
    my ($self, $wait) = @_;

    my $conn = $self->{conn};

    $conn->fill($wait);

    if (!$self->{head}) {
        $conn->{in} =~ s/^(HTTP.*?\x0d\x0a)\x0d\x0a//s or return;
        $self->{head} = $1;
        $self->{chunked} = $self->{head} =~ /^Transfer-Encoding: chunked/mi;
    }

    return if $self->status != 200;

    if (!$self->{chunked}) {
        $self->{rest} .= $conn->{in};
        $conn->{in} = '';
    }

    while ($self->{chunked} && $conn->{in} =~ /^([0-9a-f]+)\x0d\x0a/i) {
        my ($start, $size) = ($+[0], hex $1);

        last if length $conn->{in} < $start + $size + 2;

        $self->{last} = 1 if $size == 0;
        $self->{rest} .= substr $conn->{in}, $start, $size;
        substr $conn->{in}, 0, $start + $size + 2, '';
    }

    $self->block($1) while $self->{rest} =~ s/^(.*?\n)\n//s;
}


sub block {
    my ($self, $block) = @_;

    # as Python divides text into lines

    my $text = decode('UTF-8', $block, Encode::FB_CROAK);
    my @lines = split
        /\x0d\x0a|[\x0a-\x0d\x1c-\x1e\x{85}\x{2028}\x{2029}]/, $text;

    if ($text =~ /^:/) {
        die "no comment: $text" if @lines != 1;
        $self->{comments}++;
        return;
    }

    if (!$self->{connected}) {
        die "not connected: $text" if $text ne qq{data: {"type":"connected"}\n};
        $self->{connected} = 1;
        return;
    }

    die "no event: $text" unless @lines == 2 && $lines[0] =~ /^id: (\d+)\z/;
    my $number = $1;

    $lines[1] =~ s/^data: // or die "no data: $text";

    my $data = $json->decode($lines[1]);
    die "no object: $text" if ref $data ne 'HASH';

    my $last = $self->{events}[-1];
    die "$number after $last->{number}" if $last && $last->{number} >= $number;

    push @{ $self->{events} },
        { number => $number, data => $data, line => $lines[1] };
}


sub wait_for {
    my ($self, $test, $seconds) = @_;

    return wait_until {
        $self->take(0.02);
        $test->() || $self->{conn}{eof};
    } $seconds // 10;
}


sub status {
    my ($self) = @_;

    $self->wait_for(sub { $self->{head} }) unless $self->{head};

    return $self->{head} && $self->{head} =~ m{^HTTP/1\.\d (\d+)} ? $1 : undef;
}


sub headers {
    my ($self) = @_;

    $self->status;

    return { map { lc } ($self->{head} // '') =~ /^([\w-]+): (.*?)\x0d$/mg };
}


sub events {
    my ($self, $n, $seconds) = @_;

    $self->wait_for(sub { @{ $self->{events} } >= $n }, $seconds);

    return @{ $self->{events} };
}


sub ids {
    my ($self, $n, $seconds) = @_;

    return [ map { $_->{data}{id} } $self->events($n, $seconds) ];
}


sub comments { return $_[0]{comments} }


sub ended {
    my ($self, $seconds) = @_;

    $self->wait_for(sub { $self->{last} }, $seconds);

    return $self->{last} || (!$self->{chunked} && $self->{conn}{eof});
}


1;
