#!/usr/bin/perl

# Deliveries to targets that a reload has removed are logged and counted, until
# the targets are configured again.

use lib 't/lib';
use Trove;
use Trove::Metrics;

my $down = backend(status => 503);
my @lost = map { "lost$_" } 10 .. 21;

# the first attempt fails, and there is no other one

sub conf {
    my ($server, @names) = @_;

    return spool_conf(retry => 'base=1h max=1h window=2h',
        server => "server_name $server;",
        targets => [ map { $_ => { to => $down } } @names ]);
}

my $nginx = nginx(conf('gate', 'kept', 'lost10'), workers => 1)->start;


sub send_to {
    my (@names) = @_;

    my $id = new_id();

    is(spool_send($nginx, $id, 'file.written')->status, 202, 'an event');

    for my $name (@names) {
        ok((wait_until {
            my $d = spool_delivery($nginx, $id, $name) || {};

            ($d->{state} // '') eq 'pending' && @{ $d->{history} || [] } == 1;
        } 60), "the delivery to $name has failed and waits");
    }
}


sub reload {
    my (@conf) = @_;

    ok($nginx->reload(conf(@conf)), "a reload with @conf");
    ok($nginx->wait_old(60), 'the old worker has exited');
}


# the worker logs what it reads before it shows it

sub wait_unconfigured {
    my ($want, $test) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $is;

    wait_until {
        ($is = metric($nginx, 'trove_spool_unconfigured_deliveries', {}, 99)
            // 'none') eq $want
    } 60;
    is($is, $want, $test);
}


# new lines, as "NUMBER TARGET of LOCATION"

my $seen = 0;

sub logged {
    my @lines = $nginx->log_lines(qr/\[warn\] .* trove: .*(?:is|are) not conf/);
    my @new = splice @lines, $seen;

    $seen += @new;

    return join ', ', map {
        /: (\d+) deliveries in .* waiting for target "(.+)" of location "(.+)",/
            ? "$1 $2 of $3"
            : /trove\.spool" are waiting for (\d+) more targets that are not/
            ? "$1 more" : $_
    } @new;
}


send_to('kept', 'lost10') for 1, 2;
wait_unconfigured(0, 'all targets are configured');
is(logged(), '', 'nothing is logged');

reload('gate', 'kept');
wait_unconfigured(2, 'the deliveries to a removed target are counted');
is(logged(), '2 lost10 of gate = /events', 'and logged');

reload('gate', 'kept', @lost);
wait_unconfigured(0, 'it is configured again');
send_to(@lost);
wait_unconfigured(0, 'nothing waits for other targets');
is(logged(), '', 'nothing is logged');

reload('gate', 'kept');
wait_unconfigured(2 + @lost, 'the deliveries to many targets are counted');
is(logged(), join(', ', '3 lost10 of gate = /events',
    (map { "1 $_ of gate = /events" } @lost[1 .. 9]), '2 more'),
    'the first ten targets are logged');

reload('other', 'kept', @lost);
wait_unconfigured(3 + 2 + @lost, 'a renamed server: those to all targets');
is(logged(), join(', ', '3 kept of gate = /events',
    '3 lost10 of gate = /events',
    (map { "1 $_ of gate = /events" } @lost[1 .. 8]), '3 more'),
    'they are logged by the former name');

reload('gate', 'kept', @lost);
wait_unconfigured(0, 'the former name');
is(logged(), '', 'nothing is logged');

done_testing();
