#!/usr/bin/perl

# Tenants with secrets of their own were duplicates of each other where $uri
# did not tell them apart: behind a "rewrite ... break", or where the secret
# was chosen by anything else of the request.  The later one's event was lost.
#
# The path is not signed: with its own secret one tenant could have an event
# passed to the application with the path of another.  The configurations for
# tenants in the documentation do not allow that.

use lib 't/lib';
use Trove;

use Trove::Docs;

my $backend = backend();
my $documented = 0;

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


# ways to write a path that NGINX may take for that of acme, or the application
# for that of globex

my @paths = map { my $path = $_; map { $path =~ s/\.\./$_/r }
        '..', '%2e%2e', '%2E.', '..;', '..%3b' } (
    '/trove-events/globex/../acme', '/trove-events/globex/../acme/',
    '/trove-events/globex/../../trove-events/acme',
    '/trove-events/globex%2f..%2facme', '/trove-events/globex/..%2Facme',
    '/trove-events/globex%2F../acme', '/trove-events/globex//../acme',
    '//trove-events/globex/../acme',
    'http://localhost/trove-events/globex/../acme',
);

push @paths, map { ("/trove-events/acme$_", "/trove-events$_/acme") }
    '/', '/.', '//', '%2f', ';', ';/globex', '/;/globex', '/;globex', '%3b',
    '?/globex', '?tenant=globex', '%3f', '#globex', '%23globex', '%0a', '%20',
    '/../globex', '/..%2fglobex', '%2f../globex', '/..;/globex';

push @paths, '//trove-events/acme', '/./trove-events/acme',
    '/%74rove-events/acme', '/trove-events/%61cme', '/trove-events/ACME',
    '/TROVE-events/acme', 'http://localhost//trove-events/acme',
    'http://globex/trove-events/acme', '/trove-events/globex',
    '/trove-events/acme%2f..%2fglobex', '/trove-events/acme%00',
    '/trove-events/';

for my $block (grep { $_->{conf} =~ m{/acme\b} && $_->{conf} =~ /trove_secret/ }
    grep { $_->{where} eq 'http' } doc_blocks('docs/directives.md'))
{
    my ($conf, %opt) = doc_conf($block);
    my $at = "directives.md:$block->{line}";

    next if $conf =~ /trove_fanout/;

    $documented++;
    $conf =~ s/127\.0\.0\.1:8000/127.0.0.1:%%BACKEND%%/g;

    my $mapped = $conf =~ /\bacme\s+(trove-whsec-\w+);/ ? $1 : undef;
    my $secret = $mapped // doc_secret('acme');
    my $gate = nginx($conf, %opt)->start;

    my $deliver = sub {
        my ($path, $body) = @_;

        $backend->forget;

        my $status = post_event($gate->port, $path, $body, secret => $secret,
            headers => [ 'X-Tenant' => 'globex' ])->status;

        return ($status, $backend->requests);
    };

    my $seen = event();
    my ($status, @got) = $deliver->('/trove-events/acme', $seen);

    is($status, 200, "$at: an event of acme");
    is(@got, 1, "$at: reaches the application");

    for my $path (@paths) {
        my $name = "$at: " . $path =~ s/[^ -~]/?/gr;

        ($status, @got) = $deliver->($path, event());

        my @wrong = grep { $_->{uri} !~ m{^/trove-events/acme(?:\?|\z)}
            || $mapped && ($_->{uri} =~ /\?/
                || $backend->header($_, 'X-Tenant') ne 'acme') } @got;

        is_deeply([ map { $_->{uri} } @wrong ], [],
            "$name: gets to the application as acme's, if at all");
        is($status == 200, @got == 1, "$name: or is refused") or diag($status);

        # what was captured is known by whichever path it comes

        ($status, @got) = $deliver->($path, $seen);
        is(@got, 0, "$name: no repeat gets there");
    }

    $gate->no_errors(qr/event\ refused,\ (?:mismatch|no_secret|missing)
        |client\ sent|is\ not\ found|open\(\)/x);
}

cmp_ok($documented, '>=', 3, 'there are such configurations');

done_testing();
