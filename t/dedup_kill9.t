#!/usr/bin/perl

# SIGKILL of everything under load, at any moment: each event that a sender saw
# a 2xx for is a duplicate after the next start.

use lib 't/lib';
use Trove;

use Time::HiRes qw/ sleep /;
use Trove::Util qw/ strays /;

my $rounds = $ENV{TROVE_CHAOS} ? int($ENV{TROVE_CHAOS} / 4) || 1 : 6;
my $backend = backend();

my $nginx = nginx(<<'EOF', workers => 2)->start;
    trove_dedup_zone zone=events:4m state=events.state;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my (@all, %wrong);

for my $round (1 .. $rounds) {
    my $load = load($nginx->port, '/gate', secret => 's3cret', senders => 4);

    wait_until { $load->deliveries > 30 && keys %{ $load->seen } > 10 } 30
        or die 'no load';
    sleep(rand(0.5));

    # the master first: it must not start workers in place of those killed

    kill 'STOP', $nginx->pid;

    wait_until {
        my @pids = strays($nginx->dir);
        kill 'KILL', @pids;
        !@pids;
    } or die 'it cannot be killed';

    unlink $nginx->dir . '/nginx.pid';
    $load->abort;
    $nginx->start;

    my @seen = keys %{ $load->seen };

    cmp_ok(scalar @seen, '>', 5, "round $round: some events were done");
    push @all, @seen;

    # what was in flight when all were killed is cleared, not held

    $backend->forget;

    for my $id (@all) {
        my $r = post_event($nginx->port, '/gate',
            event('file.written', id => $id), secret => 's3cret');

        $wrong{$id} = $r ? $r->body : 'none'
            if !$r || $r->body !~ /"status":"duplicate"/;
    }

    is_deeply(\%wrong, {}, "round $round: all are duplicates");
    is($backend->count, 0, "round $round: the application got none of them");
}

my @claims = $nginx->log_lines(qr/the lease of an event expired/);
is(scalar @claims, 0, 'no lease ran out');

done_testing();
