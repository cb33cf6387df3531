#!/usr/bin/perl

# What "nginx -t" says to a wrong trove_spool, trove_retry and
# trove_fanout_mode, with the line of the directive; and that one spool is for
# one nginx.

use lib 't/lib';
use Trove;

my $example = '/var/lib/nginx/trove.spool';
my $mode = 'trove_fanout_mode spool;';

# http, the location with the targets, and that of the target

sub try_conf {
    my (%opt) = @_;

    my $spool = $opt{spool} // '%%TESTDIR%%/trove.spool';

    $spool = length $spool ? "trove_spool $spool;" : '';

    my $hook = "\n" . ($opt{hook} // $mode) . "\ntrove_fanout /a;";
    my $target = "\n" . ($opt{target} // '') . "\nreturn 200;";

    my $sign = $opt{sign} // 'trove_sign s;';

    my ($code, $text) = nginx_t("$sign\n$spool\n" . ($opt{http} // '')
        . "\nserver { listen 127.0.0.1:%%PORT_0%%; server_name gate;"
        . " location /hook { $hook\n} location /a { internal; $target\n}"
        . ($opt{server} // '') . "\n}");

    my @lines = conf_lines($text);

    $text =~ s/^nginx: (?:the )?configuration file .*\n//mg;
    my ($dir) = $text =~ m{ in (\S+)/nginx\.conf:\d+$}m;
    $text =~ s/ in \S+nginx\.conf:\d+$//mg;
    $text =~ s/\Q$dir\E/DIR/g if defined $dir;

    return ($code, $text, @lines);
}

sub says {
    my ($level, $message, $line, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text, @lines) = try_conf(%opt);

    subtest join(' ', map { $opt{$_} } sort keys %opt) => sub {
        is($code, $level eq 'emerg' ? 1 : 0, $level);
        is($text, "nginx: [$level] $message\n", 'the message');
        is(scalar @lines, 1, 'and a line');
        like($lines[0] // '', qr/^\s*(?:location\N*\{\s*)?\Q$line\E\b/,
            'that of the directive');
    };
}

sub accepted {
    my (%opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = try_conf(%opt);

    subtest join(' ', map { $opt{$_} } sort keys %opt) => sub {
        is($code, 0, 'accepted');
        is($text, '', 'without a word');
    };
}


# the path

accepted();
accepted(spool => '%%TESTDIR%%/a=b.spool max_size=1m retention=1d');
accepted(spool => '%%TESTDIR%%/on');

says(emerg => qq("$_" in "trove_spool" is not a path, expected a path such as "trove_spool $example"),
    'trove_spool', spool => $_)
    for qw{ on off max_size=10g path=/var/lib/nginx/trove.spool
        file:/var/lib/nginx/trove.spool };
says(emerg => qq("" in "trove_spool" is not a path, expected a path such as "trove_spool $example"),
    'trove_spool', spool => '""');

for ('%%TESTDIR%%/$host.spool', '$spool', '%%TESTDIR%%/${x}') {
    my $shown = s{%%TESTDIR%%}{DIR}r;

    says(emerg => qq("$shown" in "trove_spool" contains a variable,)
        . ' specify a single file', 'trove_spool', spool => $_);
}

for ('nowhere', 'nowhere/at/all', 'nginx.conf') {
    says(emerg => qq(spool cannot be opened: the directory "DIR/$_/" does not exist, create it or mount its file system, in)
        . ' "trove_spool"', 'trove_spool',
        spool => "%%TESTDIR%%/$_/trove.spool");
}

says(warn => qq("$_" in "trove_spool" is relative to the prefix and means "DIR/$_",)
    . ' specify the full path', 'trove_spool', spool => $_)
    for 'trove.spool', 'conf/trove.spool';
says(warn => 'spool "/dev/shm/trove.spool" in "trove_spool": the spool is on a memory file system,'
    . ' a reboot loses all events in it, specify a file on a disk',
    'trove_spool', spool => '/dev/shm/trove.spool');

says(emerg => 'spool cannot be opened: the spool file is not a regular file, in "trove_spool"', 'trove_spool',
    spool => '%%TESTDIR%%/conf');
says(emerg => 'spool cannot be opened: the spool file is not a SQLite database, or its first page is damaged,'
    . ' in "trove_spool"', 'trove_spool', spool => '%%TESTDIR%%/nginx.conf');

# another engine: nothing but the scheme is shown of a URI

says(emerg => qq(spool cannot be opened: no spool engine for "$_->[0]://" is built in, in "trove_spool"),
    'trove_spool', spool => $_->[1])
    for [ 'postgresql', 'postgresql://trove:secret@db/trove?sslmode=require' ],
        [ 'postgresql', 'postgresql://trove:$secret@db/trove' ],
        [ 'redis+tls', 'redis+tls://db' ];
accepted(spool => '%%TESTDIR%%/a:b.spool max_size=1m');


# what stands beside it

says(emerg => qq(invalid size "$_" in "trove_spool", it must be at least 1m),
    'trove_spool', spool => "%%TESTDIR%%/trove.spool $_")
    for qw/ max_size= max_size=x max_size=1023k max_size=-1m /;
says(emerg => qq(invalid retention "$_" in "trove_spool", it must be from 1s)
    . ' to 3660d', 'trove_spool', spool => "%%TESTDIR%%/trove.spool $_")
    for qw/ retention= retention=x retention=999ms retention=11y retention=0 /;
says(emerg => qq(unknown or duplicate parameter "$_" in "trove_spool", expected)
    . ' "PATH [max_size=SIZE] [retention=TIME]"', 'trove_spool',
    spool => "%%TESTDIR%%/trove.spool max_size=1m retention=1d $_")
    for qw/ size=1m max_size=1m retention=1d off /;
says(emerg => '"trove_spool" directive is duplicate', 'trove_spool',
    http => 'trove_spool %%TESTDIR%%/b.spool;');


# numbers that want a unit

sub bare {
    my ($parameter, $directive) = @_;

    my ($n) = $parameter =~ /(\d+)$/;

    return qq("$parameter" in "$directive" means $n seconds, add a unit, such)
        . qq( as "${n}s", "${n}m", "${n}h", or "${n}d");
}

says(warn => bare($_, 'trove_spool'), 'trove_spool',
    spool => "%%TESTDIR%%/trove.spool $_")
    for qw/ retention=30 retention=7 retention=3599 /;
accepted(spool => "%%TESTDIR%%/trove.spool $_")
    for qw/ retention=3600 retention=30s retention=30d retention=604800 /;
says(warn => bare($_, 'trove_retry'), 'trove_retry',
    target => "trove_retry base=1s $_;") for qw/ window=24 window=7 max=1 /;
accepted(target => "trove_retry base=1 $_;")
    for qw/ window=86400 window=24h max=60 max=10s window=24s /;


# one without the other

says(warn => '"trove_spool" is not used, add "trove_fanout_mode spool" to a'
    . ' location with "trove_fanout"', 'trove_spool', hook => $_)
    for '', 'trove_fanout_mode wait;';
says(emerg => '"trove_fanout_mode spool" in location "/hook" requires a spool, add'
    . ' "trove_spool PATH" to http', 'trove_fanout /a', spool => '', hook => $_)
    for $mode;
says(emerg => '"trove_fanout_mode spool" in location "/hook" requires a spool, add'
    . ' "trove_spool PATH" to http', 'trove_fanout /a', spool => '',
    hook => '', http => $mode);

my $useless = '"trove_fanout_mode spool" has no effect without "trove_fanout", move'
    . ' it to a location with "trove_fanout"';

says(warn => $useless, 'trove_fanout_mode', target => $mode);
says(warn => $useless, 'trove_fanout_mode', http => $mode);
says(warn => $useless, 'trove_fanout_mode', spool => '', hook => '',
    target => $mode);
accepted(hook => '', http => $mode);
accepted(hook => '', server => $mode);
accepted(hook => '', http => $mode, server => 'location /b { trove_fanout /a;'
    . ' trove_fanout_mode wait; }');
accepted(target => 'trove_fanout_mode wait;');
accepted(hook => "$mode if (\$arg_x) { set \$x 1; }");


# targets

says(warn => 'target "/a" of location "/hook" receives events without a signature,'
    . ' as the original one may be stale by then; add "trove_sign" to its'
    . ' location', 'trove_fanout /a', sign => '');

says(emerg => 'two locations "/hook" of servers named "gate" with'
    . ' "trove_fanout_mode spool" cannot be distinguished in the spool, use'
    . ' different server names', 'trove_fanout /b', server => <<"EOC");
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        server_name gate;
        location /b { internal; return 200; }
        location /hook { $mode
            trove_fanout /b;
        }
EOC


# one spool, one nginx

my $backend = backend();
my $spool = testdir() . '/one.spool';

sub instance {
    my ($path) = @_;

    return nginx(spool_conf(spool => $path,
        targets => [ a => { to => $backend } ]));
}

sub works {
    my ($nginx, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $id = new_id();

    is(spool_send($nginx, $id, 'file.written')->status, 202, "$name: accepted");
    ok($backend->wait_count(1, $id), "$name: delivered");
}

chmod 01777, testdir();

my $first = instance($spool)->start;
my $second = instance($spool);
my $taken = qr/spool "\Q$spool\E" in "trove_spool": the spool is in use by another/;

sub refused {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = $second->try_start;

    isnt($code, 0, "$name: another nginx does not start");
    like($text, $taken, "$name: which says why");
    is_deeply([ map { s/^\s+//r } conf_lines($text) ],
        [ "trove_spool $spool;" ], "$name: and where");
    works($first, $name);
}

refused('started');
is(($second->test)[0], 0, 'nginx -t cannot know of others');
is(($first->test)[0], 0, 'and does not take its own for one');

ok($first->reload, 'reload');
refused('reloaded');
ok($first->wait_old, 'the old workers go');
refused('without the old workers');
ok($first->upgrade, 'upgrade of the binary');
refused('upgraded');
ok($first->reload, 'and a reload of that');
refused('upgraded and reloaded');

$first->expect(qr/\[emerg\] .* unknown directive "nonsense"/);
my $good = $first->{conf};
ok(!$first->reload("nonsense; $good"), 'a reload that fails');
refused('after a reload that failed');
ok($first->reload($good), 'and one that does not');

# by a reload

$second = instance("$spool.2")->start;
$second->expect(qr/\[emerg\] .* $taken/);
ok(!$second->reload($second->{conf} =~ s/one\.spool\.2/one.spool/r),
    'a reload cannot take it, either');
works($second, 'which goes on with its own');

# what workers that shut down had before is ours still

{
    my ($slow) = many_start($first->port, "POST /hook HTTP/1.1\r\n"
        . "Host: gate\r\nContent-Length: 9\r\n\r\nhalf");

    for my $path ("$spool.3", $spool) {
        sleep 0.3;
        ok($first->reload($good =~ s/trove_spool \K\S+(?=;)/$path/r),
            "a reload to $path");
        works($first, 'while a worker of before shuts down');
    }

    isnt(scalar $first->old_workers, 0, 'which it does');
    $slow->send("body\n");
    many_finish($slow);
}

$first->stop;
ok($second->reload, 'when it is free, it can');
works($second, 'with the other one');
$second->stop;

# what it left behind is not in use, whatever way it ended

$second->start->kill_all;
works($first->start, 'after a kill');

done_testing();
