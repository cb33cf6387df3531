#!/usr/bin/perl

# Tenants with secrets of their own were duplicates of each other where $uri
# did not tell them apart: behind a "rewrite ... break", or where the secret
# was chosen by anything else of the request.  The later one's event was lost.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;

    map $tenant $tenant_secret {
        acme  trove-whsec-acme;
        evil  trove-whsec-evil;
    }

    map $tenant $more_secret {
        evil  trove-whsec-acme;
    }

    map $http_x_tenant $header_secret {
        acme  trove-whsec-acme;
        evil  trove-whsec-evil;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;

        trove_verify on;
        trove_dedup zone=events;

        location ~ ^/rewritten/(?<tenant>\w+) {
            trove_secret $tenant_secret;
            rewrite ^ /events break;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location ~ ^/both/(?<tenant>\w+) {
            trove_secret trove-whsec-all;
            trove_secret $tenant_secret;
            trove_secret $more_secret;
            rewrite ^ /events break;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /header {
            trove_secret $header_secret;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

sub outcome {
    my ($uri, $tenant, $body, $secret) = @_;

    my $response = post_event($nginx->port, $uri, $body,
        secret => $secret // "trove-whsec-$tenant",
        headers => [ 'X-Tenant' => $tenant ]);
    my $json = $response->json || {};

    return $json->{status} || $json->{error} || 'new';
}


for my $uri (qw{ /rewritten/ /both/ /header }) {
    my $body = event();
    my ($acme, $evil) = map { $uri =~ m{/$} ? $uri . $_ : $uri }
        qw/ acme evil /;

    is(outcome($evil, evil => $body), 'new', "$uri: one tenant");
    is(outcome($acme, acme => $body), 'new', "$uri: another, by the same id");
    is(outcome($evil, evil => $body), 'duplicate', "$uri: the one again");
    is(outcome($acme, acme => $body), 'duplicate', "$uri: the other again");
    is(outcome($acme, acme => $body, 'trove-whsec-evil'), 'mismatch',
        "$uri: not by the secret of the other");
}


# not even by a secret that is good for both

{
    my $body = event();

    for my $secret (qw/ trove-whsec-all trove-whsec-acme /) {
        my $body = event();

        is(outcome('/both/evil', evil => $body, $secret), 'new',
            "$secret: one tenant");
        is(outcome('/both/acme', acme => $body, $secret), 'new',
            "$secret: another");
        is(outcome('/both/acme', acme => $body), 'duplicate',
            "$secret: whatever secret it is signed with");
    }
}


$nginx->no_errors(qr/event refused, mismatch/);

done_testing();
