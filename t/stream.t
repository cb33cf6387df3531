#!/usr/bin/perl

# The stream: events as they are accepted, by any worker, in order, each once;
# on one line; what is asked for, and from where on.

use Time::HiRes qw/ time /;

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Stream;

my $nginx = nginx(spool_conf(targets => [ none => {
    fanout => 'events=none', conf => 'return 204;' } ]), workers => 2)->start;


sub accepted {
    my ($id, $type, %over) = @_;

    my $r = spool_send($nginx, $id, $type // 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}


# the response

accepted('evt-before');

my $s = stream($nginx);
my $headers = $s->headers;

is($s->status, 200, 'it is open');
is($headers->{'content-type'}, 'text/event-stream', 'a stream of events');
is($headers->{'cache-control'}, 'no-store', 'not to be stored');
is($headers->{'x-accel-buffering'}, 'no', 'nor to be buffered');
ok(!$headers->{'content-encoding'}, 'nor compressed');

my @sent = map { accepted("evt-a$_") } 1 .. 20;

is_deeply($s->ids(20), \@sent, 'each event once, in order');
is(($s->events(20))[0]{data}{type}, 'file.written', 'the whole body');

my $fast = time;
accepted('evt-fast');
$s->events(21);
cmp_ok(time - $fast, '<', limit(1), 'soon');


# characters that end a line somewhere

my %strange = (
    nel => "\x{85}", ls => "a\x{2028}b", ps => "\x{2029}", vt => "\x0b",
    ff => "\x0c", fs => "\x1c\x1d\x1e\x1f", del => "\x7f\x{80}\x{9f}",
    lf => "\n\r\t", text => "\x{e9}\x{20ac}\x{1f600} \\ \" </script>",
);

accepted('evt-strange', 'file.written', data => \%strange);

my ($event) = grep { $_->{data}{id} eq 'evt-strange' } $s->events(22);
is_deeply($event->{data}{data}, \%strange, 'on one line, and the same');

my $body = qq({\r\n\t"id" : "evt-pretty",\n "type": "file.written",\n\n)
    . qq("workspace_id":"ws-test","created_at":"2026-05-01T12:00:00Z",\n)
    . qq("data":{"a":"\xe2\x80\xa8\xc2\x85\\u2028\\n"}\r\n}\n\n);

is(post_event($nginx->port, '/events', $body, secret => spool_secret())->status,
    202, 'a body of several lines');
($event) = grep { $_->{data}{id} eq 'evt-pretty' } $s->events(23);
is($event->{data}{data}{a}, "\x{2028}\x{85}\x{2028}\n", 'is one line');
like($event->{line}, qr/"a":"\\u2028\\u0085\\u2028\\n"/, 'with escapes');


# what is asked for

my %filtered = (
    'types=exec.completed' => [ 'evt-f2', 'evt-f3' ],
    'types=file.*' => [ 'evt-f1', 'evt-f4', 'evt-f5' ],
    'types=%20file.deleted%20,%20exec.*%20' => [ map { "evt-f$_" } 2 .. 5 ],
    'namespace=acme' => [ 'evt-f1', 'evt-f3' ],
    'namespace=other' => [ 'evt-f2', 'evt-f4' ],
    'namespace=acme&types=file.*' => [ 'evt-f1' ],
    'namespace=acme,oth*' => [ map { "evt-f$_" } 1 .. 4 ],
);

my %streams = map { $_ => stream($nginx, $_) } keys %filtered;
my $elsewhere = stream($nginx, undef, workspace => 'ws-other');

accepted('evt-f1', 'file.written', namespace => 'acme');
accepted('evt-f2', 'exec.completed', namespace => 'other');
accepted('evt-f3', 'exec.completed', namespace => 'acme');
accepted('evt-f4', 'file.deleted', namespace => 'other');
accepted('evt-f5', 'file.deleted', namespace => undef);
accepted('evt-f6', 'file.written', workspace_id => 'ws-other',
    namespace => 'none');

for my $query (sort keys %filtered) {
    my @ids = @{ $filtered{$query} };
    is_deeply($streams{$query}->ids(scalar @ids), \@ids, $query);
}

is_deeply($elsewhere->ids(1), [ 'evt-f6' ], 'another workspace');


# from where on

my @all = $s->events(28);
my @numbers = map { $_->{number} } @all;
my @ids = map { $_->{data}{id} } @all;

is_deeply(stream($nginx, undef, headers => [ 'Last-Event-ID' => $numbers[9] ])
    ->ids(18), [ @ids[10 .. 27] ], 'after the last event');
is_deeply(stream($nginx, "cursor=$numbers[9]")->ids(18), [ @ids[10 .. 27] ],
    'likewise by an argument');
is_deeply(stream($nginx, "cursor=$numbers[9]&since=0&types=exec.*",
    headers => [ 'Last-Event-ID' => $numbers[22] ])->ids(2),
    [ 'evt-f2', 'evt-f3' ], 'the field comes first');
is_deeply(stream($nginx, undef, headers => [ 'Last-Event-ID' => 0 ])->ids(29),
    [ 'evt-before', @ids ], 'all of them');

accepted('evt-late', 'file.written', created_at => '2201-01-01T00:00:00Z');
accepted('evt-early', 'file.written', created_at => '2001-01-01T00:00:00Z');
my $since = stream($nginx, 'since=2200-12-31T00:00:00Z');
accepted('evt-early2', 'file.written', created_at => '2001-01-01T00:00:00Z');

is_deeply([ grep { /^evt-(?:late|early)/ } @{ $since->ids(2) } ],
    [ 'evt-late', 'evt-early2' ], 'those created later, and all new ones');

is_deeply(stream($nginx, 'since=0&types=exec.*')->ids(2),
    [ 'evt-f2', 'evt-f3' ], 'from the beginning');

$s = stream($nginx, 'cursor=999999999');
accepted('evt-end');
is_deeply($s->ids(1), [ 'evt-end' ], 'an event that does not exist: the end');


# what is rejected

for my $query (qw/ limit=5 state=failed until=2026-01-01 target=x location=x
    event=x dry_run=1 cursor=x cursor=1-1-1-1 unknown=1 since=x /)
{
    my $no = stream($nginx, $query, open => 0);
    is($no->status, 400, "rejected: $query");
}

is(stream($nginx, undef, open => 0, headers => [ 'Last-Event-ID' => 'x' ])
    ->status, 400, 'no number');
is(stream($nginx, undef, open => 0, token => 'wrong')->status, 401, 'no token');
is(stream($nginx, undef, open => 0, method => 'POST')->status, 405,
    'no other method');


# HEAD, HTTP/1.0

my $head = stream($nginx, undef, open => 0, method => 'HEAD');
is($head->status, 200, 'HEAD');
is($head->headers->{'content-type'}, 'text/event-stream', 'with its fields');

$s = stream($nginx, undef, version => 'HTTP/1.0');
ok(!$s->headers->{'transfer-encoding'}, 'HTTP/1.0 has no chunks');
accepted('evt-old');
is_deeply($s->ids(1), [ 'evt-old' ], 'but events');


# a client that goes; a reload

$s->connection->close;
$_->connection->close for values %streams;

my @open = map { stream($nginx) } 1 .. 5;
accepted('evt-last');
is_deeply($_->ids(1), [ 'evt-last' ], 'before the reload') for @open;

ok($nginx->reload, 'a reload');
ok($_->ended, 'ends the stream') for @open;
ok($nginx->wait_old, 'the old workers exit');

$s = stream($nginx, undef,
    headers => [ 'Last-Event-ID' => ($open[0]->events(1))[0]{number} ]);
accepted('evt-new');
is_deeply($s->ids(1), [ 'evt-new' ], 'it continues');

ok($s->wait_for(sub { $s->comments }, 25), 'a comment');

$nginx->stop;

done_testing();
