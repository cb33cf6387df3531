#!/usr/bin/perl

# The file of keys that seals the secrets of subscriptions: it is rotated, it is
# lost, and it comes back.  Nothing is sent that is signed with another secret, or
# not at all: events wait.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $audit = backend();
my $hook = backend();

my @keys = map { $_ x 64 } qw/ a b c /;
my $path = testdir() . '/subscriptions.key';

sub conf {
    my (@lines) = @_;

    return subscription_conf(
        retry => 'base=100ms factor=1 max=100ms window=1h',
        targets => [ audit => { to => $audit } ],
        key => join('', map { "$_\n" } @lines),
    );
}

my $nginx = nginx(conf($keys[0]), workers => 2)->start;
my $spool = $nginx->dir . '/trove.spool';
my $base = 'http://127.0.0.1:' . $hook->port;
my $n = 0;


sub create {
    my ($name) = @_;

    return { name => $name, %{ hooks_create($nginx, "$base/$name",
        workspace => "ws-$name") } };
}


sub event_to {
    my ($made) = @_;

    my $id = 'evt-' . ++$n;

    is(spool_send($nginx, $id, 'file.written',
        workspace_id => "ws-$made->{name}")->status, 202, "$id is accepted");

    return $id;
}


# the event arrives, with the secrets in this order, and no others

sub arrives {
    my ($id, $name, @secrets) = @_;

    ok($hook->wait_count(1, $id), "$name: arrives") or return;

    my ($request) = $hook->by_id($id);

    is(hooks_secrets($request), scalar @secrets, "$name: the secrets");
    is(hooks_verify($request, $secrets[$_]), $_ + 1, "$name: secret $_")
        for 0 .. $#secrets;
}


sub delivery {
    my ($made) = @_;

    return (spool_deliveries($nginx, "target=$made->{webhook_id}"))[0] || {};
}


sub rotate {
    my ($made, %members) = @_;

    my $r = hooks_call($nginx,
        POST => "ws-$made->{name}/webhooks/$made->{webhook_id}/rotate",
        \%members);

    is($r->status, 200, "$made->{name}: rotate");

    return $r->json->{signing_secret};
}


sub sealed {
    my ($made) = @_;

    return join '', slurp($spool), slurp("$spool-wal");
}


# no secret is in the spool as it is

my $one = create('one');

arrives(event_to($one), 'one key', $one->{signing_secret});

my $bare = $one->{signing_secret} =~ s/^trove-whsec-//r;

is(index(sealed($one), $bare), -1, 'the spool has no secret');
is(index(sealed($one), pack 'H*', $bare), -1, 'in no form');


# a second key in front of it seals what comes; both open

ok($nginx->reload(conf(@keys[1, 0])), 'a new key in front');

my $two = create('two');

arrives(event_to($one), 'of the old key', $one->{signing_secret});
arrives(event_to($two), 'of the new key', $two->{signing_secret});

# a rotation leaves a secret of each key

my $rotated = rotate($one);

arrives(event_to($one), 'of both keys', $one->{signing_secret}, $rotated);


# the old key is gone: the previous secret cannot be opened, nor be left out

$nginx->mark;
ok($nginx->reload(conf($keys[1])), 'without the old key');
ok($nginx->wait_old, 'in all workers');

my $waits = event_to($one);

arrives(event_to($two), 'the other one is', $two->{signing_secret});

ok($nginx->wait_log(qr/\[error\] .*secret of subscription "$one->{webhook_id}" /
    . qr/cannot be opened: its key is missing; its events wait, restore the /),
    'the log says why, and what to do');

arrives(event_to($two), 'still', $two->{signing_secret});

is($hook->count($waits), 0, 'nothing is sent that lacks a signature');

my $d;

ok((wait_until { $d = delivery($one); $d->{state} eq 'pending' }), 'it waits');
is($d->{attempts}, 0, 'that is no attempt of the subscriber');
ok((grep { $_->{webhook_id} eq $one->{webhook_id} && $_->{enabled} }
    @{ hooks_call($nginx, GET => 'ws-one/webhooks')->json->{webhooks} }),
    'who stays enabled');

my @lines = $nginx->log_lines(qr/cannot be opened/);
cmp_ok(scalar @lines, '<=', 2, 'each worker says so from time to time only');
unlike("@lines", qr/trove-whsec|$keys[0]|$keys[1]/, 'without a secret or a key');

# it comes back

ok($nginx->reload(conf(@keys[1, 0])), 'the old key is back');
arrives($waits, 'what has waited', $one->{signing_secret}, $rotated);


# another key altogether, and a rotation as the log says

ok($nginx->reload(conf($keys[2])), 'all keys are lost');
ok($nginx->wait_old, 'by all workers');

$waits = event_to($two);

ok((wait_until { delivery($two)->{state} eq 'pending' }), 'an event waits');

my $three = create('three');
arrives(event_to($three), 'a new subscription works',
    $three->{signing_secret});
is($hook->count($waits), 0, 'nothing else is sent');

my $new = rotate($two, keep_seconds => 0);

arrives($waits, 'after a rotation', $new);


# the file has gone, or is wrong: nginx refuses, and the old configuration goes on

$nginx->expect(qr/in "trove_subscription_key"/);

for my $case (
    [ 'gone', undef, qr/open\(\) "\Q$path\E" .*failed/ ],
    [ 'empty', '', qr/is (?:empty|invalid)/ ],
    [ 'short', "abc\n",
        qr/line 1 of "\Q$path\E".*must have 64 hexadecimal digits/ ],
    [ 'second', "$keys[2]\n# a comment\n\n" . 'x' x 64 . "\n",
        qr/line 4 of "\Q$path\E".*must have 64 hexadecimal digits/ ],
    [ 'twice', "$keys[2]\n$keys[2]\n",
        qr/line 2 of "\Q$path\E".*a key is there twice/ ],
    [ 'comments', "# none\n", qr/it has no key; make one by/ ],
) {
    my ($name, $content, $expected) = @$case;

    $nginx->mark;

    my $conf = conf($keys[2]);

    if (defined $content) {
        spew($path, $content);

    } else {
        unlink $path or die "unlink: $!";
    }

    ok(!$nginx->reload($conf), "$name: nginx refuses");

    my ($line) = $nginx->log_lines(qr/\[emerg\]/);

    like($line // '', $expected, "$name: and says why");
    like($line // '', qr/"trove_subscription_key"/, "$name: where");
    unlike($line // '', qr/$keys[2]/, "$name: without the key");

    arrives(event_to($three), "$name: goes on", $three->{signing_secret});
}

chmod 0600, $path;
ok($nginx->reload(conf($keys[2])), 'it is mended');
arrives(event_to($three), 'afterwards', $three->{signing_secret});

done_testing;
