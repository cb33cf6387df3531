#!/usr/bin/perl

# trove_dedup_zone state=: the file is written to the disk by a thread of one
# worker.  Nobody can be shown a power cut here; but that no page waits to be
# written, can.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(<<'EOF', workers => 3)->start;
    trove_dedup_zone zone=events:1m state=events.state;
    trove_dedup_zone zone=memory:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

sub threads { return scalar(() = glob "/proc/$_[0]/task/*") }


# kilobytes of the file that some process has changed, and no disk has

sub dirty {
    my $sum = 0;

    for my $pid ($nginx->pid, $nginx->workers) {
        my ($map) = slurp("/proc/$pid/smaps")
            =~ m{^\S+ \S+ \S+ \S+ \S+ +\S*/events\.state\n((?:\w+: .*\n)+)}m
            or die "no map of $pid";

        $sum += $1 while $map =~ /^(?:Shared|Private)_Dirty: +(\d+) kB/mg;
    }

    return $sum;
}


sub worker_threads {
    return join ' ', sort { $a <=> $b } map { threads($_) } $nginx->workers;
}


is(worker_threads(), '1 1 2', 'one worker has a thread more');
is(threads($nginx->pid), 1, 'the master has not');

$nginx->kill_worker($_) for $nginx->workers;
is(worker_threads(), '1 1 2', 'also when all have been killed');
ok($nginx->reload, 'reload');
is(worker_threads(), '1 1 2', 'and after a reload');

# a file system in memory has no disk that a page could be clean for

my $real = qx{stat -f -c %T "@{[ $nginx->dir ]}"} !~ /tmpfs|ramfs/;

for my $round (1 .. 3) {
    is(post_event($nginx->port, '/', event(), secret => 's3cret')->status, 200,
        'an event');
    ok((wait_until { dirty() == 0 || !$real } 10), 'is on the disk soon');
}

# what programs that a worker starts would inherit

for my $pid ($nginx->workers) {
    my @open = grep { (readlink($_) // '') =~ /events\.state|memfd:trove/ }
        glob "/proc/$pid/fd/*";
    my @inherited = grep {
        my ($fd) = m{([^/]+)$};
        my ($flags) = slurp("/proc/$pid/fdinfo/$fd") =~ /^flags:\s*(\d+)/m;

        !(oct($flags) & 02000000)
    } @open;

    cmp_ok(scalar @open, '>=', 2, 'a worker has the files open');
    is(scalar @inherited, 0, 'and passes none of them on');
}

done_testing();
