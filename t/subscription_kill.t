#!/usr/bin/perl

# Everything is killed at random moments while subscriptions are created and
# deleted, and events come in: what was answered 201 is there, what was deleted
# gets nothing, and no event that was answered 202 is lost.
#
# TROVE_ROUNDS=50 runs longer.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $hook = backend();
my $base = 'http://127.0.0.1:' . $hook->port;
my $rounds = $ENV{TROVE_ROUNDS} || 3;

my $nginx = nginx(subscription_conf(
    retry => 'base=100ms factor=2 max=1s', dedup => 1,
    parameters => 'max_inflight=64 disable_after=off',
), workers => 2)->start;

hooks_create($nginx, "$base/all");
hooks_create($nginx, "$base/acme", namespace => 'acme');

my $file = testdir() . '/log';


# calls the function until the test says so, and notes what it returns

sub worker {
    my ($name, $function) = @_;

    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;

    open my $fh, '>>', "$file.$name" or die "open: $!";
    $fh->autoflush(1);

    while (!-e "$file.stop") {
        my $line = eval { $function->() };

        print $fh "$line\n" if defined $line;
        select undef, undef, undef, 0.01;
    }

    POSIX::_exit(0);
}

# an event, of a namespace, or of none

sub sender {
    my $id = new_id();
    my $namespace = rand() < 0.5 ? 'acme' : undef;
    my $r = spool_send($nginx, $id, 'file.written', namespace => $namespace);

    return $r && $r->status == 202 ? "$id " . ($namespace // '-') : undef;
}

# a subscription is created, and some are deleted

my @mine;

sub customer {
    if (@mine && rand() < 0.5) {
        my $id = splice @mine, rand @mine, 1;
        my $r = eval {
            hooks_call($nginx, DELETE => "ws-test/webhooks/$id");
        };

        return $r && $r->status == 200 ? "deleted $id"
            : "deleting $id";
    }

    my $made = hooks_create($nginx, "$base/some", namespace => 'some',
        description => 'of the customer');

    push @mine, $made->{webhook_id};

    return "created $made->{webhook_id}";
}

my ($lost, $missing, $undead, $events, $created, $deleted) = (0) x 6;
my %is;

for my $round (1 .. $rounds) {
    unlink "$file.stop";
    @mine = ();

    my @pids = ((map { worker("s$round.$_", \&sender) } 1, 2),
        (map { worker("c$round.$_", \&customer) } 1, 2));

    select undef, undef, undef, 0.2 + rand 0.5;

    $nginx->kill_all;
    $nginx->start;

    select undef, undef, undef, 0.2 + rand 0.3;

    spew("$file.stop", '');
    waitpid $_, 0 for @pids;

    for (map { slurp("$file.c$round.$_") =~ /^(\w+ \S+)$/mg } 1, 2) {
        my ($what, $id) = split;

        $is{$id} = $what;
        $created++ if $what eq 'created';
        $deleted++ if $what eq 'deleted';
    }

    my (%there, $cursor);

    do {
        my $list = hooks_call($nginx, GET => 'ws-test/webhooks?limit=500'
            . ($cursor ? "&cursor=$cursor" : ''))->json;

        $there{ $_->{webhook_id} } = 1 for @{ $list->{webhooks} };
        $cursor = $list->{next_cursor};
    } while (defined $cursor);

    $missing += grep { $is{$_} eq 'created' && !$there{$_} } keys %is;
    $undead += grep { $is{$_} eq 'deleted' && $there{$_} } keys %is;

    for my $n (1, 2) {
        my %wanted = slurp("$file.s$round.$n") =~ /^(\S+) (\S+)$/mg;

        $events += keys %wanted;

        for my $path (qw/ all acme /) {
            my @ids = grep { $path eq 'all' || $wanted{$_} eq 'acme' }
                keys %wanted;

            wait_until {
                my %got = map { $hook->header($_, 'X-Trove-Event-Id') => 1 }
                    grep { $_->{uri} eq "/$path" } $hook->requests;
                @ids = grep { !$got{$_} } @ids;
                !@ids;
            } 60;

            $lost += @ids;
            diag "round $round: $path has not got @ids" if @ids;
        }
    }

    $hook->forget;
}

cmp_ok($events, '>', $rounds, "$events events were accepted");
is($lost, 0, 'each reached its subscriptions');
cmp_ok($created, '>', $rounds, "$created subscriptions were created");
is($missing, 0, 'each is there');
cmp_ok($deleted, '>', 0, "$deleted were deleted");
is($undead, 0, 'none of them is there');

# an event for those that are left

my $left = grep { $is{$_} eq 'created' } keys %is;
my $unknown = grep { $is{$_} eq 'deleting' } keys %is;

my $n = spool_send($nginx, 'evt-last', 'file.written', namespace => 'some')
    ->json->{deliveries};

cmp_ok($n, '>=', 1 + $left, 'an event is for those that are left');
cmp_ok($n, '<=', 1 + $left + $unknown + 4 * $rounds,
    'and for no others, but those whose response was lost');

is_deeply([ spool_sql($nginx->dir . '/trove.spool', 'PRAGMA integrity_check') ],
    ['ok'], 'the file is sound');

done_testing;
