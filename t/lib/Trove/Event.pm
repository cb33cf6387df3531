package Trove::Event;

# Events as TroveFiles sends them.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Digest::SHA qw/ hmac_sha256_hex /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use JSON::PP ();

use Trove::Http qw/ build http request /;
use Trove::Util qw/ slurp /;

our @EXPORT = qw/
    sign signature new_id event raw_event raw_event_types vectors
    event_request post_event sized_event dedup_outcome
/;

my $data = abs_path(dirname(__FILE__) . '/../../data');
my $json = JSON::PP->new->canonical;
my $serial = 0;


=head1 FUNCTIONS

=over

=item sign($secret, $body, $t = now)

The value of X-Trove-Signature.

=item signature($secret, $body, $t)

Only the hexadecimal MAC.

=cut

sub signature {
    my ($secret, $body, $t) = @_;

    return hmac_sha256_hex("$t.$body", $secret);
}


sub sign {
    my ($secret, $body, $t) = @_;

    $t //= time();

    return "t=$t,v1=" . signature($secret, $body, $t);
}


=item new_id()

An event id that no other call, in any process, has returned.

=item event($type = 'file.written', %over)

The JSON of an event with a new id.  Each pair of %over sets a member; an undef
is null; "data" is { } in full, and with type => etc. anything can be
made wrong.  remove => [ names ] leaves members out.

=cut

sub new_id {
    return sprintf 'evt-%x%05x%06x', time(), $$, $serial++;
}


my %DATA = (
    'file.written' => {
        path => '/reports/q1.pdf', size_bytes => 1024, source => 'exec',
    },
    'file.deleted' => { path => '/tmp/old.txt' },
    'exec.completed' => {
        command => 'make', exit_code => 0, duration_ms => 12, stdout => "ok\n",
        stderr => '',
    },
    'webhook.test' => { message => 'hello' },
);


sub event {
    my ($type, %over) = @_;

    $type //= 'file.written';

    my $remove = delete $over{remove} || [];
    my %event = (
        id => new_id(),
        type => $type,
        api_version => '2026-04-30',
        workspace_id => 'ws-test',
        namespace => 'customer-acme',
        created_at => '2026-05-01T12:00:00Z',
        data => $DATA{$type} || {},
        %over,
    );

    delete @event{@$remove};

    return $json->utf8->encode(\%event);
}


=item raw_event($type), raw_event_types()

A real body of t/data/events, byte for byte; the types there are.

=item vectors()

t/data/signature-vectors.json, decoded.

=cut

sub raw_event {
    my ($type) = @_;

    my $body = slurp("$data/events/$type.json");
    length $body or die "no event body of type $type";

    return $body;
}


sub raw_event_types {
    return sort map { m{([^/]+)\.json$} } glob "$data/events/*.json";
}


sub vectors {
    return JSON::PP->new->utf8->decode(
        slurp("$data/signature-vectors.json"));
}


=item event_request($uri, $body, secret => $secret, t => now, headers => [],
chunked => $size)

The bytes of a POST of an event as the real sender makes it: Content-Type,
X-Trove-Event, X-Trove-Event-Id and, where there is a secret, the
signature.

=item post_event($port, $uri, $body, %the_same)

Sends it on a new connection; returns the response.

=item sized_event($size)

An event of exactly so many bytes.

=item dedup_outcome($response)

The outcome of deduplication by a response of a default backend or of the
module: new, duplicate, inflight or another error, a status, or none.

=cut

sub event_request {
    my ($uri, $body, %opt) = @_;

    my ($id) = $body =~ /"id"\s*:\s*"([^"\\[:cntrl:]]*)"/;
    my ($type) = $body =~ /"type"\s*:\s*"([^"\\[:cntrl:]]*)"/;

    my @headers = ('Content-Type' => 'application/json');
    push @headers, 'X-Trove-Event' => $type if defined $type;
    push @headers, 'X-Trove-Event-Id' => $id if defined $id;
    push @headers, 'X-Trove-Signature' => sign($opt{secret}, $body, $opt{t})
        if defined $opt{secret};

    my $method = delete $opt{method} // 'POST';

    return build($method, $uri, %opt, body => $body,
        headers => [ @headers, @{ $opt{headers} || [] } ]);
}


sub sized_event {
    my ($size) = @_;

    my $body = event('file.written', data => { pad => '' });
    my $pad = 'x' x ($size - length $body);

    return $body =~ s/"pad":"/"pad":"$pad/r;
}


sub dedup_outcome {
    my ($response) = @_;

    return 'none' unless $response;
    return 'new' if $response->body eq qq/{"ok":true}\n/;

    my $json = $response->json || {};

    return $json->{status} || $json->{error} || $response->status;
}


sub post_event {
    my ($port, $uri, $body, %opt) = @_;

    return http($port, event_request($uri, $body, %opt));
}


=back

=cut

1;
