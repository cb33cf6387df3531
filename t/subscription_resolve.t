#!/usr/bin/perl

# The hosts of subscribers are resolved while nobody waits: a name without an
# answer delays no other subscription, and no reload; many addresses, aliases and
# IPv6 are of no use to reach what is not allowed.
#
# Something listens at all addresses of this machine, and writes down by which one
# it was reached.  127.0.0.2 and ::1 are allowed.

use lib 't/lib';
use Trove;
use Trove::Dns;
use Trove::Subscription;

use IO::Socket::IP;

my $dns = dns();
my $audit = backend();

my $six = IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 1,
    Proto => 'tcp');

my $listen = $six ? 'listen [::]:%%PORT_1%% ipv6only=on;' : '';

my %options = (
    retry => 'base=100ms factor=1 max=100ms window=1h',
    targets => [ audit => { to => $audit } ],
    allow => '127.0.0.2 ::1',
    deliver => <<"EOC",
            resolver 127.0.0.1:@{[ $dns->port ]} valid=1s;
            resolver_timeout 1s;
            proxy_next_upstream error timeout http_500 non_idempotent;
EOC
    http => <<"EOC",
    log_format where '\$server_addr \$request_uri';

    server {
        listen 0.0.0.0:%%PORT_1%%;
        $listen

        access_log logs/where.log where;

        location / { trove_verify off; return 200; }
        location /fail { trove_verify off; return 500; }
    }
EOC
);

# the resolver of the template is in "deliver"

sub conf {
    return subscription_conf(%options, @_) =~ s/^\s*resolver 127.0.0.1:9;\n//mr;
}

my $nginx = nginx(conf(), workers => 2)->start;
my $port = $nginx->port(1);
my $n = 0;


# the addresses by which a path was reached

sub where {
    my ($path) = @_;

    return map { /^(\S+) \Q$path\E$/ ? $1 : () }
        split /\n/, $nginx->read_log('logs/where.log');
}


# a subscription of its own workspace, and an event for it

sub subscribe {
    my ($url) = @_;

    my $workspace = 'ws-' . ++$n;
    my $made = hooks_create($nginx, $url, workspace => $workspace);

    return { id => $made->{webhook_id}, workspace => $workspace };
}


sub event_to {
    my ($hook) = @_;

    my $r = spool_send($nginx, 'evt-' . ++$n, 'file.written',
        workspace_id => $hook->{workspace});

    is($r->status, 202, "an event of $hook->{workspace}");
}


# the delivery, as soon as it has been tried

sub tried {
    my ($hook) = @_;

    my $d;

    wait_until {
        ($d) = grep { $_->{attempts} }
            spool_deliveries($nginx, "target=$hook->{id}");
    } 30;

    return $d || {};
}


sub attempt {
    my ($url) = @_;

    my $hook = subscribe($url);

    event_to($hook);

    my $d = tried($hook);

    end($hook);

    return $d;
}


sub end {
    my ($hook) = @_;

    is(hooks_call($nginx, DELETE => "$hook->{workspace}/webhooks/$hook->{id}")
        ->status, 200, "$hook->{workspace} ends");
}


# many addresses, of which the last one, or none, is allowed

my @bad = map { ("10.0.0.$_", "127.0.0.$_") } 100 .. 149;

$dns->answer('many.example', join ',', @bad, '127.0.0.2');
is(attempt("http://many.example:$port/many")->{state}, 'delivered',
    'one of 101 addresses is allowed');
is_deeply([ where('/many') ], ['127.0.0.2'], 'it alone was reached');

$dns->answer('none.example', join ',', @bad);
my $d = attempt("http://none.example:$port/none");
is($d->{last_attempt}{error}, 'not_allowed', 'none of 100 is');
is_deeply([ where('/none') ], [], 'none was reached');


# a failure is no reason to try another address, whatever the location says

$dns->answer('next.example', '127.0.0.2,127.0.0.3,127.0.0.1');
$d = attempt("http://next.example:$port/fail/next");
is($d->{last_attempt}{status}, 500, 'a failure');
is_deeply([ grep { $_ ne '127.0.0.2' } where('/fail/next') ], [],
    'NGINX does not try the next address');

$dns->answer('down.example', '127.0.0.2,127.0.0.1');
my $free = $nginx->port(3);
$d = attempt("http://down.example:$free/down");
is($d->{last_attempt}{status}, 502, 'nothing listens');


