#!/usr/bin/perl

# A steady load of new and repeated events, while workers are killed, the
# configuration is read again, the binary is replaced, and everything is killed
# and started.  Whatever happens: no event reaches the application again once a
# sender has seen its 2xx, none is lost, nothing is stuck or left over.
#
# It takes some seconds; TROVE_CHAOS=600 makes that 600.

use lib 't/lib';
use Trove;

use List::Util qw/ shuffle sum0 /;
use Time::HiRes qw/ time sleep /;
use Trove::Util qw/ alive children strays /;

my $seconds = $ENV{TROVE_CHAOS} || 14;

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%% %%STATE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events lease=3s ttl=1h;
            proxy_ignore_client_abort on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /metrics { trove_metrics; }
    }
EOF

# each takes the server, and knows of what it does that it is an error

my %deeds = (
    'kill a worker' => sub {
        my ($nginx) = @_;

        my @workers = $nginx->workers;
        kill_workers($nginx, $workers[rand @workers]);
    },

    'kill all workers' => sub {
        my ($nginx) = @_;

        kill_workers($nginx, $nginx->workers);
    },

    'reload' => sub {
        my ($nginx) = @_;

        $nginx->reload or die 'no reload';
    },

    'resize' => sub {
        my ($nginx) = @_;

        resize($nginx);
        $nginx->reload or die 'no reload';
    },

    'resize twice at once' => sub {
        my ($nginx) = @_;

        for (1 .. 2) {
            resize($nginx);
            kill 'HUP', $nginx->pid;
        }

        $nginx->reload or die 'no reload';
    },

    # while the keys are moved, perhaps

    'resize, and kill workers' => sub {
        my ($nginx) = @_;

        resize($nginx);
        my @workers = $nginx->workers;

        kill 'HUP', $nginx->pid;
        sleep(rand(0.03));
        kill_workers($nginx, @workers);
        $nginx->reload or die 'no reload';
    },

    'restart' => sub {
        my ($nginx) = @_;

        resize($nginx) if rand() < 0.3;
        $nginx->restart;
    },

    'fast restart' => sub {
        my ($nginx) = @_;

        $nginx->stop('TERM')->start;
    },

    'upgrade' => sub {
        my ($nginx) = @_;

        resize($nginx) if rand() < 0.5;
        $nginx->upgrade or die 'no upgrade';
    },

    'upgrade, and back' => sub {
        my ($nginx) = @_;

        resize($nginx) if rand() < 0.5;

        my ($old, $new) = next_master($nginx);

        kill 'WINCH', $old;
        wait_until { !workers_of($old) } 20 or die 'the old workers stay';
        sleep(rand(0.3));

        kill 'HUP', $old;
        wait_until { workers_of($old) } 20 or die 'no old workers';

        kill 'QUIT', $new;
        wait_until { ($nginx->pid // 0) == $old } 20 or die 'not back';
    },

    'upgrade, and kill the old one' => sub {
        my ($nginx) = @_;

        my ($old, $new) = next_master($nginx);

        kill 'STOP', $old;
        my @all = (keys %{{ children($old) }}, $old);
        @all = grep { $_ != $new } @all;
        kill 'KILL', @all;
        wait_until { !grep { alive($_) } @all } 20 or die 'it lives';
    },

    'kill everything' => sub {
        my ($nginx) = @_;

        kill_everything($nginx);
        $nginx->start;
    },

    'kill everything at a reload' => sub {
        my ($nginx) = @_;

        resize($nginx);
        kill 'HUP', $nginx->pid;
        sleep(rand(0.15));
        kill_everything($nginx);
        $nginx->start;
    },
);

my @short = ('kill a worker', 'kill all workers', 'reload', 'resize',
    'resize twice at once', 'resize, and kill workers');

chaos('in a file', $seconds * 0.7, 'state=events.state', sort keys %deeds);
chaos('in memory', $seconds * 0.3, '', @short);

done_testing();


sub chaos {
    my ($name, $duration, $state, @names) = @_;

    my $backend = backend();
    my $nginx = nginx($http =~ s/%%BACKEND%%/$backend->port/er,
        vars => { SIZE => '4m', STATE => $state }, workers => 2)->start;
    my $files = files($nginx->pid);

    my $load = load($nginx->port, '/gate', secret => 's3cret');
    my $end = time() + $duration;
    my (%done, @stuck, @order, $failed);

    wait_until { $load->deliveries > 20 } 30
        or push @stuck, 'the load does not begin';

    # each once, in some order, and then as long as there is time

    while (time() < $end || grep { !$done{$_} } @names) {
        @order = shuffle(@names) unless @order;

        my $deed = shift @order;
        my $before = $load->deliveries;

        diag(sprintf '%.3f %s', time(), $deed) if $ENV{TROVE_VERBOSE};

        if (!eval { $deeds{$deed}->($nginx); 1 }) {
            $failed = "$deed: $@";
            last;
        }

        $done{$deed}++;

        # it must go on, whatever it was

        wait_until { $load->deliveries > $before + 10 } 30
            or push @stuck, "after: $deed";
    }

    is($failed, undef, "$name: all was done that was to be done");
    is_deeply(\@stuck, [], "$name: it went on after each");
    ok($load->finish, "$name: each event got a 2xx in the end");

    my $seen = $load->seen;
    my (%again, %late);
    my %got = arrivals($backend);

    for my $id (keys %$seen) {
        $late{$id} = $seen->{$id} if !$got{$id};

        my @later = grep { $_ > $seen->{$id} } @{ $got{$id} || [] };
        $again{$id} = [ $seen->{$id}, @later ] if @later;
    }

    my $arrived = sum0(map { scalar @$_ } values %got);

    diag(sprintf "%s: %d events, %d deliveries, %d at the application; %s",
        $name, scalar keys %$seen, $load->deliveries, $arrived,
        join ', ', map { "$done{$_} x $_" } sort keys %done)
        if $ENV{TROVE_CHAOS} || $ENV{TROVE_VERBOSE};

    is_deeply(\%late, {}, "$name: the application got each event");
    is_deeply(\%again, {}, "$name: none again after somebody saw its 2xx");
    cmp_ok(scalar keys %$seen, '>', 20, "$name: many events");
    cmp_ok($load->deliveries, '>', 2 * keys %$seen, "$name: many repetitions");

    # nothing is left

    ok($nginx->wait_old(20), "$name: no old worker stays");
    ok((wait_until { metrics($nginx)->{inflight} == 0 } 20),
        "$name: no claim stays");
    is(metrics($nginx)->{evicted}, 0, "$name: nothing was forgotten");

    # a reload that was asked for while another one ran may have begun just now

    wait_until {
        files($nginx->pid) == $files && left($nginx) eq ours($nginx);
    } 20;

    is(files($nginx->pid), $files, "$name: the master has no more files open");
    is(left($nginx), ours($nginx), "$name: no process is left");
    is(join(' ', grep { !/events\.state$/ } glob $nginx->dir . '/events*'),
        '', "$name: no file is left");

    $nginx->stop;
    $backend->stop;
}


# when requests for an event reached the application

sub arrivals {
    my ($backend) = @_;

    my %got;

    open my $fh, '<', "$backend->{dir}/requests" or die "open: $!";

    while (my $line = <$fh>) {
        my ($id) = $line =~ /\["X-Trove-Event-Id","([^"]+)"\]/ or next;
        my ($time) = $line =~ /"time":"?([\d.]+)/ or die "no time: $line";

        push @{ $got{$id} }, $time;
    }

    return %got;
}


sub metrics {
    my ($nginx) = @_;

    my $text = get($nginx->port, '/metrics')->body;
    my %metrics;

    ($metrics{inflight}) = $text =~ /^trove_zone_used\{.*inflight"\} (\d+)/m;
    ($metrics{evicted}) = $text =~ /^trove_zone_evictions_total\{.*\} (\d+)/m;

    return \%metrics;
}


sub resize {
    my ($nginx) = @_;

    my @sizes = grep { $_ ne $nginx->{opt}{vars}{SIZE} } qw/ 4m 5m 6m 8m /;

    $nginx->{opt}{vars}{SIZE} = $sizes[rand @sizes];
    spew($nginx->conf_file, $nginx->render);
}


# some of them may be about to end by themselves, as after two reloads at once

sub kill_workers {
    my ($nginx, @pids) = @_;

    push @{ $nginx->{allowed} },
        map { qr/worker process $_ exited on signal 9/ } @pids;

    kill 'KILL', @pids;

    wait_until { !(grep { alive($_) } @pids) && $nginx->workers >= 2 } 20
        or die 'no other workers';
}


sub workers_of {
    my %all = children($_[0]);

    return grep { $all{$_} eq 'nginx: worker process' } keys %all;
}


sub next_master {
    my ($nginx) = @_;

    my $old = $nginx->pid;

    kill 'USR2', $old;

    wait_until {
        my $pid = $nginx->pid;
        $pid && $pid != $old && workers_of($pid) >= 2;
    } 20 or die 'no other master';

    return ($old, $nginx->pid);
}


sub kill_everything {
    my ($nginx) = @_;

    wait_until {
        my @pids = strays($nginx->dir);
        kill 'KILL', @pids;
        !@pids;
    } or die 'it cannot be killed';

    unlink $nginx->dir . '/nginx.pid';
}


# the pids of what runs, and of what should

sub left {
    return join ' ', sort(strays($_[0]->dir));
}


sub ours {
    return join ' ', sort($_[0]->pid // 0, $_[0]->workers);
}


sub files {
    return scalar(() = glob "/proc/$_[0]/fd/*");
}
