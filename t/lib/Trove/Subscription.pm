package Trove::Subscription;

# Subscriptions at run time, for tests: a configuration, and the calls.

use strict;
use warnings;

use Digest::SHA qw/ hmac_sha256_hex /;
use Exporter qw/ import /;
use JSON::PP ();

use Trove::Http qw/ build http /;
use Trove::Nginx ();
use Trove::Spool qw/ spool_conf /;
use Trove::Util qw/ spew testdir /;

our @EXPORT = qw/
    subscription_conf hooks_call hooks_create hooks_verify hooks_secrets
/;

my $token = 'a-token-of-some-length';
my $json = JSON::PP->new->canonical->utf8;


=head1 FUNCTIONS

=over

=item subscription_conf(%options)

A configuration for nginx(): the location /events of spool_conf() takes events
for subscriptions, too, which are delivered by the location /deliver.  URLs may
have the addresses 127.0.0.0/8.  The options are those of spool_conf(), and
deliver => directives of /deliver, parameters => parameters of
trove_subscriptions, allow => parameters of trove_subscription_allow, key => the
contents of the key file.

=item hooks_call($nginx, $method, $path, $body)

A call of the API below /trove/v1/workspaces/; the body is a reference, which is
sent as JSON, a string, or undef.  Returns the response.

=item hooks_create($nginx, $url, %members)

Creates a subscription of the workspace "ws-test", or of the member "workspace";
returns what the response says.  Dies unless it is created.

=item hooks_verify($request, $secret)

The number of the "v1" of a request that was made with the secret, from 1; 0 if
there is none.  The request is one of a backend.

=item hooks_secrets($request)

The number of "v1" in a request.

=back

=cut

sub subscription_conf {
    my (%opt) = @_;

    my $key = testdir() . '/subscriptions.key';

    spew($key, $opt{key} // ('0123456789abcdef' x 4) . "\n");
    chmod 0600, $key or die "chmod: $!";

    my $parameters = delete $opt{parameters} // '';
    my $allow = delete $opt{allow} // '127.0.0.0/8';
    my $deliver = delete $opt{deliver} // '';

    $opt{http} = "trove_subscription_key file:$key;\n" . ($opt{http} // '');
    $opt{events} = ($opt{events} // '')
        . "trove_subscriptions /deliver $parameters;\n"
        . "trove_subscription_allow $allow;\n";
    $opt{server} = ($opt{server} // '') . <<"EOC";
        location = /deliver {
            internal;
            resolver 127.0.0.1:9;
            proxy_pass \$trove_subscription_url;
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
            $deliver
        }
EOC

    return spool_conf(%opt, targets => $opt{targets} // []);
}


sub hooks_call {
    my ($nginx, $method, $path, $body) = @_;

    $body = $json->encode($body) if ref $body;
    $body = '' if !defined $body && $method eq 'POST';

    return http($nginx->port(99), build($method, "/trove/v1/workspaces/$path",
        headers => [ Authorization => "Bearer $token" ],
        defined $body ? (body => $body) : ()));
}


sub hooks_create {
    my ($nginx, $url, %members) = @_;

    my $workspace = delete $members{workspace} // 'ws-test';

    my $r = hooks_call($nginx, POST => "$workspace/webhooks", {
        url => $url, events => ['*'], namespace => undef,
        description => undef, %members });

    die 'no subscription: ' . ($r ? $r->status . ' ' . $r->body : 'no response')
        unless $r && $r->status == 201;

    return $r->json;
}


sub signatures {
    my ($request) = @_;

    my ($header) = map { $_->[1] }
        grep { lc $_->[0] eq 'x-trove-signature' } @{ $request->{headers} };

    my ($t) = ($header // '') =~ /(?:^|,)t=(\d+)/;

    return ($t, ($header // '') =~ /(?:^|,)v1=([0-9a-f]{64})/g);
}


sub hooks_verify {
    my ($request, $secret) = @_;

    my ($t, @v1) = signatures($request);

    for my $i (0 .. $#v1) {
        return $i + 1
            if $v1[$i] eq hmac_sha256_hex("$t.$request->{body}", $secret);
    }

    return 0;
}


sub hooks_secrets {
    my ($t, @v1) = signatures($_[0]);

    return scalar @v1;
}


1;