# aliases

$dns->answer('alias.example', 'cname:good.example,127.0.0.2');
is(attempt("http://alias.example:$port/alias")->{state}, 'delivered',
    'an alias of an address that is allowed');
is_deeply([ where('/alias') ], ['127.0.0.2'], 'and of no other');

$dns->answer('chain.example', 'cname:a.example,cname:localhost,127.0.0.1');
$d = attempt("http://chain.example:$port/chain");
is($d->{last_attempt}{error}, 'not_allowed', 'a chain that leads elsewhere');
is_deeply([ where('/chain') ], [], 'is not followed');


# IPv6

SKIP: {
    skip 'no IPv6 here', 6 if !$six;

    $dns->answer('six.example', '::1');
    is(attempt("http://six.example:$port/six")->{state}, 'delivered',
        'only an IPv6 address');
    is_deeply([ where('/six') ], ['::1'], 'and it was reached');

    is(attempt("http://[::1]:$port/literal")->{state}, 'delivered',
        'an IPv6 address in the URL');
    is_deeply([ where('/literal') ], ['::1'], 'was reached');
}

for my $address (qw/ ::ffff:127.0.0.2 ::ffff:127.0.0.1 ::127.0.0.1 ::
    64:ff9b::7f00:1 2002:7f00:1:: fe80::1 fc00::1 ff02::1 /)
{
    my $name = 'v6-' . $address =~ s/[:.]/-/gr =~ s/^-+|-+$//gr . 'x.example';

    $dns->answer($name, $address);
    $d = attempt("http://$name:$port/$name");
    is($d->{last_attempt}{error}, 'not_allowed', "$address: not allowed");
    is_deeply([ where("/$name") ], [], "$address: not reached");
}


# no answer: others are delivered meanwhile, and the attempt fails

$dns->answer('silent.example', 'nothing');
$dns->answer('good.example', '127.0.0.2');

my $silent = subscribe("http://silent.example:$port/silent");
my $good = subscribe("http://good.example:$port/good");

event_to($silent) for 1 .. 10;

ok((wait_until { $dns->queries('silent.example') }), 'the name is resolved');
event_to($good);
is(tried($good)->{state}, 'delivered', 'another one is delivered meanwhile');

$d = tried($silent);
is($d->{last_attempt}{error}, 'not_resolved', 'a time-out is a failure');
is($d->{last_attempt}{status}, 502, 'as if it were the status 502');

# it is mended

my $queries = $dns->queries('silent.example');

$dns->answer('silent.example', '127.0.0.2');
ok((wait_until { (() = where('/silent')) >= 10 } 60),
    'all events arrive when the name has an address');


# the ends of a subscription, and of a worker, while a name is resolved

$dns->answer('late.example', 'nothing');

sub resolving {
    my ($name) = @_;

    my $hook = subscribe("http://$name:$port/$name");

    event_to($hook);
    ok((wait_until { $dns->queries($name) }), "$name is resolved");

    return $hook;
}

end(resolving('late.example'));

$dns->answer("late$_.example", 'nothing') for 1 .. 3;

my $late = resolving('late1.example');
ok($nginx->reload, 'a reload meanwhile');
ok($nginx->wait_old, 'the old workers leave');
is(tried($late)->{last_attempt}{error}, 'not_resolved', 'after the attempt');
end($late);

$late = resolving('late2.example');
ok($nginx->reload(conf(deliver => $options{deliver}
    . 'proxy_read_timeout 3s;', allow => '127.0.0.3')),
    'a reload that allows less, meanwhile');
$dns->answer('late2.example', '127.0.0.2');
ok((wait_until {
    ($d) = spool_deliveries($nginx, "target=$late->{id}");
    ($d->{last_attempt}{error} // '') eq 'not_allowed';
} 30), 'not allowed any more');
end($late);

$late = resolving('late3.example');
$nginx->stop;

$dns->answer('late3.example', '127.0.0.3');
$nginx->start;
ok((wait_until { (() = where('/late3.example')) > 0 } 60),
    'after a stop it is delivered');
is_deeply([ grep { $_ ne '127.0.0.3' } where('/late3.example') ], [],
    'to the address that is allowed');

done_testing;
