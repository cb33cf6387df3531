#!/usr/bin/perl

# Streams over HTTP/2, several of them on a connection; compression; tokens of a
# namespace; and a spool that cannot be read for a while.

use JSON::PP ();

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Stream;

my $token = 'a-token-of-some-length';

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    http => <<'EOC'), workers => 2)->start;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    gzip_http_version 1.0;

    trove_api_token acme a-token-of-acme-0123 workspace=ws-test
                    namespace=acme read;

    server {
        listen 127.0.0.1:%%PORT_1%% http2;
        location /trove/ { trove_api a-token-of-some-length; }
    }
EOC


sub accepted {
    my ($id, %over) = @_;

    my $r = spool_send($nginx, $id, 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;
}


# one connection

my $h2 = h2($nginx->port(1));

sub open_one {
    my ($query) = @_;

    my $id = $h2->headers(GET => '/trove/v1/workspaces/ws-test/webhooks/stream'
        . $query, headers => [ Authorization => "Bearer $token" ], end => 1);

    ok($h2->run(sub { $h2->{streams}{$id}{body} =~ /connected/ }), 'open');

    return $id;
}

sub ids {
    my ($id, $n) = @_;

    my $stream = $h2->{streams}{$id};

    $h2->run(sub { (() = $stream->{body} =~ /^id: \d+\n.*?\n\n/mg) >= $n });

    return [ map { JSON::PP::decode_json($_)->{id} }
        $stream->{body} =~ /^id: \d+\ndata: (.*)\n\n/mg ];
}

my @streams = map { open_one($_) } '', '?namespace=acme', '';

accepted('evt-1', namespace => 'acme');
accepted('evt-2', namespace => 'other');

is_deeply(ids($streams[0], 2), [ 'evt-1', 'evt-2' ], 'the first one');
is_deeply(ids($streams[1], 1), [ 'evt-1' ], 'one with a filter');
is_deeply(ids($streams[2], 2), [ 'evt-1', 'evt-2' ], 'the last one');

$h2->send_rst($streams[0]);
accepted('evt-3', namespace => 'acme', data => { x => 'x' x 300_000 });

is_deeply(ids($streams[1], 2), [ 'evt-1', 'evt-3' ], 'after another has ended');
is_deeply(ids($streams[2], 3), [ map { "evt-$_" } 1 .. 3 ], 'likewise');


# compression

my $zipped = stream($nginx, undef, headers => [ 'Accept-Encoding' => 'gzip' ]);
ok(!$zipped->headers->{'content-encoding'}, 'not compressed');


# tokens

my $acme = 'a-token-of-acme-0123';
my $scoped = stream($nginx, undef, token => $acme);
my $other = stream($nginx, 'namespace=other', token => $acme);

is(stream($nginx, undef, token => $acme, workspace => 'ws-other', open => 0)
    ->status, 404, 'another workspace');

accepted('evt-4', namespace => 'other');
accepted('evt-5', namespace => undef);
accepted('evt-6', namespace => 'acme');

is_deeply($scoped->ids(1), [ 'evt-6' ], 'its own namespace');
is_deeply($zipped->ids(3), [ map { "evt-$_" } 4 .. 6 ], 'all of them');
is_deeply($other->ids(0), [], 'and no other');


# the file is away for a while

my $file = $nginx->dir . '/trove.spool';

rename $file, "$file.away" or die "rename: $!";

is(stream($nginx, undef, open => 0)->status, 503, 'a spool that is away');
$nginx->wait_log(qr/trove: streams cannot read the spool/);

rename "$file.away", $file or die "rename: $!";

ok(wait_until {
    spool_send($nginx, 'evt-7', 'file.written')->status == 202
}, 'the spool is back');

is($zipped->ids(4)->[-1], 'evt-7', 'the stream goes on');


# a reload, and a connection that is dropped

@streams = (@streams[1, 2]);

ok($nginx->reload, 'a reload');
ok($h2->run(sub { $h2->{streams}{$_}{end} }), 'ends each stream') for @streams;
ok($nginx->wait_old, 'and the old workers exit');

$h2 = h2($nginx->port(1));
open_one('') for 1 .. 3;
$h2->drop;

accepted('evt-8');

$nginx->stop;

done_testing();
