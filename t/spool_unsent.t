#!/usr/bin/perl

# A target that could not be asked for lack of something on this machine: that
# is no attempt, and does not end the window.

use lib 't/lib';
use Trove;

my $backend = backend();

# The address 203.0.113.1 is not on this machine: bind() fails, as socket() does
# without a descriptor.

sub conf {
    my ($address) = @_;

    return spool_conf(
        retry => 'base=50ms max=50ms factor=1 window=100ms',
        targets => [
            bind => { to => $backend, fanout => 'events=bind.*',
                conf => "proxy_bind $address;" },
            refused => { to => 'http://127.0.0.1:1',
                fanout => 'events=refused.*' },
        ],
        server => <<'EOC',
        location = /wait {
            trove_fanout /bind name=waited;
        }
EOC
    );
}

my $nginx = nginx(conf('203.0.113.1'))->start;

sub delivered {
    my ($id, $target) = @_;

    my $d;

    my $delivered = wait_until {
        $d = spool_delivery($nginx, $id, $target);
        $d->{state} eq 'delivered';
    } 30;

    ok($delivered, "$target: delivered in the end") or diag(explain($d));

    is_deeply([ map { $_->{status} } @{ $d->{history} } ], [ 200 ],
        'by the only attempt');
    is($backend->count($id), 1, 'it came once');
}


# no address; the window ends meanwhile

my $id = new_id();
is(spool_send($nginx, $id, 'bind.x')->status, 202, 'accepted');
my $logged = wait_until {
    my @lines = $nginx->log
        =~ /(no connection to target "bind" could be opened)/g;

    return @lines >= 3;
} 30;

ok($logged, 'logged, more than once');

my $d = spool_delivery($nginx, $id, 'bind');
is($d->{attempts}, 0, 'no attempt');
isnt($d->{state}, 'failed', 'and not failed, although the window is over');

# as the sender sees it

my $r = post_event($nginx->port, '/wait', event('bind.x'),
    secret => spool_secret());
is($r->status, 502, 'wait: 502');
is($r->json->{targets}[0]{error}, 'no_connection', 'with the reason');

unlike($nginx->log, qr/target "bind" of .* is failing/,
    'which says nothing about the target');

$nginx->reload(conf('127.0.0.1'));
delivered($id, 'bind');


# what is refused is an attempt

$id = new_id();
is(spool_send($nginx, $id, 'refused.x')->status, 202, 'accepted');
ok(wait_until {
    my $d = spool_delivery($nginx, $id, 'refused');
    return $d->{state} eq 'failed';
}, 'a refused connection: failed');
cmp_ok(spool_delivery($nginx, $id, 'refused')->{attempts}, '>', 1,
    'after attempts');

done_testing();
