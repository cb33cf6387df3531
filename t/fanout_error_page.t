#!/usr/bin/perl

# An error_page that is meant for pages of the site, "502 =200", made 200 of a
# failed fan-out: the sender did not send the event again, and it was lost.

use lib 't/lib';
use Trove;

my $backend = backend();
my $down = 'http://127.0.0.1:%%PORT_90%%';

sub place {
    my ($uri, $page) = @_;

    return "location = $uri { $page trove_dedup zone=events;"
        . ' trove_fanout /a; }';
}

my %pages = (
    inherited => '',
    forced => 'error_page 502 =204 /sorry;',
    named => 'error_page 502 = @sorry;',
    internal => 'recursive_error_pages on; error_page 502 = /sorry;',
    away => 'error_page 502 =200 http://127.0.0.1/;',
);

my %kept = (
    keeps => 'error_page 502 /sorry;',
    other => 'error_page 502 =503 @sorry;',
);

my $places = join "\n    ",
    map { place("/$_", $pages{$_} // $kept{$_}) } sort keys %pages, keys %kept;

my $nginx = nginx(<<"EOC")->start;
    trove_dedup_zone zone=events:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        error_page 500 502 503 504 =200 /sorry;

        $places

        location = /a {
            internal;
            proxy_pass $down;
        }

        location = /sorry {
            trove_verify off;
            return 200 "sorry\\n";
        }

        location \@sorry {
            return 200 "sorry\\n";
        }
    }
EOC

for my $place (sort keys %pages, keys %kept) {
    my $body = event('file.written', id => my $id = new_id());

    for my $attempt (1, 2) {
        my $r = post_event($nginx->port, "/$place", $body);
        my $status = $place eq 'other' ? 503 : 502;

        is($r->status, $status, "$place, attempt $attempt: $status");

        if ($kept{$place}) {
            is($r->body, "sorry\n", "$place, attempt $attempt: the page");

        } else {
            unlike($r->body, qr/sorry|targets/,
                "$place, attempt $attempt: NGINX's own page");
        }
    }
}

done_testing();
