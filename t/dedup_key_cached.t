#!/usr/bin/perl

# A "key=" by way of a "map" that is not volatile: what it has cached before the
# event was known is the same for all events, of which all but the first were
# answered "duplicate", and lost.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-key-cached';

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF)->start;
    trove_dedup_zone zone=events:1m;
    trove_secret $secret;
    proxy_set_header X-Dedup \$trove_dedup;

    map \$trove_event_id \$named {
        default \$trove_event_id;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /set {
            trove_verify on;
            set \$early \$named;
            trove_dedup zone=events key=set:\$named;
            $pass
        }

        location = /set_id {
            trove_verify on;
            set \$early \$named;
            trove_dedup zone=events key=set_id:\$named:\$trove_event_id;
            $pass
        }

        location = /cached {
            trove_verify on;
            trove_dedup zone=events key=cached:\$named;
            $pass
        }

        location = /off {
            trove_verify off;
            trove_dedup zone=events key=off:\$named;
            error_page 502 = /page;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }

        location = /page {
            trove_verify off;
            trove_dedup zone=events key=page:\$named;
            $pass
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        set \$early \$named;

        location = /server {
            trove_verify on;
            trove_dedup zone=events key=server:\$named;
            $pass
        }
    }
EOF


sub reaches {
    my ($port, $uri, $body, $name) = @_;

    my $before = $backend->count;

    is(post_event($port, $uri, $body, secret => $secret)->status, 200,
        "$name: 200");
    is($backend->count, $before + 1, "$name: by the application");
}


for ([0, '/set'], [0, '/set_id'], [1, '/server'], [0, '/cached']) {
    my ($port, $uri) = ($nginx->port($_->[0]), $_->[1]);

    reaches($port, $uri, event('file.written', id => new_id()), "$uri, $_")
        for 1, 2;
}

reaches($nginx->port, '/off', "no event $_", "an error_page, $_") for 1, 2;


# what could be told apart is deduplicated as before

for my $uri (qw{ /set_id /cached }) {
    my $body = event('file.written', id => new_id());

    reaches($nginx->port, $uri, $body, "$uri, an event");
    like(post_event($nginx->port, $uri, $body, secret => $secret)->body,
        qr/"duplicate"/, "$uri, the same one");
}


done_testing;
