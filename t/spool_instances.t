#!/usr/bin/perl

# Another instance of NGINX does not start with a spool that is in use, even if
# another program has removed the file that is locked.

use lib 't/lib';
use Trove;

my $backend = backend();
my $spool = testdir() . '/one.spool';

chmod 01777, testdir();

sub instance {
    return nginx(spool_conf(spool => $spool,
        targets => [ a => { to => $backend } ]), workers => 1);
}

my $first = instance()->start;
my $second = instance();


sub works {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $id = new_id();

    # the spool is opened again after the first error

    ok((wait_until {
        spool_send($first, $id, 'file.written')->status == 202
    } 60), "$name: accepted");
    ok($backend->wait_count(1, $id), "$name: delivered");
}


sub refused {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = $second->try_start;

    isnt($code, 0, "$name: another nginx does not start");
    like($text, qr/the spool is in use by another nginx/, "$name: says why");
}


works('started');
refused('started');

unlink "$spool-lock" or die $!;
refused('a removed "-lock" file');

# the worker detects it

my $status = spool_send($first, new_id(), 'file.written')->status;

like($status, qr/^(?:202|503)$/, 'an event');
ok($first->wait_log(qr/"-lock" file was removed or replaced while in use; .* reload/),
    'a log line says what to do');
refused('while the worker has it closed, or has opened it again');
works('with another "-lock" file');
refused('with another "-lock" file');

ok($first->reload, 'a reload');
works('reloaded');
refused('reloaded');
ok($first->wait_old(60), 'the old worker has exited');
refused('without the old worker');

# with a worker that was killed

$first->kill_worker($_) for $first->workers;
works('a new worker');
unlink "$spool-lock" or die $!;
refused('without the "-lock" file of a new worker');
works('again');

# when it is free

$first->stop;
unlink "$spool-lock";
ok($second->start, 'another nginx starts when the first one has stopped');

done_testing();
