#!/usr/bin/perl

# trove_dedup_zone state= and the upgrade of the binary: two masters with one
# file, which change its size, and of which either one goes.

use lib 't/lib';
use Trove;

use Trove::Util qw/ alive children /;

my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%% state=events.state;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        add_header X-Worker $pid always;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events lease=2s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $nginx = nginx($http, vars => { SIZE => '1m' })->start;
my $file = $nginx->dir . '/events.state';
my @done = map { event() } 1 .. 10;


sub deliver {
    my ($body) = @_;

    return dedup_outcome(post_event($nginx->port, '/gate', $body,
        secret => 's3cret'));
}


sub known {
    my ($name) = @_;

    is(scalar(grep { deliver($_) eq 'duplicate' } @done), scalar @done, $name);
}


sub hold {
    my $body = event();
    my ($id) = $body =~ /"id":"([^"]+)/;

    $backend->on($id, gate => $id, times => 1);

    my ($conn) = many_start($nginx->port,
        event_request('/gate', $body, secret => 's3cret'));

    $backend->wait_count(1, $id) or die 'not in flight';

    return { body => $body, id => $id, conn => $conn };
}


sub finish {
    my ($held, $name) = @_;

    $backend->open_gate($held->{id});
    is(dedup_outcome($held->{conn}->response), 'new', "$name: its response");
    $held->{conn}->close;
    is(deliver($held->{body}), 'duplicate', "$name: is known everywhere");
    push @done, $held->{body};
}


sub workers_of {
    my %all = children($_[0]);

    return grep { $all{$_} eq 'nginx: worker process' } keys %all;
}


# starts the next master beside the first

sub next_master {
    my ($size) = @_;

    my $old = $nginx->pid;

    $nginx->{opt}{vars}{SIZE} = $size;
    spew($nginx->conf_file, $nginx->render);

    kill 'USR2', $old;

    wait_until {
        my $pid = $nginx->pid;
        $pid && $pid != $old && workers_of($pid);
    } 20 or die 'no other master';

    return ($old, $nginx->pid);
}


# the outcome from a worker of one of the masters

sub outcome_of {
    my ($master) = @_;

    return wait_until {
        my $r = post_event($nginx->port, '/gate', $done[0], secret => 's3cret');
        my ($worker) = grep { $_ == $r->header('X-Worker') }
            workers_of($master);

        $worker && dedup_outcome($r);
    };
}


sub files {
    return scalar grep { (readlink($_) // '') =~ /events\.state/ }
        glob "/proc/$_[0]/fd/*";
}


deliver($_) for @done;

# with another size, and the old one at work

{
    my $held = hold();
    my ($old, $new) = next_master('2m');

    is(outcome_of($old), 'duplicate', 'the old master\'s workers know');
    is(outcome_of($new), 'duplicate', 'the new master\'s workers know');
    is(deliver($held->{body}), 'inflight', 'and what is in flight');
    ok($nginx->log_lines(qr/was resized/), 'the size has changed');

    kill 'QUIT', $old;
    finish($held, 'of the old master');
    ok((wait_until { !alive($old) } 20), 'the old master ends');
    known('all is known');
}

# back to the old one

{
    my ($old, $new) = next_master('512k');

    kill 'WINCH', $old;
    ok((wait_until { !workers_of($old) } 20), 'no workers of the old master');

    my $held = hold();
    push @done, my $body = event();
    is(deliver($body), 'new', 'an event at the new master');

    # it reads no configuration then

    kill 'HUP', $old;
    ok((wait_until { workers_of($old) } 20), 'workers of the old master again');
    is(outcome_of($old), 'duplicate', 'which know');
    is(deliver($held->{body}), 'inflight', 'also what is in flight');

    kill 'QUIT', $new;
    finish($held, 'of the new master');
    ok((wait_until { !alive($new) } 20), 'the new master ends');
    ok((wait_until { ($nginx->pid // 0) == $old } 20), 'the old one is back');
    known('all is known');
}

# the new one is killed, with its workers

{
    my ($old, $new) = next_master('1m');
    my @all = (workers_of($new), $new);

    push @done, map { event() } 1 .. 20;
    deliver($_) for @done[-20 .. -1];

    $nginx->expect(qr/process $new exited on signal 9/);
    kill 'STOP', $new;
    kill 'KILL', @all;
    ok((wait_until { !grep { alive($_) } @all } 20), 'the new one is killed');
    ok((wait_until { ($nginx->pid // 0) == $old } 20), 'the old one is back');
    known('all is known');
}

# the old one is killed, with its workers

{
    my ($old, $new) = next_master('2m');
    my @all = (workers_of($old), $old);

    push @done, map { event() } 1 .. 20;
    deliver($_) for @done[-20 .. -1];

    kill 'STOP', $old;
    kill 'KILL', @all;
    ok((wait_until { !grep { alive($_) } @all } 20), 'the old one is killed');
    known('all is known');

    ok($nginx->reload, 'the new one reloads');
    known('all is known');
}

# the new one reloads, again and again, while the old one is at work, which
# does not read its configuration then

{
    my $held = hold();
    my ($old, $new) = next_master('1m');

    for my $size (qw/ 2m 3m 1m 2m /) {
        $nginx->{opt}{vars}{SIZE} = $size;
        ok($nginx->reload($http), "the new one reloads with $size");

        push @done, my $body = event();
        is(deliver($body), 'new', 'a new one');
        is(outcome_of($old), 'duplicate', 'the old master\'s workers know');
        is(outcome_of($new), 'duplicate', 'the new master\'s workers know');
        known('all is known');
    }

    finish($held, 'of the old master');

    kill 'QUIT', $old;
    ok((wait_until { !alive($old) } 20), 'the old master ends');
}

is(files($nginx->pid), 1, 'the last master has the file open once');
is(files(($nginx->workers)[0]), 1, 'and so has its worker');

$nginx->{opt}{vars}{SIZE} = '1m';
$nginx->restart;
known('after a restart');
is(-s $file, 1048576, 'which makes one table of it');

done_testing();
