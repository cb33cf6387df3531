#!/usr/bin/perl

# A "trove_dedup" that is set for a server was in force also for what matches
# no location there.  Of two servers of one name, each with a "try_files" to a
# location of its own, the second one's events were duplicates: never delivered.

use lib 't/lib';
use Trove;
use Trove::Metrics;

my $secret = 'trove-whsec-scope';
my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;
    trove_dedup_zone zone=keys:1m;

    trove_verify on;
    trove_secret trove-whsec-scope;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        trove_dedup zone=events;
        try_files /no-such-file @first;

        location @first {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        trove_dedup zone=events;
        try_files /no-such-file @second;

        if ($http_x_if) {
            set $seen 1;
        }

        location @second {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    # a key is the user's

    server {
        listen 127.0.0.1:%%PORT_2%%;
        trove_dedup zone=keys key=$trove_event_id;
        try_files /no-such-file @third;

        location @third {
            trove_dedup off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;

        location = /metrics {
            trove_metrics;
        }
    }
EOF

sub outcome {
    my ($n, $body, @headers) = @_;

    my $response = post_event($nginx->port($n), '/', $body, secret => $secret,
        headers => \@headers);
    my $json = $response->json || {};

    return $json->{status} || $json->{error} || 'new';
}


for my $headers ([], [ 'X-If' => 1 ]) {
    my $body = event();

    is(outcome($_, $body, @$headers), 'new', "server $_, @$headers") for 0 .. 2;
    is(outcome($_, $body, @$headers), 'duplicate',
        "server $_, @$headers: again") for 0 .. 2;
}

my @servers = metric($nginx, 'trove_location_info', { location => '' }, 3);

is(scalar @servers, 4, 'metrics: the servers');

@servers = metric($nginx, 'trove_location_info',
    { location => '', dedup => 'on' }, 3);
is(scalar @servers, 1, 'metrics: only a key is in force for a server');

$nginx->no_errors;

done_testing();
