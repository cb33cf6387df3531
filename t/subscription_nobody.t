#!/usr/bin/perl

# Events that match no subscription, and subscriptions that match no event.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $hook = backend();
my $nginx = nginx(subscription_conf(
    server => 'location = /metrics { trove_metrics; }',
))->start;

my $url = 'http://127.0.0.1:' . $hook->port . '/';

sub made {
    my ($workspace) = @_;

    return hooks_call($nginx, POST => "$workspace/webhooks", { url => $url,
        events => ['*'], namespace => undef, description => undef });
}


# a client takes the workspace from GET /v1/me, which does not know it yet

my $me = sub {
    return http($nginx->port(99), build(GET => '/trove/v1/me',
        headers => [ Authorization => 'Bearer a-token-of-some-length' ]))->json;
};

my $workspace = $me->()->{workspace_id};
my $r = made($workspace);

is($r->status, 422, 'a workspace that is not known');
is($r->json->{detail}, 'the workspace is not known before its first event, '
    . 'unless "trove_api_token" has a "workspace"', 'with the remedy');

$r = spool_send($nginx, 'evt-first', 'file.written', workspace_id => 'ws-real');

is($r->status, 202, 'an event for nobody');
is($r->json->{deliveries}, 0, 'without deliveries');

is($me->()->{workspace_id}, 'ws-real', 'the workspace is known');
is(made('ws-real')->status, 201, 'and has a subscription');

is(spool_send($nginx, 'evt-second', 'file.written', workspace_id => 'ws-real')
    ->json->{deliveries}, 1, 'which gets the next event');
ok($hook->wait_count(1, 'evt-second'), 'indeed');
is($hook->count('evt-first'), 0, 'but not the first');


# that nobody has subscribed to an event is no error

unlike($nginx->log, qr/matches no target/, 'nothing is logged');

my $metrics = request($nginx->port, GET => '/metrics')->body;

like($metrics, qr/^trove_spool_accepted_total 2$/m, 'both are counted');
unlike($metrics, qr/^trove_fanout_unmatched_total\S* [1-9]/m,
    'but not as unmatched');

done_testing;
