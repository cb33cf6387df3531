#!/usr/bin/perl

# Large events that wait for the spool: the memory that they take is bounded.

use lib 't/lib';
use Trove;

my $file = testdir() . '/blocked';
my $backend = backend();

my $nginx = nginx(spool_conf(
    targets => [ t => { to => $backend } ],
    server => <<"EOC" ), modules => [ 'block' ])->start;
        client_max_body_size 2m;

        location = /block {
            trove_verify off;
            test_block trove_writer $file;
        }

        location = /memory {
            client_body_buffer_size 2m;
            trove_fanout_mode spool;
            trove_fanout /t name=t;
        }
EOC

sub block {
    spew($file, '');
    is(get($nginx->port, '/block')->status, 204, 'the writer is blocked');
}

sub release { unlink $file or die "$file: $!" }

my $prefix = new_id();
my $n = 0;

sub large {
    my ($uri, $count) = @_;

    return many_start($nginx->port, map {
        event_request($uri, event('file.written', id => $prefix . $n++,
            data => { text => 'x' x 1000000 }), secret => spool_secret())
    } 1 .. $count);
}

sub metric {
    my ($name) = @_;

    my ($value) = get($nginx->port(99), '/metrics')->body
        =~ /^trove_spool_\Q$name\E(?:_total)? (\S+)/m;

    return $value;
}

sub statuses {
    my %n;

    $n{$_ ? $_->status : 'none'}++ for many_finish(@_);

    return \%n;
}


is(spool_send($nginx, 'first')->status, 202, 'the spool is open');


# bodies in memory: 32 MB may wait, and one more is then too many

block();

my @conns = large('/memory', 40);
my @refused;

wait_until {
    $_->fill for @conns;
    @refused = grep { $_->{in} =~ /\}\z/ } @conns;
    return @refused == 7;
};

is(@refused, 7, 'more than 32 MB do not wait');

my $r = $refused[0]->response;

is($r->status, 503, 'they are refused');
is($r->header('Retry-After'), 10, 'until later');
is($r->body, '{"error":"spool_unavailable"}', 'as if the spool did not work');
is(metric('refused'), 7, 'and counted');
my @lines = $nginx->log_lines(qr/\[crit\].* refused while 33\d{6} bytes of events/);
is(@lines, 1, 'and logged once');

release();

my %refused = map { $_ => 1 } @refused;

is_deeply(statuses(grep { !$refused{$_} } @conns), { 202 => 33 },
    'the others are accepted');

is_deeply(statuses(large('/memory', 3)), { 202 => 3 }, 'and so are new ones');


# bodies in files take no memory until they are written

my $commits = metric('commits');

block();

@conns = large('/events', 40);

ok($_->wait_read, 'an event is waiting') for @conns;

release();

is_deeply(statuses(@conns), { 202 => 40 }, 'all are accepted');
cmp_ok(metric('commits') - $commits, '>=', 5, 'by 8 MB at most');


# a file that is locked: all fail at once, not one transaction after another

my $errors = metric('errors');

block();

@conns = large('/events', 40);

ok($_->wait_read, 'an event is waiting') for @conns;

my $shown = testdir() . '/shell';
my $spool = $nginx->dir . '/trove.spool';

open my $shell, '|-', "exec sqlite3 '$spool' > '$shown'" or die "sqlite3: $!";
$shell->autoflush;
print $shell ".timeout 20000\nBEGIN EXCLUSIVE;\nSELECT 'locked';\n";
ok(wait_until { slurp($shown) =~ /locked/ }, 'the file is locked');

release();

is_deeply(statuses(@conns), { 503 => 40 }, 'locked: all are refused');
cmp_ok(metric('errors') - $errors, '<=', 3, 'at once');

close $shell;

wait_until { statuses(large('/events', 1))->{202} };
is_deeply(statuses(large('/events', 9)), { 202 => 9 }, 'and accepted again');

$nginx->stop;

done_testing();
