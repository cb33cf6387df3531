#!/usr/bin/perl

# The threads of the spool: calls of the API wait in a queue of their own, and
# delay no event, whatever they wait for.

use lib 't/lib';
use Trove;

my $file = testdir() . '/blocked';

# calls in threads, and calls that may wait for one

my $threads = 2;
my $waiting = 64;

my $backend = backend();

my $nginx = nginx(spool_conf(
    targets => [ t => { to => $backend } ],
    server => <<"EOC" ), modules => [ 'block' ])->start;
        location = /api    { trove_verify off; test_block trove_api $file; }
        location = /writer { trove_verify off; test_block trove_writer $file; }
        location = /maintenance {
            trove_verify off;
            test_block trove_maintenance $file;
        }
EOC

sub block {
    my ($pool, $n) = @_;

    spew($file, '');

    is(get($nginx->port, "/$pool")->status, 204, "$pool: a thread is blocked")
        for 1 .. $n // 1;
}

sub release { unlink $file or die "$file: $!" }

my $call = Trove::Http::build(GET => '/trove/v1/targets',
    headers => [ Authorization => 'Bearer a-token-of-some-length' ]);

sub calls {
    my ($n) = @_;

    return many_start($nginx->port(99), ($call) x $n);
}

# those of the connections that have an answer, once it is $n of them

sub answered {
    my ($n, @conns) = @_;

    my @has;

    wait_until {
        $_->fill for @conns;
        @has = grep { $_->{in} =~ /\}\z/ } @conns;
        return @has >= $n;
    };

    return @has;
}

sub without {
    my ($some, @all) = @_;

    my %some = map { $_ => 1 } @$some;

    return grep { !$some{$_} } @all;
}

# finished requests with this status

sub finished {
    my ($status) = @_;

    return scalar grep { m{"GET /trove/v1/targets HTTP/1.1" $status } }
        split /\n/, $nginx->access_log;
}

is(spool_send($nginx, 'first')->status, 202, 'the spool is open');


# all threads of the API are busy

block(api => $threads);

my @calls = calls($threads + $waiting + 4);
my @refused = answered(4, @calls);

is(@refused, 4, 'as many calls as there is room for wait');

for my $conn (@refused) {
    my $r = $conn->response;

    is($r->status, 503, 'the others are refused');
    is($r->header('Retry-After'), 1, 'until later');
    like($r->json->{detail}, qr/too many API requests/, 'which is said');
}

is(scalar @{[ $nginx->log_lines(
    qr/\[error\].* API request refused: too many requests are waiting/) ]}, 4,
    'and logged');

is(spool_send($nginx, "blocked-$_")->status, 202, 'an event is accepted')
    for 1 .. 3;
ok($backend->wait_count(4), 'and delivered');

@calls = without(\@refused, @calls);


# clients that close make room; those in a thread do not

$_->close for @calls[20 .. 29];

ok(wait_until { finished(499) == 10 }, 'calls whose clients close are removed');

my @more = calls(12);

@refused = answered(2, @more);
is(@refused, 2, 'their places are free');
@more = without(\@refused, @more);
@calls = (@calls[0 .. 19, 30 .. $#calls], @more);
is(@calls, $threads + $waiting, 'and taken');


# one more client, with another address, is not refused for those

my $other = Trove::Http::conn($nginx->port(99), from => '127.0.0.2');

$other->send($call);

@refused = answered(1, @calls);
is(@refused, 1, 'one of the many calls makes room for it');
is($refused[0]->response->status, 503, 'and is refused');

@calls = without(\@refused, @calls);

release();

is($_->response->status, 200, 'calls are answered') for $other, @calls;


# the others

block('maintenance');

is(spool_send($nginx, 'unmaintained')->status, 202,
    'maintenance: an event is accepted');
is(spool_api($nginx, GET => 'targets')->status, 200, 'a call is answered');

release();
block('writer');

is(spool_api($nginx, GET => 'targets')->status, 200,
    'the writer: a call is answered');

release();

is(spool_send($nginx, 'unblocked')->status, 202, 'an event, too, afterwards');


# an exiting worker answers them

block(api => $threads);

@calls = calls(5);

ok($_->wait_read, 'a call is waiting') for @calls;

my ($old) = $nginx->workers;

$nginx->reload;
is(spool_api($nginx, GET => 'targets')->status, 200, 'a new worker answers');

release();

is($_->response->status, 200, 'and so does the old one') for @calls;
ok($nginx->wait_old, 'which exits');

$nginx->stop;


# the names are taken

for my $pool (qw/ trove_writer trove_maintenance trove_api trove_stream /) {
    my ($code, $text) = nginx_t('trove_spool %%TESTDIR%%/conf.spool;',
        main => "thread_pool $pool threads=2;");

    is($code, 1, "$pool is ours");
    like($text, qr/duplicate thread pool "$pool"/, 'which nginx says');
}

done_testing();
