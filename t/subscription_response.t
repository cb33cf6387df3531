#!/usr/bin/perl

# What a subscriber may do with its response, which is nothing: it is a stranger,
# and has no say in what NGINX requests next.  A backend that is reached by other
# locations counts.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $audit = backend();
my $hook = backend();
my $inside = backend();

my %options = (
    retry => 'base=100ms factor=1 max=100ms window=1h',
    targets => [ audit => { to => $audit } ],
    deliver => <<"EOC",
            proxy_redirect http://127.0.0.1:@{[ $inside->port ]}/ /inside/;
EOC
    server => <<"EOC",
        location /inside/ {
            internal;
            trove_verify off;
            proxy_pass http://127.0.0.1:@{[ $inside->port ]};
        }
        location \@inside {
            trove_verify off;
            proxy_pass http://127.0.0.1:@{[ $inside->port ]};
        }
        location = /open {
            trove_verify off;
            proxy_pass \$trove_subscription_url;
        }
        location = /open/id {
            trove_verify off;
            return 200 "[\$trove_subscription_id\$trove_subscription_url]\\n";
        }
EOC
);

my $nginx = nginx(subscription_conf(%options))->start;
my $base = 'http://127.0.0.1:' . $hook->port;
my $other = 'http://127.0.0.1:' . $inside->port;

my $n = 0;

# the first attempt to deliver an event to a subscription of its own, whose URL
# responds so; it ends then

sub attempt {
    my ($name, %rule) = @_;

    my $workspace = 'ws-' . ++$n;

    $hook->on("/$name", %rule);

    my $made = hooks_create($nginx, "$base/$name", workspace => $workspace);

    is(spool_send($nginx, "evt-$n", 'file.written',
        workspace_id => $workspace)->status, 202, "$name: accepted");

    my $d;

    wait_until {
        ($d) = grep { $_->{attempts} }
            spool_deliveries($nginx, "target=$made->{webhook_id}");
    };

    is(hooks_call($nginx, DELETE => "$workspace/webhooks/$made->{webhook_id}")
        ->status, 200, "$name: deleted");

    return $d || {};
}


# redirects

for my $status (301, 302, 303, 307, 308, 300, 304) {
    my $d = attempt("status$status", status => $status,
        headers => [ Location => "$other/location" ]);

    isnt($d->{state}, 'delivered', "$status: a failure");
    is($d->{last_attempt}{status}, $status, "$status: with the status");
}


# headers that are for NGINX, if they come from a backend of the operator

for my $status (200, 302, 403, 503) {
    my $d = attempt("accel$status", status => $status,
        headers => [ 'X-Accel-Redirect' => '/inside/accel' ]);

    is($d->{last_attempt}{status}, $status, "accel $status: the status");
    (\&{ $status == 200 ? 'is' : 'isnt' })->($d->{state}, 'delivered',
        "accel $status: the state");
}

is(attempt('named', headers => [ 'X-Accel-Redirect' => '@inside' ])->{state},
    'delivered', 'a named location');

is(attempt('rate', size => 100_000, headers => [ 'X-Accel-Limit-Rate' => 1 ])
    ->{state}, 'delivered', 'a rate');

is(attempt('buffering', headers => [ 'X-Accel-Buffering' => 'no',
    'X-Accel-Charset' => 'utf-8', 'X-Accel-Expires' => '@4102444800' ])
    ->{state}, 'delivered', 'buffers');


is($inside->count, 0, 'nothing of the server has been requested');


# the variables elsewhere

is(request($nginx->port, GET => '/open')->status, 500,
    'no URL outside of a delivery');
is(request($nginx->port, GET => '/open/id')->body, "[]\n", 'nor an id');
ok($nginx->wait_log(qr/invalid URL prefix in ""/), 'NGINX says so');

done_testing;
