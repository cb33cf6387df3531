#!/usr/bin/perl

# What examples/ holds works as it is, and says what is wrong where it is not
# used right: the two configurations, send-event, the demo.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;
use File::Copy qw/ copy /;
use POSIX ();

use Trove::Util qw/ alive /;

my $examples = abs_path('examples');
my $secret = 'trove-whsec-of-a-test';
my $backend = backend(body => 'done');


# runs a program to its end, or leaves it running: (exit code, output), or
# { pid, file }

my $serial = 0;

sub launch {
    my ($opt, @command) = @_;

    my $file = testdir() . '/out' . $serial++;

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        $ENV{$_} = $opt->{env}{$_} for keys %{ $opt->{env} || {} };
        open STDIN, '<', $opt->{stdin} // '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>', $file;
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    return { pid => $pid, file => $file };
}


sub finish {
    my ($program) = @_;

    wait_until { waitpid($program->{pid}, POSIX::WNOHANG()) != 0 } 60
        or kill 'KILL', $program->{pid};

    my $status = $?;

    return ($status & 127 ? 128 + ($status & 127) : $status >> 8,
        slurp($program->{file}));
}


sub run {
    return finish(launch(@_));
}


sub send_event {
    my ($opt, @arguments) = @_;

    return run($opt, "$examples/send-event", @arguments);
}


# gate.conf, as it is but for its addresses

my $conf = slurp("$examples/gate.conf");

is($conf =~ s/listen 127\.0\.0\.1:8080;/listen 127.0.0.1:%%PORT_0%%;/g, 1,
    'gate.conf: one address to listen on');
is($conf =~ s/server 127\.0\.0\.1:3000;/server 127.0.0.1:%%BACKEND%%;/g, 1,
    'gate.conf: one address of the application');

