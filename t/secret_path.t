#!/usr/bin/perl

# A path without "file:" was taken for the secret itself: one that anybody can
# guess, and beside a good one nobody would notice.

use lib 't/lib';
use Trove;

sub conf {
    my ($secret) = @_;

    return <<EOF;
    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            trove_secret trove-whsec-good;
            trove_secret $secret;
        }
    }
EOF
}

for my $secret (qw{ /etc/nginx/trove.secret "/secret" /$host }) {
    my ($code, $text) = nginx_t(conf($secret));

    isnt($code, 0, "$secret is an error");
    like($text, qr/"trove_secret" is a path, use "trove_secret file:PATH"/,
        "$secret: the remedy");
    unlike($text, qr/\Q$secret\E.* is a path/, "$secret: is not shown");
}

for my $secret (qw{ file:secrets a/secret }) {
    my ($code, $text) = nginx_t(conf($secret),
        files => { 'secrets' => "/secret\n", 'conf/secrets' => "/secret\n" });

    is($code, 0, "$secret is one") or diag $text;
}

done_testing();
