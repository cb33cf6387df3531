#!/usr/bin/perl

# A zone without room.  Live claims are cheap here: requests of one HTTP/2
# connection that wait for a resolver that never answers.

use lib 't/lib';
use Trove;

use IO::Socket::INET;

my $secret = 'trove-whsec-full';
my $backend = backend();

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')
    or die "udp: $!";

my $nginx = nginx(<<'EOF', vars => { DNS => $silent->sockport })->start;
    log_format dedup '$uri [$trove_dedup] $status';
    access_log %%TESTDIR%%/logs/access.log dedup;

    trove_dedup_zone zone=small:32k;
    http2_max_concurrent_streams 10000;
    keepalive_requests 100000;
    resolver 127.0.0.1:%%DNS%%;
    resolver_timeout 60s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        root %%TESTDIR%%/html;

        trove_dedup zone=small key=$arg_k;

        location = /hold {
            set $host_name never.example;
            proxy_pass http://$host_name;
        }

        location = /pass {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /event {
            trove_verify on;
            trove_secret trove-whsec-full;
            trove_dedup zone=small;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /own {
            error_page 503 /own.txt;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /own.txt {
            internal;
        }
    }
EOF

mkdir $nginx->dir . '/html' or die;
$nginx->write('html/own.txt', "own\n");

my $new = qq/{"ok":true}\n/;

sub ask {
    my ($key, $uri) = @_;

    return get($nginx->port, ($uri // '/pass') . "?k=$key");
}

# opens so many requests on a new connection: those refused, of those sent

sub hold {
    my ($h2, $first, $last) = @_;

    my %stream = map {
        $_ => $h2->headers('GET', "/hold?k=live$_", end => 1)
    } $first .. $last;

    # the answer to this comes after those of all before it

    $h2->response($h2->headers('GET', '/own.txt', end => 1));

    return grep { $h2->{streams}{ $stream{$_} }{done} } $first .. $last;
}


# DONE gives way

my $body = event('file.written', id => my $id = new_id());

is(post_event($nginx->port, '/event', $body, secret => $secret)->body, $new,
    'an event, long ago');
is(ask("first")->body, $new, 'a key, long ago');

my ($h2, @refused) = h2($nginx->port(1));
my $held = 0;

@refused = hold($h2, $held + 1, $held += 200)
    while !@refused && $held < 3000;

cmp_ok($held, '>', 800, 'hundreds of live claims have room');
ok(scalar @refused, 'until one has not');

@refused = hold($h2, $held + 1, $held + 2000);
$held += 2000;

cmp_ok(scalar @refused, '>', 1000, 'and then hardly any');


# find keys that have no room: every new one, nearly

my @full = grep { ask($_)->status == 503 } map { "more$_" } 1 .. 50;

cmp_ok(scalar @full, '>', 25, 'it is full');

my $r = ask($full[0]);

is($r->status . ' ' . $r->body, '503 {"error":"zone_full"}', 'so says the 503');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'with Retry-After');
is($r->header('Content-Type'), 'application/json', 'as JSON');
is($backend->count("/pass?k=$full[0]"), 0, 'the application does not see it');

$r = ask($full[0], '/own');
is($r->status . ' ' . $r->body, "503 own\n", 'error_page 503');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'with our Retry-After');

# live claims are never given up

my @live = grep { ask("live$_")->status == 409 } 1 .. 400;

is(scalar @live, 400, 'all that were claimed are in flight still');

# an event, in one of those places

my @events = map { event() } 1 .. 30;
my @answers = map {
    post_event($nginx->port, '/event', $_, secret => $secret)
} @events;

cmp_ok(scalar(grep { $_->status == 503 } @answers), '>', 15, 'events as well');
is(scalar(grep { $_->status == 503 && $_->body ne '{"error":"zone_full"}' }
    @answers), 0, 'all for the same reason');

ok(wait_until { $nginx->log_lines(
    qr/ \[error\] .*trove: zone "small" is full: too many events are being/)
}, 'the log tells so');
ok(wait_until { $nginx->access_log =~ m{^/pass \[-?\] 503$}m },
    '$trove_dedup is empty');


# as soon as they are gone, there is room

$h2->close;

ok(wait_until { ask($full[0])->status == 200 }, 'they leave: it passes');
is(scalar(grep { ask($_)->body ne $new } @full[1 .. $#full]), 0,
    'as do the others, at once');
is(scalar(grep { ask($_)->body eq $new } @full), 0, 'which then are known');

my $i = (grep { $answers[$_]->status == 503 } 0 .. $#answers)[0];
my @twice = map {
    post_event($nginx->port, '/event', $events[$i], secret => $secret)->body
} 1 .. 2;

is($twice[0], $new, 'the retry of an event that was refused passes');
like($twice[1], qr/duplicate/, 'and is then a duplicate');


# DONE gives way to DONE, the oldest first, to the second

sub fill {
    my (@keys) = @_;

    my $conn = conn($nginx->port);
    my %body;

    for my $key (@keys) {
        $conn->send(build('GET', "/pass?k=$key"));
        $body{ $conn->response->body }++;
    }

    $conn->close;

    return \%body;
}

my @old = map { "old$_" } 1 .. 2000;
my @young = map { "young$_" } 1 .. 200;

is_deeply(fill(@old), { $new => 2000 }, '2000 more: all pass');

my $second = time();
wait_until { time() > $second };

is_deeply(fill(@young), { $new => 200 }, '200 younger ones: all pass');
is(fill(@young)->{$new}, undef, 'all of which are known');
cmp_ok(fill(@old)->{$new}, '>', 500, 'while old ones have given way');

$nginx->no_errors(qr/zone "\w+" is full/);

done_testing();