cmp_ok(scalar(grep { /[;{]/ } split /\n/, $conf), '<=', 18,
    'gate.conf is short');

my @files = (files => { 'trove.secret' => "$secret\n" });
my ($code, $text) = nginx_t($conf, @files);

is($code, 0, 'gate.conf is right') or diag($text);
unlike($text, qr/\[warn\]/, 'gate.conf gives no warning');

($code, $text) = nginx_t($conf);

isnt($code, 0, 'gate.conf without the secret is refused');
like($text, qr/trove\.secret/, 'and the file is named');


# send-event to this gate

my $gate = nginx($conf, @files)->start;
my $url = 'http://127.0.0.1:' . $gate->port . '/trove-events';
my $event = event('file.written', data => { path => "/\x{e4}\x{1f600}\n'\"" });
my $file = $gate->write('event.json', "$event\n\n");

($code, $text) = send_event({}, $url, $secret, $file);

is("$code $text", "0 200 done\n", 'send-event: a file is accepted');
ok($backend->last->{body} eq "$event\n\n", 'byte for byte');

($code, $text) = send_event({}, $url, $secret, $file);

is($code, 0, 'send-event: a duplicate is a success');
like($text, qr/^200 \{"status":"duplicate","id":"evt-\w+"\}$/,
    'the answer is shown');

$file = $gate->write('-', event('exec.completed', data => { stdout => 'x' x
    300_000 }));
($code, $text) = send_event({ stdin => $file }, $url, $secret, '-');

is("$code $text", "0 200 done\n", 'send-event: standard input is accepted');
ok($backend->last->{body} eq slurp($file), 'byte for byte');

$backend->forget;

for (1 .. 2) {
    ($code, $text) = send_event({}, $url, $secret);
    is("$code $text", "0 200 done\n", 'send-event: an event of its own');
}

my ($first, $second) = map {
    $backend->header($_, 'X-Trove-Event-Id') } $backend->requests;

is($backend->header($backend->last, 'X-Trove-Event'), 'webhook.test',
    'is a webhook.test');
isnt($first, $second, 'with a new id each time');

($code, $text) = send_event({}, $url, "${secret}x");

is("$code $text", qq(1 400 {"error":"mismatch"}\n),
    'send-event: another secret is refused');

($code, $text) = send_event({}, $url, '-s e$c"r\'et', $file);

is("$code $text", qq(1 400 {"error":"mismatch"}\n),
    'send-event: a strange secret is only a secret');

($code, $text) = send_event({ stdin => '/dev/null' }, $url, $secret, '-');

is("$code $text", qq(1 400 {"error":"bad_json"}\n),
    'send-event: an empty body is signed, too');

$backend->on('/trove-events', status => 500, body => "sorry\n", times => 1);
($code, $text) = send_event({}, $url, $secret);

is("$code $text", "1 500 sorry\n\n", 'send-event: a failure is one');

($code, $text) = send_event({}, 'http://127.0.0.1:1/', $secret);

is($code, 1, 'send-event: nobody listens');
like($text, qr/^curl: .*connect/i, 'and curl says so');

my %wrong = (
    'nothing' => [],
    'no secret' => [ $url ],
    'too many' => [ $url, $secret, $file, $file ],
    'no URL' => [ 'trove-events', $secret, $file ],
    'empty secret' => [ $url, '', $file ],
    'no such file' => [ $url, $secret, "$file.none" ],
    'a directory' => [ $url, $secret, testdir() ],
);

for my $name (sort keys %wrong) {
    ($code, $text) = send_event({}, @{ $wrong{$name} });

    is($code, 2, "send-event: $name: wrong use");
    like($text, qr/^send-event: .*\n\nusage: send-event URL SECRET \[FILE/,
        'what is wrong, and how it is used');
}

($code, $text) = send_event({}, '--help');

is($code, 0, 'send-event --help');
like($text, qr/^usage: /, 'says how it is used');


# nginx.conf, as it is but for its addresses and directories

$conf = slurp("$examples/nginx.conf");
$conf =~ s/^load_module .*\n//m if !Trove::Nginx::module();
$conf =~ s/listen 443 /listen 127.0.0.1:%%PORT_0%% /;
$conf =~ s/server 127\.0\.0\.1:3000;/server 127.0.0.1:%%BACKEND%%;/;
$conf =~ s{/etc/nginx/}{%%TESTDIR%%/}g;
$conf =~ s{/var/log/nginx/}{%%TESTDIR%%/logs/}g;
$conf =~ s{/run/}{%%TESTDIR%%/};
$conf =~ s/^http \{\n/http {\n%%HTTP%%\n/m;

my $whole = nginx($conf, @files);
my $dir = $whole->dir;

mkdir "$dir/$_" for qw/ modules tls /;
symlink Trove::Nginx::module(), "$dir/modules/ngx_http_trove_module.so"
    if Trove::Nginx::module();

($code, $text) = run({}, qw( openssl req -x509 -newkey rsa:2048 -nodes -days 2
    -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 ),
    '-keyout', "$dir/tls/privkey.pem", '-out', "$dir/tls/fullchain.pem");
is($code, 0, 'a certificate') or diag($text);

($code, $text) = $whole->test;

is($code, 0, 'nginx.conf is right') or diag($text);
unlike($text, $> == 0 ? qr/\[warn\]/ : qr/\[warn\](?! the "user" directive)/,
    'nginx.conf gives no warning');

$whole->start;

($code, $text) = send_event(
    { env => { CURL_CA_BUNDLE => "$dir/tls/fullchain.pem" } },
    'https://127.0.0.1:' . $whole->port . '/trove-events', $secret);

is("$code $text", "0 200 done\n", 'nginx.conf: an event by https');
is($backend->header($backend->last, 'Host'), '127.0.0.1',
    'nginx.conf: the Host of the request');

my $line = wait_until { slurp("$dir/logs/trove.log") };

like($line, qr/ 200 [\d.]+ verify=ok dedup=new id=evt-\w+ type=webhook\.test/,
    'nginx.conf: the line in the log');


# the demo

my $demo = "$examples/demo/run";
my $tmp = testdir() . '/demo';

mkdir $tmp;
chmod 01777, $tmp;

my %env = (
    TMPDIR => $tmp, TROVE_NGINX => Trove::Nginx::binary(),
    TROVE_MODULE => Trove::Nginx::module() // '',
);

sub nothing_left {
    my ($name) = @_;

    my @files = glob "$tmp/*";
    my @processes = grep { alive($_) } map { m{(\d+)/environ} }
        grep { slurp($_) =~ /\0?TMPDIR=\Q$tmp\E\0/ } glob '/proc/*/environ';

    is("@files", '', "$name: no file stays behind");
    is("@processes", '', "$name: no process stays behind");
}

my @demos = map { launch({ env => \%env }, $demo) } 1 .. 2;

for (@demos) {
    ($code, $text) = finish($_);

    is($code, 0, 'demo: one of two at the same time succeeds') or diag($text);
    like($text, qr/^All 17 answers are as expected: 12 events have /m,
        'demo: the summary');
    is(() = $text =~ /^[a-z]\w+\.[a-z]+ +200 +new: passed on as evt-\w+$/mg, 11,
        'demo: eleven events');

    for my $said ('200 duplicate', '400 mismatch', '400 stale', '400 missing',
        '409 inflight')
    {
        is(() = $text =~ /^\S.{29}\Q$said\E +\w|^  the other.* \Q$said\E/mg, 1,
            "demo: $said");
    }

    is(scalar(grep { length > 80 } split /\n/, $text), 0, 'demo: 80 columns');
}

nothing_left('demo');

# it can fail: the same with a gate that verifies nothing

my $copy = testdir() . '/copy';

mkdir "$copy$_" for '', '/examples', '/examples/demo';
symlink abs_path('t'), "$copy/t";
copy($demo, "$copy/examples/demo/run") or die "copy: $!";
spew("$copy/examples/gate.conf", slurp("$examples/gate.conf")
    =~ s/^ *trove_verify on;.*\n//mr);

($code, $text) = run({ env => \%env }, $^X, "$copy/examples/demo/run");

is($code, 1, 'demo: a gate that lets everything pass fails');
like($text, qr/^file\.written, tampered with .* WRONG: .* 400 mismatch/m,
    'demo: what is wrong');
like($text, qr/^\d+ of 17 answers are not as expected/m, 'demo: and a summary');

nothing_left('demo that fails');

($code, $text) = run({ env => { %env, TROVE_NGINX => '/nowhere/nginx' } },
    $demo);

is($code, 1, 'demo: without NGINX');
like($text, qr{^demo: .*\n/nowhere/nginx: No such file}, 'demo: says so');

($code, $text) = run({ env => \%env }, $demo, '--what');

is($code, 2, 'demo: an unknown option');
is($text, "usage: examples/demo/run [--keep]\n", 'demo: how it is used');

nothing_left('demo that does not start');


# the demo that stays, until it is ended one way or the other

for my $signal (qw/ INT TERM KILL /) {
    my $stays = launch({ env => \%env }, $demo, '--keep');
    my ($program, $to, $with);

    wait_until {
        ($program, $to, $with) = slurp($stays->{file})
            =~ m{^  (\S*examples/send-event) (http:\S+) (\S+)\n.*\n\n}ms;
    } 30 or diag(slurp($stays->{file}));

    my ($pid_file) = glob "$tmp/*/nginx.pid";
    my $nginx = slurp($pid_file) + 0;

    ok($nginx, "demo --keep: nginx runs");

    ($code, $text) = run({}, $program, $to, $with);

    like("$code $text", qr/^0 200 \{"received":"evt-\w+"\}$/,
        'demo --keep: an event by hand');
    ok(wait_until { slurp($stays->{file})
        =~ / 200 verify=ok dedup=new webhook\.test evt-\w+\n/ },
        'demo --keep: is seen there');

    kill $signal, $stays->{pid};
    ($code) = finish($stays);

    is($code, { INT => 0, TERM => 0, KILL => 137 }->{$signal},
        "demo --keep: ends by $signal");

    # by KILL, another has to do it

    wait_until { !glob "$tmp/*" };
    ok(wait_until { !kill 0, -$nginx }, "$signal: nginx and its workers end");
    nothing_left("demo --keep, $signal");
}

done_testing();
