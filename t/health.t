#!/usr/bin/perl

# What an operator sees at the level "error", which is that of Debian: targets
# that fail and that work again, once for all workers; events that match no
# target; variables that are read too early.

use lib 't/lib';
use Trove;

my $backend = backend();

my $conf = <<'EOF';
    trove_sign s;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry base=50ms factor=1 max=50ms;

    map $trove_event_type $sticky {
        default      0;
        file.written 1;
    }

    map $trove_event_type $fresh {
        volatile;
        default      0;
        file.written 1;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name gate;

        location = /wait {
            trove_fanout /a name=a;
            trove_fanout /b name=b optional;
        }

        location = /spool {
            trove_fanout_mode spool;
            trove_fanout /a name=a;
        }

        location = /some {
            trove_fanout /a name=a events=file.*;
        }

        location = /some/spool {
            trove_fanout_mode spool;
            trove_fanout /a name=a events=file.*;
        }

        location = /all {
            trove_fanout /a name=a events=file.*;
            trove_fanout /ignore name=ignore;
        }

        location = /sticky {
            set $early $sticky;
            trove_fanout /a name=a if=$sticky;
        }

        location = /fresh {
            set $early $fresh;
            trove_fanout /a name=a if=$fresh;
        }

        location = /late {
            trove_fanout /a name=a if=$sticky;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /b {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /ignore {
            internal;
            return 204;
        }
    }
EOF

my $nginx = nginx($conf, workers => 2, log => 'error')->start;

# many connections, so that both workers have some of them

sub send_to {
    my ($uri, $n, $type) = @_;

    return map { $_->status } grep { $_ } many($nginx->port, map {
        event_request($uri, event($type // 'file.written', id => new_id()))
    } 1 .. $n);
}

sub said {
    my ($regex) = @_;

    my @lines = $nginx->log_lines(qr/ \[error\] .*trove: $regex/);

    return @lines;
}

sub count { return scalar @{ [ said(@_) ] } }

sub errors { return scalar @{ [ $nginx->log_lines(qr/\[(error|crit)\]/) ] } }


# wait

my $a = qr/target "a" of location "\/wait"/;
my $b = qr/optional target "b" of location "\/wait"/;

$backend->on('/a', status => 500);
$backend->on('/b', status => 503);

is(scalar(grep { $_ == 502 } send_to('/wait', 20)), 20, 'a fails, and b');
is(count(qr/$a is failing: 500, first failed event "/), 1, 'a: said once');
is(count(qr/$b is failing: 503, first failed event "/), 1, 'b: said once');
is(count(qr/event "/), 0, 'not for each event');
is(count(qr/.*is failing.* while /), 0, 'nor what the connection did last');
like((said(qr/$a is failing/))[0],
    qr/until it recovers, client: .*, server: gate, request: /,
    'but of which request');

ok($nginx->reload, 'reload');
send_to('/wait', 5);
is(count(qr/.*is failing/), 2, 'nor after a reload');
is(count(qr/.*recovered/), 0, 'nothing works yet');

$backend->on('/a', status => 200);

is(scalar(grep { $_ == 200 } send_to('/wait', 20)), 20, 'a works');
is(count(qr/$a recovered after \d+ s and 25 failures/), 1, 'a: said once');
is(count(qr/$b recovered/), 0, 'b does not');
$backend->on('/b', status => 200);
send_to('/wait', 20);
is(count(qr/$b recovered after \d+ s and 45 failures/), 1, 'b: said once');
is(count(qr/.*recovered.* while /), 0, 'and nothing else');

$nginx->mark;
$backend->on('/a', status => 500);
send_to('/wait', 5);
$backend->on('/a', status => 200);
send_to('/wait', 5);
is(errors(), 0, 'what changes often is not said each time');


# spool

$a = qr/target "a" of location "\/spool"/;

$nginx->mark;
$backend->on('/a', status => 500);
send_to('/spool', 5);
ok($nginx->wait_log(qr/\[error\] .*trove: $a is failing: 500, first failed event/),
    'spool: said');
$backend->forget;
ok($backend->wait_count(20), 'spool: it is tried again and again');
is(count(qr/.*is failing/), 1, 'spool: and said once');
is(count(qr/event "/), 0, 'spool: not for each attempt');
$backend->on('/a', status => 200);
ok($nginx->wait_log(qr/\[error\] .*trove: $a recovered after/),
    'spool: said that it works');
send_to('/spool', 5);
is(count(qr/.*recovered/), 1, 'spool: once');
is(count(qr/.* while /), 0, 'spool: and nothing behind it');


# given up

$nginx->mark;
$backend->on('/a', status => 410);
is((send_to('/spool', 1))[0], 202, 'a target that does not want it');
ok($nginx->wait_log(
    qr/giving up after attempt \d+; it can be replayed, server: gate/),
    'given up: no other words behind the last');
$backend->on('/a', status => 200);


# nobody is to have it

for my $uri ('/some', '/some/spool') {
    $nginx->mark;

    my $all = qr/event ".*" matches no target of location "$uri"/;

    send_to($uri, 10, 'exec.completed');

    # the other worker may have one, too, before the first of them says it

    is(count(qr/$all, [1-9]\d* unmatched since/), 1,
        "$uri: unmatched, said once");
    is(count(qr/.*matches no/), 1, "$uri: and not for each");
    send_to($uri, 2);
    is(count(qr/.*matches no/), 1, "$uri: what matches is none of them");
}

$nginx->mark;
send_to('/all', 5, 'exec.completed');
is(errors(), 0, 'a target for all others keeps it quiet');


# a map that has been evaluated before there was an event

my $early = qr/an event variable was read before the event was parsed/;

$nginx->mark;
$backend->forget;
is((send_to('/sticky', 1))[0], 200, 'sticky: answered 200');
is($backend->count, 0, 'sticky: and delivered to nobody');
is(count($early), 1, 'sticky: an error says why');
is(count(qr/.*matches no target of location "\/sticky"/), 1,
    'sticky: and another one what came of it');

$nginx->mark;
is((send_to('/fresh', 1))[0], 200, 'volatile: answered 200');
is($backend->count, 1, 'volatile: and delivered');
cmp_ok(count($early), '>', 0, 'volatile: the early use is said all the same');

$nginx->mark;
is((send_to('/late', 1))[0], 200, 'not early: answered 200');
is($backend->count, 2, 'not early: and delivered');
is(errors(), 0, 'not early: nothing is wrong');


# servers without a name, and with locations and targets of the same name

$nginx->stop;

$backend->on('/a', status => 500);

$nginx = nginx(<<'EOF', workers => 2)->start;
    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /wait { trove_fanout /a name=a; }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /wait { trove_fanout /a name=a; }

        location = /a {
            internal;
            return 204;
        }
    }
EOF

is((send_to('/wait', 1))[0], 502, 'nameless: the first fails');
is(post_event($nginx->port(1), '/wait', event('file.written'))->status, 200,
    'nameless: the second does not');
is(count(qr/target "a" of location "\/wait" is failing: 500/), 1,
    'nameless: said once');
is(count(qr/.*recovered/), 0, 'nameless: it does not work again');

done_testing();
