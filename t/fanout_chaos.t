#!/usr/bin/perl

# Senders that try again until they hear 200, while workers are killed, nginx
# reloads and restarts, the binary is replaced, targets fail, and clients go
# away: each event comes to each target, and what was answered by 200 is a
# duplicate from then on.
#
# TROVE_CHAOS: how many such deeds, 16 by default; TROVE_SEED repeats the choice.

use lib 't/lib';
use Trove;

use Time::HiRes qw/ time /;

my $deeds = $ENV{TROVE_CHAOS} // 16;
my $seed = $ENV{TROVE_SEED} // int rand 2 ** 31;

srand $seed;
diag("TROVE_SEED=$seed");

my @names = map { "t$_" } 1 .. 8;
my $backend = backend();

sub conf {
    my (@order) = @_;

    my $targets = join "\n", map {
        "trove_fanout /to/$_ name=$_" . (/[13]/ ? ' max_inflight=3' : '') . ';'
    } @order;

    return <<"EOF";
    trove_dedup_zone zone=events:1m state=%%TESTDIR%%/temp/events.state;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    access_log off;

    upstream b { server 127.0.0.1:%%BACKEND%% max_fails=0; keepalive 8; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /events {
            trove_dedup zone=events lease=1s;
            $targets
        }

        location /to/ { internal; proxy_pass http://b; }
    }
EOF
}

my $nginx = nginx(conf(@names), workers => 2)->start;

my (%open, %done, %body);

# a sender's attempt: its connection, or nothing where nobody listens

sub attempt {
    my ($id) = @_;

    my $conn = eval { conn($nginx->port) } or return;

    $conn->send(event_request('/events', $body{$id}));

    return $conn;
}

sub new_event {
    my $id = new_id();

    $body{$id} = event('file.written', id => $id);
    $open{$id} = undef;
}

sub work {
    my ($quiet) = @_;

    for my $id (sort keys %open) {
        my $conn = $open{$id} //= attempt($id) or next;

        if (!$quiet && rand() < 0.02) {
            $conn->reset;
            undef $open{$id};
            next;
        }

        $conn->fill(0.001);

        my $r = $conn->response(timeout => 0);

        if ($r && $r->status == 200) {
            $done{$id} = 1;
            delete $open{$id};
            $conn->close;

        } elsif ($r || $conn->{eof}) {
            $conn->close;
            undef $open{$id};
        }
    }
}

my @deeds = (
    kill => sub { $nginx->kill_worker(($nginx->workers)[ rand 2 ]) },
    reload => sub { $nginx->reload(conf(sort { rand() <=> 0.5 } @names)) },
    restart => sub { $nginx->stop(rand() < 0.5 ? 'TERM' : 'QUIT');
                     $nginx->start },
    crash => sub { $nginx->kill_all; $nginx->start },
    fail => sub {
        $backend->on("/to/$names[ rand @names ]", (
            { status => 500, times => 5 },
            { drop => 'before', times => 3 },
            { drop => 'half', size => 5000, times => 3 },
            { delay => 0.3, times => 10 })[ rand 4 ]->%*);
    },
    upgrade => sub { $nginx->upgrade or die 'no upgrade' },
);

my %did;
my $did = 0;
my ($since, $enough) = (time(), 0);

while ($did < $deeds) {
    new_event() while keys %open < 20;
    work();

    # not before there was something to disturb

    next if keys %done < $enough && time() < $since + 1;

    my $n = 2 * int rand @deeds / 2;

    $n = 8 if rand() < 0.4;
    $deeds[$n + 1]->();

    $did{ $deeds[$n] }++;
    $did++;
    ($since, $enough) = (time(), keys(%done) + int rand 30);
}

$backend->on("/to/$_") for @names;

ok((wait_until { work(1); !keys %open } 60),
    'each event is delivered in the end')
    or diag(scalar(keys %open) . ' are left');

diag(scalar(keys %done) . ' events; ' . join ', ',
    map { "$_ $did{$_}" } sort keys %did);

my (%got, @missing);

for my $request ($backend->requests) {
    my $told = $request->{told};
    my $id = $backend->header($request, 'X-Trove-Event-Id');

    next if $told->{drop} || $told->{status};

    $got{"$id $request->{uri}"}++;
}

for my $id (keys %done) {
    push @missing, grep { !$got{$_} } map { "$id /to/$_" } @names;
}

is(scalar @missing, 0, 'each target has each event')
    or diag("@missing[0 .. ($#missing > 5 ? 5 : $#missing)]");

$backend->forget;

my @not = grep {
    my $r = post_event($nginx->port, '/events', $body{$_});
    ($r->json || {})->{status} ne 'duplicate';
} sort keys %done;

is("@not", '', 'and is known');
is($backend->count, 0, 'so that nobody gets it again');

# a worker that shuts down waits for its requests; the counters of stub_status
# are off by those of killed ones

ok($nginx->reload && $nginx->wait_old, 'no request is left');

done_testing();
