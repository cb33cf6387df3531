package Trove;

# The test harness: a real nginx, clients, a backend, events.  "use Trove;" is
# all that a test needs: it brings strict, warnings, Test::More and the
# functions of Trove::*.  The POD of those describes each; in short:
#
#     use Trove;
#
#     my $backend = backend();
#     my $nginx = nginx(<<'EOF')->start;
#         server {
#             listen 127.0.0.1:%%PORT_0%%;
#             location / { proxy_pass http://127.0.0.1:%%BACKEND%%; }
#         }
#     EOF
#
#     is(get($nginx->port, '/')->status, 200, 'proxied');
#     is($backend->count, 1, 'once');
#
#     done_testing();
#
# A test file fails, whatever its own tests say, when an nginx of it logged an
# [alert] or [emerg] that was not declared, crashed, did not stop, left sockets
# open, or a sanitizer had something to say.

use strict;
use warnings;

use Test::More ();

use Trove::Api;
use Trove::Backend;
use Trove::Event;
use Trove::Http;
use Trove::Http2;
use Trove::Load;
use Trove::Nginx;
use Trove::Raw;
use Trove::Spool;
use Trove::Target;
use Trove::Util qw/ wait_until limit slurp spew testdir run_exit /;

my @own = (
    qw/ wait_until limit slurp spew testdir done_testing /,
    map { no strict 'refs'; @{"Trove::${_}::EXPORT"} }
        qw/ Nginx Http Http2 Event Backend Load Raw Api Spool Target /
);


sub import {
    my ($class) = @_;

    my $caller = caller;

    strict->import;
    warnings->import;

    no strict 'refs';
    no warnings qw/ redefine prototype /;

    for my $name (@Test::More::EXPORT) {
        my ($sigil, $bare) = $name =~ /^([\$\@%&]?)(\w+)$/;
        *{"${caller}::$bare"} = $sigil eq '$' ? \${"Test::More::$bare"}
                                              : \&{"Test::More::$bare"};
    }

    *{"${caller}::$_"} = \&{"Trove::$_"} for @own;
}


# the checks of every nginx as one more test, then the plan

sub done_testing {
    check() if Trove::Nginx::all();

    my $test = Test::More->builder;

    return $test->done_testing(@_);
}


my $checked;

sub check {
    my @problems = map { $_->problems } Trove::Nginx::all();

    my $test = Test::More->builder;

    $checked = 1;
    $test->ok(!@problems, 'nothing wrong in the error log, no crash, no leak');
    $test->diag("$_\n") for @problems;
}


# where the test has a plan of its own, or died

END {
    my $status = $?;

    if ($$ == $Trove::Util::owner) {
        my @problems = $checked ? () : map { $_->problems } Trove::Nginx::all();

        if (@problems) {
            Test::More->builder->diag("$_\n") for @problems;
            $status ||= 1;
        }

        run_exit();
    }

    $? = $status;
}


1;
