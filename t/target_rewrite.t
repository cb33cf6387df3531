#!/usr/bin/perl

# A delivery is internal: the rewrites of the server are for requests of
# clients, and do not run for it, in either mode.

use lib 't/lib';
use Trove;

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';

my %servers = (
    https => 'if ($http_x_forwarded_proto != https) {
        return 301 https://$host$request_uri; }',
    scheme => 'if ($scheme = http) { set $plain 1; }
        if ($request_uri !~ ^/(wait|spool)$) { set $plain "${plain}1"; }
        if ($http_x_from_outside != yes) {
            return 308 https://$host$request_uri; }',
    agent => 'if ($http_user_agent !~ ^TroveFiles) { return 403; }',
    address => 'if ($remote_addr != 127.0.0.1) { return 403; }',
    method => 'if ($http_x_trove_signature = "") { return 405; }
        if ($http_x_from_outside = "") { return 405; }',
    host => 'if ($http_x_from_outside = "") { return 444; }',
    maintenance => 'set $closed 1;
        if ($http_x_from_outside) { set $closed 0; }
        if ($closed) { return 503; }',
    moved => 'rewrite ^/(sub|healthy)$ /nowhere last;',
    redirect => 'rewrite ^/(sub|healthy)$ https://example.com/ permanent;',
    taken => 'if ($http_x_from_outside = "") { return 200 "ok"; }',
    empty => 'rewrite ^/(sub|healthy)$ /taken last;',
);

# those of the location itself do run

my $location = 'set $own "own $trove_target";
    if ($http_x_trove_event_id = "") { return 400; }
    rewrite ^ /rewritten break;
    proxy_set_header X-Own $own;';

my @names = sort keys %servers;
my ($conf, $n) = ('', 0);

for my $name (@names) {
    my $fanout = "trove_fanout /sub name=sub-$name;
        trove_fanout /healthy name=healthy-$name;";

    $conf .= <<"EOC";
    server {
        listen 127.0.0.1:%%PORT_$n%%;
        server_name $name;
        rewrite_log on;
        $servers{$name}

        location = /wait { $fanout }
        location = /spool { trove_fanout_mode spool; $fanout }
        location = /sub { internal; $location $pass }
        location = /healthy { internal; $pass }
        location = /taken { return 204; }
    }
EOC
    $n++;
}

my $nginx = nginx(<<"EOC")->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry base=1h max=1h;
    trove_verify on;
    trove_secret trove-whsec-sender;
    trove_sign trove-whsec-onward;

    $conf
    %%API%%
EOC

for my $i (0 .. $#names) {

    for my $mode (target_modes()) {
        my $name = $names[$i];
        my $id = new_id();

        $backend->forget;

        my $r = post_event($nginx->port($i), "/$mode", event(undef, id => $id),
            secret => 'trove-whsec-sender', headers => [
                'User-Agent' => 'TroveFiles/1', 'X-From-Outside' => 'yes',
                'X-Forwarded-Proto' => 'https' ]);

        is($r->status, $mode eq 'wait' ? 200 : 202, "$name, $mode: accepted");
        is($r->targets, "sub-$name=200 healthy-$name=200",
            "$name, $mode: the outcome") if $mode eq 'wait';

        ok($backend->wait_count(2, $id), "$name, $mode: both get it");

        my ($sub) = grep { $_->{uri} eq '/rewritten' } $backend->by_id($id);

        is($sub && $backend->header($sub, 'X-Own'), "own sub-$name",
            "$name, $mode: the rewrites of the location run");

        next if $mode eq 'wait';

        my @rows;

        ok((wait_until {
            @rows = target_events($nginx, "event_id = '$id'");
            2 == grep { $_->{state} eq 'delivered' } @rows;
        }), "$name, $mode: delivered");

        is(join(' ', map { "$_->{status} $_->{attempts}" } @rows),
            '200 1 200 1', "$name, $mode: at the first attempt");
    }
}

done_testing();
