#!/usr/bin/perl

# A request that was verified, and took longer than the tolerance until the
# application failed, was stale at the error_page: the fallback never got it.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-slow';
my $backend = backend();
my $fallback = backend(body => "fallback\n");

my $nginx = nginx(<<'EOF')->start;
    trove_verify on;
    trove_tolerance 1s;
    trove_secret trove-whsec-slow;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        error_page 502 = /fallback;
        error_page 500 = /other;

        location / {
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /fallback {
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }

        location = /other {
            trove_secret trove-whsec-other;
            trove_secret trove-whsec-slow;
            proxy_pass http://127.0.0.1:%%BACKEND_1%%;
        }
    }
EOF


# until it is too old for a request that comes now

sub after {
    my (%rule) = @_;

    my $t = time();
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, %rule, gate => $id);

    my $conn = conn($nginx->port);

    $conn->send(event_request('/', $body, secret => $secret, t => $t));
    $backend->wait_count(1, $id);

    wait_until {
        post_event($nginx->port, '/fallback', $body, secret => $secret,
            t => $t)->status == 400
    };

    $backend->open_gate($id);

    return $conn->response;
}

is(after(drop => 'before')->body, "fallback\n", 'where it is known');
is(after(status => 500)->body, "fallback\n", 'where it is verified again');

$nginx->no_errors(qr/event refused, stale/, qr/upstream prematurely closed/);

done_testing();
