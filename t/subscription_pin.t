#!/usr/bin/perl

# Where events for subscriptions go: to the address that has been checked, and to
# no other one, whatever the DNS says, and whatever else is in the configuration.
#
# The address 127.0.0.2 is allowed, 127.0.0.1 is not: there, something listens at
# the same port, and counts.

use lib 't/lib';
use Trove;
use Trove::Dns;
use Trove::Subscription;

my $dns = dns();
my $audit = backend();

my $tls = testdir() . '/tls';

mkdir $tls or die "mkdir: $!";
system("cd $tls && openssl req -x509 -newkey rsa:2048 -nodes -days 30 "
    . "-subj /CN=ca -keyout ca.key -out ca.crt 2>/dev/null "
    . "&& openssl req -newkey rsa:2048 -nodes -subj /CN=tls.example "
    . "-addext 'subjectAltName=DNS:tls.example' -keyout a.key -out a.csr "
    . "2>/dev/null && echo 'subjectAltName=DNS:tls.example' > ext "
    . "&& openssl x509 -req -in a.csr -CA ca.crt -CAkey ca.key "
    . "-CAcreateserial -days 30 -extfile ext -out a.crt 2>/dev/null") == 0
    or die 'openssl failed';

my %options = (
    retry => 'base=100ms factor=1 max=100ms window=1h',
    targets => [ audit => { to => $audit } ],
    allow => '127.0.0.2 named.example meta.example',
    deliver => <<"EOC",
            resolver 127.0.0.1:@{[ $dns->port ]} valid=1s;
            resolver_timeout 1s;
            proxy_ssl_trusted_certificate $tls/ca.crt;
EOC
    http => <<"EOC",
    log_format where '\$server_addr \$request_uri \$http_host \$ssl_server_name';

    upstream trap.example { server 127.0.0.1:%%PORT_1%%; }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        listen 127.0.0.2:%%PORT_1%%;
        listen 127.0.0.1:%%PORT_2%% ssl;
        listen 127.0.0.2:%%PORT_2%% ssl;

        ssl_certificate     $tls/a.crt;
        ssl_certificate_key $tls/a.key;

        access_log logs/where.log where;

        location / { trove_verify off; return 200; }
        location /fail { trove_verify off; return 500; }
        location /redirect {
            trove_verify off;
            return 302 http://127.0.0.1:%%PORT_1%%/redirected;
        }
    }
EOC
);

# the resolver of the template is in "deliver"

my $conf = subscription_conf(%options) =~ s/^\s*resolver 127.0.0.1:9;\n//mr
    =~ s/^\s*proxy_ssl_trusted_certificate \/etc.*\n//mr;

my $nginx = nginx($conf, workers => 2)->start;
my $port = $nginx->port(1);

sub where {
    my ($path) = @_;

    return grep { m{ /\Q$path\E } } split /\n/, $nginx->read_log('logs/where.log');
}

my $n = 0;

# sends an event to a subscription, and returns what has become of the attempt

