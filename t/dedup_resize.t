#!/usr/bin/perl

# A reload that changed the size of a zone made a copy of it: what old workers
# claimed and completed from then on stayed in the table that they had, and was
# lost.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-resize';
my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%% %%STATE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        add_header X-Worker $pid always;

        location / {
            trove_verify on;
            trove_secret trove-whsec-resize;
            trove_dedup zone=events lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $nginx;


sub deliver {
    my ($body) = @_;

    return post_event($nginx->port, '/', $body, secret => $secret);
}


# a request whose last byte is missing yet

sub begin {
    my ($body) = @_;

    my $conn = conn($nginx->port);

    $conn->send(substr event_request('/', $body, secret => $secret), 0, -1);
    $conn->wait_read;

    return $conn;
}


sub duplicates {
    return scalar grep { dedup_outcome(deliver($_)) eq 'duplicate' } @_;
}


for my $state ('', 'state=events.state') {
    my $name = $state ? 'in a file' : 'in memory';

    $nginx = nginx($http, vars => { SIZE => '1m', STATE => $state })->start;

    my @done = map { event() } 1 .. 20;

    dedup_outcome(deliver($_)) for @done;

    # in the old worker, from before the reload: one that is being processed,
    # one that is not complete yet, and one whose copy comes meanwhile

    my @held = map { event() } 1 .. 3;
    my @ids = map { /"id":"([^"]+)"/ } @held;

    $backend->on($_, gate => $_, times => 1) for @ids[0, 1];

    my ($first) = many_start($nginx->port,
        event_request('/', $held[0], secret => $secret));

    ok($backend->wait_count(1, $ids[0]), "$name: in process");

    my ($second, $third) = map { begin($_) } @held[1, 2];
    my ($old) = $nginx->workers;

    for my $size (qw/ 2m 512k 3m /) {
        $nginx->{opt}{vars}{SIZE} = $size;
        ok($nginx->reload($http), "$name: reload with $size");
        is(($nginx->old_workers)[0], $old, 'the old worker is still there');
        is(dedup_outcome(deliver($held[0])), 'inflight',
            'the new one knows what it does');
    }

    $second->send('}');
    ok($backend->wait_count(1, $ids[1]), 'claimed by the old worker');

    my $r = deliver($held[1]);
    is(dedup_outcome($r), 'inflight', 'which the new one sees');
    isnt($r->header('X-Worker'), $old, 'that it was');

    is(dedup_outcome(deliver($held[2])), 'new', 'claimed by the new worker');
    $third->send('}');
    $r = $third->response;
    is(dedup_outcome($r), 'duplicate', 'which the old one sees');
    is($r->header('X-Worker'), $old, 'that it was');

    # its lease is renewed where it is now

    my $end = time() + 3;
    my %outcome;

    wait_until {
        $outcome{ dedup_outcome(deliver($held[0])) }++;
        time() > $end;
    };
    is_deeply([ keys %outcome ], [ 'inflight' ], 'longer than the lease');

    $backend->open_gate($_) for @ids[0, 1];

    for my $conn ($first, $second) {
        my $r = $conn->response;

        is(dedup_outcome($r), 'new', 'the old worker gets its answer');
        is($r->header('X-Worker'), $old, 'that it was');
        $conn->close;
    }

    $third->close;

    is(duplicates(@held), 3, 'and that is recorded');
    is(duplicates(@done), 20, 'all is known');
    ok($nginx->wait_old, 'the old worker ends');

    next unless $state;

    $nginx->kill_all;
    $nginx->start;

    is(duplicates(@held, @done), 23, 'after SIGKILL of everything, too');
}

done_testing();
