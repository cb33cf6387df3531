#!/usr/bin/perl

# What happens to a stream while a thread reads events for it: the stream is
# blocked and goes on, the client goes, the worker has to exit.  The thread
# waits as long as a file exists, and the time of NGINX passes quickly, so that
# there are comments soon.

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Metrics;
use Trove::Stream;

my $dir = testdir();
my ($gate, $reads) = ("$dir/gate", "$dir/reads");

spew("$dir/slow.c", <<"EOC");
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
sqlite3_step(void *stmt)
{
    int           fd;
    const char   *sql;
    int         (*step)(void *);
    const char *(*text)(void *);

    step = (int (*)(void *)) dlsym(RTLD_NEXT, "sqlite3_step");
    text = (const char *(*)(void *)) dlsym(RTLD_NEXT, "sqlite3_sql");

    sql = text(stmt);

    if (sql && strstr(sql, "body FROM event WHERE number > ? ORDER BY number "
                           "LIMIT ?"))
    {
        if (access("$gate", F_OK) == 0) {
            fd = open("$reads", O_WRONLY|O_APPEND);
            (void) !write(fd, "x", 1);
            close(fd);
        }

        while (access("$gate", F_OK) == 0) {
            usleep(1000);
        }
    }

    return step(stmt);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    long long  ns;

    if (syscall(SYS_clock_gettime, id, ts) != 0) {
        return -1;
    }

    if (id == CLOCK_MONOTONIC_COARSE || id == CLOCK_MONOTONIC) {
        ns = (ts->tv_sec * 1000000000LL + ts->tv_nsec) * 20;
        ts->tv_sec = ns / 1000000000;
        ts->tv_nsec = ns % 1000000000;
    }

    return 0;
}
EOC

is(system($ENV{CC} || 'cc', '-shared', '-fPIC', '-o', "$dir/slow.so",
    "$dir/slow.c", '-ldl'), 0, 'a thread that waits');

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    http => <<'EOC'), env => { LD_PRELOAD => "$dir/slow.so",
    send_timeout 1h;

    server {
        listen 127.0.0.1:%%PORT_1%% http2;
        location /trove/ { trove_api a-token-of-some-length; }
    }
EOC
    ASAN_OPTIONS => join ':', grep { length } $ENV{ASAN_OPTIONS} // '',
        'verify_asan_link_order=0' });

$nginx->start;

spew($reads, '');
chmod 0666, $reads;


sub accepted {
    my ($id) = @_;

    my $r = spool_send($nginx, $id, 'file.written');
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}

my @ids = map { accepted("evt-$_") } 1 .. 3;

sub shut {
    truncate $reads, 0;
    spew($gate, '');
}

sub at_work { return wait_until { -s $reads } }

sub from_first {
    return stream($nginx, undef, headers => [ 'Last-Event-ID' => 0 ], @_);
}


# it is blocked, goes on, and is blocked again: it must not have another turn

my $watch = stream($nginx);

sub comments {
    my ($more) = @_;

    $watch->take(0);
    my $n = $watch->comments + $more;

    return $watch->wait_for(sub { $watch->comments >= $n }, 30);
}

my $connected = qq(data: {"type":"connected"}\n\n);
my $h2 = h2($nginx->port(1));

$h2->frame(4, 0, 0, pack 'nN', 4, length $connected);

shut();

my $id = $h2->headers(GET => '/trove/v1/workspaces/ws-test/webhooks/stream',
    end => 1, headers => [ 'Last-Event-ID' => 0,
        Authorization => 'Bearer a-token-of-some-length' ]);
my $got = \$h2->{streams}{$id}{body};

sub window {
    my ($more) = @_;

    $h2->frame(8, 0, $id, pack 'N', $more);
}

ok($h2->run(sub { $$got eq $connected }), 'a window for the first line only');
ok(at_work(), 'its turn has begun');

ok(comments(2), 'a comment is due, and blocks it');
window(4);
ok($h2->run(sub { $$got eq "$connected: \n\n" }), 'the window is open for it');
ok(comments(2), 'the next one blocks it once more');

unlink $gate;

# other reads follow it

my $n = metric($nginx, 'trove_stream_reads_total', {}, 99);
ok((wait_until {
    metric($nginx, 'trove_stream_reads_total', {}, 99) > $n + 2
}), 'the turn has ended');

window(100_000);
ok($h2->run(sub { $$got =~ /evt-3/ }), 'the window is open');
is_deeply([ $$got =~ /"id": ?"(evt-\d+)"/g ], \@ids, 'no event is lost');

$h2->drop;
$watch->connection->close;
ok(metric_wait($nginx, 'trove_stream_readers', {}, 0, 99), 'they are closed');


# the client goes

shut();

my $gone = from_first();
ok(at_work(), 'a turn');
$gone->connection->close;
ok(metric_wait($nginx, 'trove_stream_readers', {}, 0, 99), 'a client goes');

unlink $gate;
is_deeply(from_first()->ids(3), \@ids, 'the next one');


# the worker has to exit

shut();

my $ended = from_first();
ok(at_work(), 'another turn');
ok($nginx->reload, 'a reload');
ok($ended->ended, 'the stream ends');
is_deeply($ended->ids(0), [], 'before the turn does');

unlink $gate;
ok($nginx->wait_old, 'and the worker exits');

is_deeply(from_first()->ids(3), \@ids, 'the new one is at work');

$nginx->stop;

done_testing();