sub attempt {
    my ($url, $events) = @_;

    my $workspace = 'ws-' . ++$n;
    my $made = hooks_create($nginx, $url, workspace => $workspace);

    for my $i (1 .. $events // 1) {
        my $r = spool_send($nginx, "evt-$n-$i", 'file.written',
            workspace_id => $workspace);
        $r->status == 202 or die 'not accepted';
    }

    my @d;

    wait_until {
        @d = grep { $_->{attempts} }
            spool_deliveries($nginx, "target=$made->{webhook_id}&limit=500");
        @d == ($events // 1)
    } 30;

    return { %{ $d[0] || {} }, webhook => $made, workspace => $workspace };
}

# ends a subscription, so that it is not tried again

sub end {
    my ($d) = @_;

    is(hooks_call($nginx,
        DELETE => "$d->{workspace}/webhooks/$d->{webhook}{webhook_id}")->status,
        200, 'the end of it');
}


# an address that is allowed

$dns->answer('good.example', '127.0.0.2');

my $d = attempt("http://good.example:$port/good");

is($d->{state}, 'delivered', 'delivered to an address that is allowed');
is(join('; ', where('good')), "127.0.0.2 /good good.example:$port -",
    'with the name in the request');
end($d);


# one that is not

for my $case (
    [ bad => '127.0.0.1' ],
    [ six => '::1' ],
    [ mapped => '::ffff:127.0.0.1' ],
    [ any => '0.0.0.0' ],
    [ metadata => '169.254.169.254' ],
    [ private => '10.0.0.1,192.168.0.1,172.16.0.1' ],
    [ alias => 'cname:localhost.example,127.0.0.1' ],
) {
    my ($name, $answer) = @$case;

    $dns->answer("$name.example", $answer);
    $d = attempt("http://$name.example:$port/$name");

    isnt($d->{state}, 'delivered', "$name: not delivered");
    is($d->{last_attempt}{error}, 'not_allowed', "$name: not allowed");
    is(where($name), 0, "$name: no connection");
    end($d);
}

# a public address is allowed, but not by this URL

$dns->answer('public.example', '93.184.216.34');
$d = attempt("http://public.example:$port/public");
isnt($d->{state}, 'delivered', 'http to a public address is not');
end($d);


# the answer changes

$dns->answer('rebind.example', '127.0.0.2', '127.0.0.1');

$d = attempt("http://rebind.example:$port/fail/rebind");

ok((wait_until { $dns->queries('rebind.example') >= 3 } 30),
    'the name is resolved again');
is(scalar(grep { !/^127\.0\.0\.2 / } where('fail/rebind')), 0,
    'no attempt to the other address');
cmp_ok(where('fail/rebind'), '>=', 1, 'some to the first one');
end($d);


# one of each

$dns->answer('mixed.example', '127.0.0.1,127.0.0.2,10.0.0.1,::1');

$d = attempt("http://mixed.example:$port/mixed", 30);

is(where('mixed'), 30, 'all to the one that is allowed');
is(scalar(grep { !/^127\.0\.0\.2 / } where('mixed')), 0, 'none to another one');
end($d);


# an upstream of the same name in the configuration

$dns->answer('trap.example', '127.0.0.2');

$d = attempt("http://trap.example:$port/trap");
is($d->{state}, 'delivered', 'delivered');
like((where('trap'))[0], qr/^127\.0\.0\.2 /, 'not to the upstream');
end($d);


# a name that is allowed may have any address, but that of a metadata service

$dns->answer('named.example', '127.0.0.1');
$d = attempt("http://named.example:$port/named");
is($d->{state}, 'delivered', 'a name that is allowed');
like((where('named'))[0], qr/^127\.0\.0\.1 /, 'at any address');
end($d);

$dns->answer('meta.example', '169.254.169.254');
$d = attempt("http://meta.example:$port/metadata");
isnt($d->{state}, 'delivered', 'not that of a metadata service');
end($d);


# a redirect is not followed

$d = attempt("http://good.example:$port/redirect");
isnt($d->{state}, 'delivered', 'a redirect is a failure');
is(where('redirected'), 0, 'it is not followed');
end($d);


# TLS: the certificate is that of the name

$dns->answer($_, '127.0.0.2') for qw/ tls.example other.example /;

my $secure = $nginx->port(2);

$d = attempt("https://tls.example:$secure/tls");
is($d->{state}, 'delivered', 'with TLS');
is(join('; ', where('tls')), "127.0.0.2 /tls tls.example:$secure tls.example",
    'and the name in it');
end($d);

$d = attempt("https://other.example:$secure/other");
isnt($d->{state}, 'delivered', 'not with the certificate of another name');
is(where('other'), 0, 'nothing is sent');
end($d);


# no answer, no name: others do not wait

$dns->answer('silent.example', 'nothing');
$dns->answer('failing.example', 'error');

for my $name (qw/ silent failing missing /) {
    $d = attempt("http://$name.example:$port/$name");
    isnt($d->{state}, 'delivered', "$name: not delivered");
    end($d) if $name ne 'silent';
}

# a reload while a name is being resolved

ok($nginx->reload, 'reload');
ok($nginx->wait_old, 'the old workers leave');

$d = attempt("http://good.example:$port/after");
is($d->{state}, 'delivered', 'the new ones deliver');

done_testing;
