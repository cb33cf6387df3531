#!/usr/bin/perl

# trove_dedup_zone state=: what is completed stays so, whatever happens.

use lib 't/lib';
use Trove;

my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%% %%STATE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $nginx = nginx($http, vars => { SIZE => '1m', STATE => 'state=events.state' },
    workers => 2);
my $file = $nginx->dir . '/events.state';

sub deliver {
    my ($body) = @_;

    my $r = post_event($nginx->port, '/gate', $body, secret => 's3cret');

    return !$r ? 'nothing' : $r->status == 200 && $r->body =~ /"duplicate"/
        ? 'duplicate' : $r->status;
}

sub others { return grep { !/events\.state$/ } glob "$file*" }

# nginx -t touches nothing

is(($nginx->test)[0], 0, 'nginx -t');
ok(!-e $file, 'nginx -t makes no file');

$nginx->start;

ok(-e $file, 'the start makes it');
is((stat $file)[2] & 07777, 0600, 'for root only');
is(-s $file, 1048576, 'in full');
cmp_ok((stat $file)[12] * 512, '>=', 1048576, 'without a hole');
is(join(' ', others()), '', 'and nothing else');

my @done = map { event() } 1 .. 20;

is(deliver($_), 200, 'new') for @done;

my $check = sub {
    my ($name) = @_;

    is(join(' ', map { deliver($_) } @done),
        join(' ', ('duplicate') x @done), $name);
};

$check->('known');

ok($nginx->reload, 'reload');
$check->('known after a reload');

$nginx->restart;
$check->('known after a restart');

$nginx->stop('TERM')->start;
$check->('known after a fast exit');

ok($nginx->upgrade, 'a new binary');
$check->('known after an upgrade');

is(deliver($_), 200, 'new') for my $late = event();
push @done, $late;

$nginx->kill_all;
$nginx->start;
$check->('known after SIGKILL of everything');

# in flight when everything is killed: not done, and not held either

my $body = event();
my ($id) = $body =~ /"id":"([^"]+)/;

$backend->on($id, gate => 'never', times => 1);
my ($conn) = many_start($nginx->port,
    event_request('/gate', $body, secret => 's3cret'));
ok($backend->wait_count(1, $id), 'in flight');

$nginx->kill_all;
$nginx->start;
is(deliver($body), 200, 'what was in flight gets through at once');
push @done, $body;

# another size, at a reload, where old workers still have the old table in the
# same file, and at a start

my %bytes = ('1m' => 1048576, '2m' => 2097152, '512k' => 524288);
my $bytes = $bytes{'1m'};

for my $size (qw/ 2m 512k /) {
    $nginx->{opt}{vars}{SIZE} = $size;
    ok($nginx->reload($http), "reload with $size");
    $check->("known after a reload with $size");
    is(-s $file, $bytes += $bytes{$size}, 'a table behind the others');
    cmp_ok((stat $file)[12] * 512, '>=', $bytes, 'without a hole');
    is(join(' ', others()), '', 'no file is left over');
    push @done, my $more = event();
    is(deliver($more), 200, 'new in it');
}

$nginx->{opt}{vars}{SIZE} = '1m';
$nginx->stop->start;
$check->('known after a restart with another size');
is(-s $file, 1048576, 'its size');
is(join(' ', others()), '', 'and no other file');

# what has to wait for the next start

$nginx->{opt}{vars}{STATE} = '';
ok($nginx->reload($http), 'reload without state=');
ok($nginx->log_lines(qr/\[warn\].*takes effect after a restart/), 'is told');
$check->('known all the same');

$nginx->{opt}{vars}{STATE} = 'state=moved.state';
ok($nginx->reload($http), 'reload with another state=');
ok(!-e $nginx->dir . '/moved.state', 'which is not made yet');
$check->('known all the same');

$nginx->stop->start;
ok(-e $nginx->dir . '/moved.state', 'it is at the next start');
is(deliver($done[0]), 200, 'and empty');

$nginx->{opt}{vars}{STATE} = 'state=events.state';
$nginx->stop->start;
$check->('the old one is as it was');

# another instance

my $other = nginx($http, vars => { SIZE => '1m', STATE => "state=$file" });
my ($code, $text) = $other->try_start;
isnt($code, 0, 'another instance does not start');
like($text . $other->log, qr/is in use by another nginx/, 'and says why');
$check->('which disturbs nobody');

# damaged, of another version: set aside, never deleted

for my $case (
    [ 'a truncated one', sub { truncate $file, 40960 } ],
    [ 'another version', sub { patch(8, pack 'L', 99) } ],
    [ 'another key', sub { patch(40, 'x' x 8) } ],
    )
{
    my ($name, $break) = @$case;

    $nginx->stop;
    $break->();
    my $content = slurp($file);
    my %before = map { $_ => 1 } others();
    $nginx->mark->start;

    my ($aside) = grep { !$before{$_} } others();
    ok($aside, "$name is set aside");
    ok(slurp($aside) eq $content, "$name: as it was");
    ok($nginx->log_lines(qr/\[warn\].*renamed to/), "$name: with a warning");
    is(deliver($done[0]), 200, "$name: the zone starts empty");
    is(deliver($done[0]), 'duplicate', "$name: and works");
}

# damaged slots are dropped, the others stay

is(deliver($_), 200, 'new') for @done[1 .. $#done];
$nginx->stop;

my $content = slurp($file);
my $at = 4096;
$at++ while substr($content, 4096 + 128 + $at - 4096, 1) eq "\0";
patch(4096 + 128 + $at - 4096, chr(ord(substr $content, $at + 128, 1) ^ 0x55));
$nginx->start;
my @again = map { deliver($_) } @done;
cmp_ok(scalar(grep { $_ eq 'duplicate' } @again), '>=', @done - 2,
    'all but the damaged are known');

# configuration

my $dir = $nginx->dir;

for my $case (
    [ "zone=a:1m state=$dir", qr/is not a regular file/ ],
    [ "zone=a:1m state=$dir/none/x", qr/directory ".*none\/" for "state=.* does not exist/ ],
    [ 'zone=a:1m state=', qr/unknown, empty, or duplicate parameter/ ],
    [ "zone=a:1m state=x; trove_dedup_zone zone=b:1m state=x",
        qr/is already used by zone "a"/ ],
    )
{
    my ($code, $text) = nginx_t("trove_dedup_zone $case->[0];");

    is($code, 1, "$case->[0] is refused");
    like($text, $case->[1], 'and why');
}


sub patch {
    my ($offset, $with) = @_;

    open my $fh, '+<:raw', $file or die "open: $!";
    seek $fh, $offset, 0;
    print $fh $with;
    close $fh;
}

done_testing();
