#!/usr/bin/perl

# A key of an event variable that was read before there was an event: the cache
# of a "map", or a "set", holds the same for all events.  All but the first were
# answered as duplicates, and lost.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-early';
my $backend = backend();
my $nginx = nginx(<<"EOF")->start;
    trove_dedup_zone zone=events:1m;
    trove_secret $secret;

    map \$trove_event_id \$cached {
        default k:\$trove_event_id;
    }

    map \$trove_event_id \$fresh {
        volatile;
        default f:\$trove_event_id;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /unverified {
            trove_verify off;
            trove_dedup zone=events key=v:\$trove_verify\$trove_secret_number;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;

        # nothing verifies here yet: no error says that it is too early

        if (\$cached = none) {
            return 403;
        }

        set \$copied \$trove_event_id;

        location / {
            trove_verify on;

            location = /map {
                trove_dedup zone=events key=\$cached;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /set {
                trove_dedup zone=events key=s:\$copied;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /id {
                trove_dedup zone=events key=\$cached:\$trove_event_id;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location = /fresh {
                trove_dedup zone=events key=\$fresh;
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }
        }
    }
EOF

for my $uri (qw{ /map /set /id /fresh }) {

    for (1 .. 2) {
        my $body = event();

        is(post_event($nginx->port, $uri, $body, secret => $secret)->body,
            qq({"ok":true}\n), "$uri: event $_ reaches the application");

        next if $uri =~ m{^/(?:map|set)$};

        like(post_event($nginx->port, $uri, $body, secret => $secret)->body,
            qr/^\{"status":"duplicate"/, "$uri: once");
    }

    is($backend->count($uri), 2, "$uri: both");
}

# where nobody verifies, what is known of a signature is empty for all events

for (1 .. 2) {
    is(post_event($nginx->port(1), '/unverified', event(),
            secret => $secret)->body,
        qq({"ok":true}\n), "of no signature: event $_ reaches it");
}

done_testing();
