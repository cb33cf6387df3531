#!/usr/bin/perl

# No descriptor, and no free connection: a target could not be asked, which is
# no attempt.  The event is accepted, waits, and is delivered later.

use lib 't/lib';
use Trove;

my $backend = backend();

sub conf {
    my ($connections, $main) = @_;

    my $http = spool_conf(
        retry => 'base=50ms max=50ms factor=1 window=100ms',
        targets => [ app => { to => $backend } ],
    );

    return <<"EOC";
%%GLOBALS%%
$main
events { worker_connections $connections; }
http {
    %%HTTP%%
    $http
}
EOC
}


# A request that has begun keeps its descriptor and its connection.  The rest
# of it is sent when there are none for others.

sub begin {
    my ($nginx, $id) = @_;

    my $request = event_request('/events', event('file.written', id => $id),
        secret => spool_secret());
    my $c = conn($nginx->port);

    $c->send(substr $request, 0, -1);

    return ($c, substr $request, -1);
}


# requests that have begun, until there is no room for one more

sub fill_up {
    my ($nginx, $full) = @_;

    my @others;

    ok(wait_until {
        my $other = conn($nginx->port);

        $other->send("GET / HTTP/1.1\x0d\x0a");
        $other->fill(0.1);
        push @others, $other;

        return scalar $nginx->lines_now($full);
    }, 'there is no room for one more');

    return @others;
}


# The attempt begins before the response is sent.  The client's connection may
# be closed for the next one.

sub waits {
    my ($nginx, $c, $rest) = @_;

    $c->send($rest);
    is($c->response->status, 202, 'the event is accepted');

    ok($nginx->wait_log(qr/no connection to target "app" could be opened/),
        'no connection to the target could be opened');
}


sub delivered {
    my ($nginx, $id) = @_;

    my $d;

    ok(wait_until {
        $d = spool_delivery($nginx, $id, 'app');
        return $d->{state} eq 'delivered';
    }, 'delivered when it is possible again') or diag(explain($d));

    is_deeply([ map { $_->{status} } @{ $d->{history} } ], [ 200 ],
        'by the first attempt, although the window was over');
    is($backend->count($id), 1, 'it came once');
}


for my $case (
    [ 'descriptors', conf(512, 'worker_rlimit_nofile 64;'),
      qr/accept4?\(\) failed \(24: /, qr/socket\(\) failed \(24: / ],
    [ 'connections', conf(16, ''),
      (qr/worker_connections are not enough/) x 2 ])
{
    my ($name, $conf, $full, @alerts) = @$case;

    subtest $name => sub {
        my $nginx = nginx($conf)->start->expect(@alerts);

        my $first = new_id();
        is(spool_send($nginx, $first, 'file.written')->status, 202,
            'an event before, accepted');
        ok(wait_until { $backend->count($first) }, 'and delivered');

        my $id = new_id();
        my ($c, $rest) = begin($nginx, $id);
        my @others = fill_up($nginx, $full);

        waits($nginx, $c, $rest);

        $_->close for @others;

        delivered($nginx, $id);
        $c->close;
    };
}

done_testing();
