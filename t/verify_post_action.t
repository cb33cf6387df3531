#!/usr/bin/perl

# post_action: a request goes on after its answer, when its body, or the file
# that it was in, is gone.  A verified location logged an alert then.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-post-action';

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF)->start;
    trove_dedup_zone zone=events:1m;
    trove_spool %%TESTDIR%%/temp/trove.spool;
    trove_secret $secret;
    client_body_buffer_size 1k;
    proxy_set_header X-Dedup \$trove_dedup;

    log_format verdict '\$uri \$trove_verify';
    access_log logs/access.log;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        trove_verify off;
        access_log %%TESTDIR%%/logs/verdict.log verdict;

        # from where nothing is verified

        location /off/ {
            location = /off/gate { post_action /gate; $pass }
            location = /off/named { post_action \@gate; $pass }
            location = /off/log { post_action /log; $pass }
            location = /off/dedup { post_action /dedup; $pass }
            location = /off/fan { post_action /fan; $pass }
            location = /off/spool { post_action /spool; $pass }
        }

        # and where the body has not even been read

        location /return/ {
            location = /return/gate { post_action /gate; return 200; }
            location = /return/named { post_action \@gate; return 200; }
            location /return/line { post_action \@plain; return 200; }
            location = /return/fan { post_action /fan; return 200; }
            location = /return/spool { post_action /spool; return 200; }
        }

        location /on/ {
            trove_verify on;

            location = /on/gate { post_action /gate; $pass }
            location = /on/named { post_action \@gate; $pass }
            location = /on/log { post_action /log; $pass }
            location = /on/dedup { post_action /dedup; $pass }
            location = /on/fan { post_action /fan_on; $pass }
            location = /on/spool { post_action /spool_on; $pass }
            location = /on/other { post_action /other; $pass }
        }

        location = /gate { trove_verify on; $pass }
        location \@gate {
            trove_verify on;
            rewrite ^ /named break;
            $pass
        }
        location \@plain { trove_verify on; $pass }
        location = /log { trove_verify log; $pass }
        location = /other { trove_verify on; trove_secret other; $pass }
        location = /dedup { trove_dedup zone=events; $pass }
        location = /fan { trove_fanout /target; }
        location = /fan_on { trove_verify on; trove_fanout /target; }
        location = /spool { trove_fanout_mode spool; trove_fanout /target; }
        location = /spool_on {
            trove_verify on;
            trove_fanout_mode spool;
            trove_fanout /target;
        }
        location = /target { internal; $pass }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        location = /status { trove_verify off; stub_status; }
    }
EOF

my $port = $nginx->port;
my $refused = qr/\[error\] .* trove: post_action "\S+" refused: .*; set it in /;
my $gone = qr/\[error\] .* trove: the request body is no longer available in /;

# where each leads to

my %to = (gate => '/gate', named => '/named', log => '/log', dedup => '/dedup',
    fan => '/target', spool => '/target', other => '/other');


sub outcome {
    my ($uri, $body, %opt) = @_;

    my ($name) = $uri =~ m{([^/]+)$};

    $backend->forget;
    $nginx->mark;

    my $status;

    if ($opt{h2}) {
        my $h2 = h2($nginx->port(1));
        $status = $h2->post($uri, $body, 'x-trove-signature' =>
            sign($opt{secret}, $body))->status;
        $h2->close;

    } else {
        $status = post_event($port, $uri, $body, %opt)->status;
    }

    $backend->wait_count(1, $to{$name}) if $opt{calls};
    wait_until { stub_status($nginx->port(2))->{active} == 1 }
        or diag("$uri: still open");

    return $status . ' ' . $backend->count($to{$name});
}

# a URI, decoded, may have a line end

$nginx->mark;
is(post_event($port, '/return/line%0aforged', event())->status, 200,
    'a URI with a line end');
$nginx->wait_log($refused);
is(scalar(() = $nginx->log_lines(qr/^forged/)), 0,
    'makes no line of the log');


# in memory, and not

my @bodies = (event(), event('file.written', data => { pad => 'x' x 30000 }));

for my $body (@bodies) {

    for my $opt ([ secret => 'x' ], [ secret => $secret ],
        [ secret => $secret, chunked => 100 ], [ secret => $secret, h2 => 1 ])
    {
        my $name = length($body) . " bytes, @$opt";

        for my $from (qw/ off return /) {

            for my $to (qw/ gate named /) {
                is(outcome("/$from/$to", $body, @$opt), '200 0',
                    "$from, $to: refused, $name");
                is($nginx->log_lines($refused), 1, "$from, $to: an error");
            }

            for my $to (qw/ fan spool /) {
                is(outcome("/$from/$to", $body, @$opt), '200 0',
                    "$from, $to: refused, $name");
                is($nginx->log_lines($gone), 1, "$from, $to: an error");
            }

            # of the others NGINX itself has no body to send any more

            next if $from eq 'return' || length $body > 1000;

            is(outcome("/$from/log", $body, @$opt, calls => 1), '200 1',
                "$from, log: passes, $name");
            is($nginx->log_lines($refused), 1, "$from, log: an error");

            is(outcome("/$from/dedup", $body, @$opt, calls => 1), '200 1',
                "$from, dedup: passes, $name");
            is($backend->header($backend->last, 'X-Dedup') // '', '',
                "$from, dedup: without deduplication");
        }

        next if $opt->[1] eq 'x';

        # what was verified before it was answered

        for my $to (qw/ gate named log dedup fan spool /) {
            my $fresh = event('file.written', data =>
                { pad => length $body > 20000 ? 'x' x 30000 : '' });

            is(outcome("/on/$to", $fresh, @$opt, calls => 1), '200 1',
                "on, $to: passes, $name");
            $nginx->no_errors;
        }

        is(outcome('/on/other', $body, @$opt), '200 0',
            "on, by other secrets: refused, $name");
        is($nginx->log_lines($refused), 1, 'on, by other secrets: an error');
    }

    is(outcome('/on/gate', $body, secret => 'x'), '400 0',
        'what was refused has no action');
    is($nginx->log_lines($refused), 1, 'and an error');
}

like($nginx->read_log('logs/verdict.log'), qr{^/other ok$}m,
    'the verdict in the log is that of the answer');


# clients that leave; a "return" that has a post_action keeps the connection of
# those, in NGINX itself

for my $uri (map { ("/off/$_", "/on/$_") } qw/ gate fan /) {

    for my $body (@bodies) {
        my $request = event_request($uri, $body, secret => $secret);
        my $conn = conn($port);

        $conn->send(substr $request, 0, index($request, "\x0d\x0a\x0d\x0a")
            + 24);
        $conn->wait_read;
        $conn->reset;
    }
}

ok(wait_until { stub_status($nginx->port(2))->{active} == 1 },
    'nothing is left');

is($nginx->log_lines(qr/\[(?:alert|crit)\]/), 0, 'and nothing was broken');

done_testing();
