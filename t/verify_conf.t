#!/usr/bin/perl

# What "nginx -t" says: one line that names the directive and what to do.

use lib 't/lib';
use Trove;

use POSIX ();

my $location = sub { "server { location / { $_[0] } }" };

# short here: nginx warns of a secret without the prefix of TroveFiles

sub secrets {
    return $_[0] =~ s/\btrove_secret (?=\w;)/trove_secret trove-whsec-test/gr;
}


my @directives = (trove_verify => 'on', trove_tolerance => '5m',
    trove_verify_status => '401');


sub refused {
    my ($name, $conf, $regex, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = nginx_t(secrets($conf), %opt);
    my @lines = grep { /\[\w+\]/ } split /\n/, $text;

    is($code, 1, "$name: refused");
    is(@lines, 1, "$name: one line") or diag($text);
    like($lines[0], qr/\[emerg\] .*$regex/, "$name: what is wrong");
    like($lines[0], qr/"trove_\w+/, "$name: names the directive");
    like($lines[0], qr/ in \S+nginx\.conf:\d+$/, "$name: and its line");

    return $lines[0];
}


sub accepted {
    my ($name, $conf, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = nginx_t(secrets($conf), %opt);

    is($code, 0, "$name: accepted") or diag($text);
    unlike($text, qr/\[\w+\]/, "$name: without a word");
}


# a secret there must be, wherever it is said

my $needs
    = qr{"trove_verify" in location "/" requires a secret, add "trove_secret file};

refused('on without a secret', $location->('trove_verify on;'), $needs);
refused('log without a secret', $location->('trove_verify log;'), $needs);
refused('a server without a secret',
    'server { trove_verify on; location / { } }', $needs);
refused('http without a secret', "trove_verify on;\nserver { location / { } }",
    $needs);
refused('in one of two', 'server { trove_verify on;
    location / { trove_secret x; location /a { } } location /b { } }',
    qr/location "\/b" requires a secret/);
refused('a server without locations', 'server { trove_verify on; }',
    qr/"trove_verify" .*requires a secret/);
refused('a server with nothing but an if',
    'server { trove_verify on; if ($http_x) { return 403; } }',
    qr/"trove_verify" .*requires a secret/);
refused('in a regex', 'server { location ~ ^/a { trove_verify on; } }',
    qr/location "\^\/a" requires a secret/);
refused('in a named one', 'server { location @a { trove_verify on; } }',
    qr/location "\@a" requires a secret/);

accepted('with a secret', $location->('trove_verify on; trove_secret x;'));
accepted('a secret of the server',
    'server { trove_secret x; location / { trove_verify on; } }');
accepted('a secret of http',
    "trove_secret x;\nserver { location / { trove_verify on; } }");
accepted('on for the server, secrets of its locations',
    'server { trove_verify on; location / { trove_secret x; }
     location /b { trove_secret y; } }');
accepted('on for all, secrets of its locations',
    "trove_verify on;\nserver { location / { trove_secret x; } }");
accepted('off without a secret', $location->('trove_verify off;'));
accepted('off in one location', 'server { trove_verify on;
    location / { trove_secret x; } location /b { trove_verify off; } }');
accepted('a secret alone', $location->('trove_secret x;'));
accepted('an if beside the locations', 'server { trove_verify on;
    if ($http_x) { return 403; } location / { trove_secret x; } }');
accepted('an if in a location', 'server { trove_verify on;
    location / { trove_secret x; if ($http_x) { return 403; } } }');
accepted('limit_except', 'server { trove_verify on;
    location / { trove_secret x; limit_except POST { deny all; } } }');


# a secret that nothing is verified with

sub warned {
    my ($name, $conf, $regex) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = nginx_t(secrets($conf));
    my @lines = grep { /\[\w+\]/ } split /\n/, $text;

    is($code, 0, "$name: accepted") or diag($text);
    is(@lines, 1, "$name: one line") or diag($text);
    like($lines[0], qr/\[warn\] .*"trove_secret" without "trove_verify" in $regex: /,
        "$name: what is wrong");
    like($lines[0], qr/: forged events are accepted; add "trove_verify on", or "trove_/,
        "$name: what to do");
    like($lines[0], qr/ in \S+nginx\.conf:\d+$/, "$name: where");
}

my $zone = "trove_dedup_zone zone=e:1m;\n";
my $proxy = 'proxy_pass http://127.0.0.1:1;';
my $target = "location = /t { internal; $proxy }";

for my $handler ($proxy, 'fastcgi_pass 127.0.0.1:1;', 'stub_status;',
    'trove_dedup zone=e;', 'trove_fanout /t;', "if (\$http_x) { $proxy } $proxy")
{
    warned("own, $handler",
        "$zone server { location / { trove_secret x; $handler } $target }",
        qr{location "/" of server ""});
    warned("of the server, $handler",
        "$zone server { server_name a; trove_secret x; location /a { $handler }
            $target }", qr{location "/a" of server "a"});
    warned("of http, $handler",
        "trove_secret x; $zone server { location /a { $handler } $target }",
        qr{location "/a" of server ""});

    for my $off ("server { trove_secret x; location / { trove_verify off;
            $handler } $target }",
        "server { trove_secret x; trove_verify off; location / { $handler }
            $target }",
        "server { location / { trove_secret x; trove_verify off;
            location /a { $handler } } $target }",
        "trove_verify off; server { location / { trove_secret x; $handler }
            $target }")
    {
        my ($code, $text) = nginx_t("$zone $off");

        is($code, 0, 'an explicit off: accepted') or diag($text);
        unlike($text, qr/trove_verify/, 'an explicit off: not warned of');
    }
}

warned('a dedup of the server', "$zone server { trove_secret x;
    trove_dedup zone=e; location /a { root html; } }", qr{location "/a" of .*});
warned('one line for all', "server { trove_secret x; location /a { $proxy }
    location /b { $proxy } location /c { trove_verify on; $proxy }
    location /d { $proxy location /d/e { $proxy } } }",
    qr{location "/a" of server "" and in 3 more});
warned('beside one that verifies', "server { trove_secret x;
    location /a { trove_verify on; $proxy } location /b { $proxy } }",
    qr{location "/b" of server ""});
warned('inside of metrics', "server { trove_secret x;
    location /m { trove_metrics; location /m/a { $proxy } } }",
    qr{location "/m/a" of server ""});

{
    my ($code, $text) = nginx_t(secrets("server {
        location /a { trove_secret x; $proxy }
        location /b { trove_secret y; $proxy } }"));

    is(scalar(() = $text =~ /\[warn\]/g), 2, 'a line for each secret');
}

{
    my $nginx = nginx("server {\nlocation / {\n$proxy\ninclude a;\n}\n}",
        files => { a => "\n\ntrove_secret x;\ntrove_secret y;\n" });
    my ($code, $text) = $nginx->test;

    like($text, qr{\[warn\] .*verification is not needed in \S+/a:3$}m, 'the file of an include');
}

my $api = 'trove_api token-of-the-api;';

accepted($_->[0], "trove_secret x; $zone $_->[1]") for
    [ 'no handler', 'server { location / { root html; } }' ],
    [ 'a return', 'server { location / { return 200; } }' ],
    [ 'no location', 'server { trove_dedup zone=e; }' ],
    [ 'an internal location', "server { location / { internal; $proxy } }" ],
    [ 'a location in one', "server { location / { internal;
        location /a { $proxy } } }" ],
    [ 'a named location', "server { location \@a { $proxy } }" ],
    [ 'targets', "server { location / { trove_verify on; trove_fanout /t; }
        $target }" ],
    [ 'metrics', 'server { location / { trove_metrics; } }' ],
    [ 'metrics with an if', 'server { location / { trove_metrics;
        if ($http_x) { set $x 1; } } }' ],
    [ 'the API', "trove_spool %%TESTDIR%%/temp/s;
        server { location / { $api }
        location = /s { trove_verify off; trove_fanout_mode spool;
            trove_fanout /s/t; }
        location = /s/t { internal; trove_sign trove-whsec-a-target;
            return 204; } }" ],
    [ 'one with blocks', "server { location / { trove_verify on; $proxy
        if (\$http_x) { $proxy } limit_except POST { $proxy } } }" ],
    [ 'log', "server { location / { trove_verify log; $proxy } }" ],
    [ 'the server', "server { trove_verify on; location / { $proxy
        location /a { $proxy } } }" ];


# files

my $dir = testdir();

sub secret_file {
    my ($content) = @_;

    spew("$dir/secret", $content);
    chmod 0600, "$dir/secret";

    return $location->("trove_verify on; trove_secret file:$dir/secret;");
}

for my $case ([ 'empty', '' ], [ 'only comments', "# a\n\n  # b\n" ],
    [ 'only blanks', " \t\n\x0d\n \x0d\n" ])
{
    refused("a file $case->[0]", secret_file($case->[1]),
        qr/no secret in "\S+secret" of "trove_secret", add one secret per line/);
}

refused('a line of 10 KB', secret_file("trove-whsec-good\n" . 'x' x 10240 . "\n"),
    qr/line 2 of "\S+secret" in "trove_secret" is longer than 1024 bytes/);
refused('a line of 10 KB without an end', secret_file('x' x 10240),
    qr/line 1 of .* it must be one secret/);
refused('a byte more than a line has', secret_file('x' x 1025),
    qr/line 1 of .* is longer than 1024 bytes/);
refused('100 KB', secret_file("x\n" x 51200),
    qr/in "trove_secret" is larger than 65536 bytes/);
refused('a zero byte', secret_file("a\0b\n"),
    qr/line 1 of .* has a null byte/);
refused('17 secrets', secret_file(join '', map { "trove-whsec-$_\n" } 1 .. 17),
    qr/more than 16 secrets in "trove_secret", remove those/);

spew("$dir/16", join '', map { "trove-whsec-$_\n" } 1 .. 16);
chmod 0600, "$dir/16";
refused('17 of files and values', $location->(
    "trove_verify on; trove_secret file:$dir/16; trove_secret \$http_x;"),
    qr/more than 16 secrets in "trove_secret"/);

accepted('as long as a line may be',
    secret_file('trove-whsec-' . 'a' x 1012));
accepted('a comment of 10 KB',
    secret_file('#' . 'x' x 10240 . "\ntrove-whsec-secret\n"));
accepted('16 secrets',
    secret_file(join '', map { "trove-whsec-$_\n" } 1 .. 16));
accepted('no newline at the end', secret_file('trove-whsec-secret'));

refused('no such file',
    $location->("trove_verify on; trove_secret file:$dir/nowhere;"),
    qr/open\(\) "\S+nowhere" in "trove_secret" failed \(2: /);
refused('a directory', $location->("trove_verify on; trove_secret file:$dir;"),
    qr/"\Q$dir\E" in "trove_secret" is not a regular file, use a file with/);
refused('no path', $location->('trove_verify on; trove_secret file:;'),
    qr/no path in "trove_secret", expected "trove_secret file:PATH"/);

POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
refused('a pipe', $location->("trove_verify on; trove_secret file:$dir/fifo;"),
    qr/is not a regular file/);

symlink "$dir/loop", "$dir/loop";
refused('a link to itself',
    $location->("trove_verify on; trove_secret file:$dir/loop;"),
    qr/open\(\) .* failed \(40: /);

secret_file('trove-whsec-1');
chmod 0, "$dir/secret";
refused('an unreadable file',
    $location->("trove_verify on; trove_secret file:$dir/secret;"),
    qr/"\S+secret" in "trove_secret" cannot be read by this user, .*\(13: /,
    unprivileged => 1);

accepted('a path from the configuration',
    $location->('trove_verify on; trove_secret file:in_prefix.secret;'),
    files => { 'in_prefix.secret' => "trove-whsec-1\n" });


# the environment

my $env = $location->('trove_verify on; trove_secret env:TROVE_TEST_SECRET;');
my $unset
    = qr/the environment variable "TROVE_TEST_SECRET" in "trove_secret" is not set, /;

accepted('a variable of the environment', $env,
    env => { TROVE_TEST_SECRET => 'trove-whsec-1' });
refused('an empty one', $env, qr/"TROVE_TEST_SECRET" in "trove_secret" is /,
    env => { TROVE_TEST_SECRET => '' });
refused('no name', $location->('trove_verify on; trove_secret env:;'),
    qr/expected "trove_secret env:NAME"/);
refused('an assignment', $location->('trove_verify on; trove_secret env:A=b;'),
    qr/expected "trove_secret env:NAME"/);

my ($code, $text) = nginx_t($env);
is($code, 0, 'unset: only warned of by -t');
like($text, qr/\[warn\] ${unset}set it in the environment of nginx in /,
    'unset: what to do');

my $nginx = nginx($env);
($code, $text) = $nginx->try_start;
is($code, 1, 'unset: it does not start');
like($text, qr/\[emerg\] ${unset}set it in the environment/, 'unset: what to do then');


# values

refused('an empty value', $location->('trove_verify on; trove_secret "";'),
    qr/empty secret in "trove_secret", expected "trove_secret file:PATH", /);
accepted('a variable', 'map $uri $s { default x; } '
    . $location->('trove_verify on; trove_secret $s;'));
accepted('several', $location->('trove_verify on; trove_secret a;
    trove_secret b; trove_secret $trove_event_id;'));

for my $name (qw/ trove_secret trove_verify trove_tolerance
    trove_verify_status /)
{
    for my $arguments ('', 'a b') {
        refused("$name with arguments \"$arguments\"",
            $location->("$name $arguments;"),
            qr/invalid number of arguments in "$name" directive/);
    }
}

my %bad = (
    trove_verify => [ [ qw/ maybe 1 onn /, '""' ],
        qr/it must be "on", "off", or "log"/ ],
    trove_tolerance => [ [ qw/ 0 0s -5 5x 500ms 367d 1000y 9999999999999999 s
        on Off 1.5m /, '""' ],
        qr/it must be from 1s to 366d, or "off"/ ],
    trove_verify_status => [ [ qw/ 0 200 204 301 302 399 600 1000 -400 4xx
        408 444 494 495 496 497 498 499 99999999999999999999 /, '""' ],
        qr/it must be from 400 to 599, except 408, 444, and 494 to 499/ ],
);

for my $name (sort keys %bad) {
    my ($values, $regex) = @{ $bad{$name} };

    for my $value (@$values) {
        my $line = refused("$name $value",
            $location->("trove_secret x; $name $value;"), $regex);
        my $bare = $value =~ tr/"//dr;
        like($line, qr/invalid \w+ "\Q$bare\E" in "$name"/,
            "$name $value: is quoted");
    }
}

accepted("tolerance $_", $location->("trove_tolerance $_;"))
    for qw/ off 60 1s 90 5m 1h30m 366d /;
accepted("status $_", $location->("trove_verify_status $_;"))
    for qw/ 400 401 403 404 409 413 429 451 500 503 599 /;

while (my ($name, $value) = splice @directives, 0, 2) {
    refused("$name twice",
        $location->("trove_secret x; $name $value;\n$name $value;"),
        qr/"$name" directive is duplicate/);
    accepted("$name in every block", "trove_secret x; $name $value;\n"
        . "server { $name $value; location / { $name $value;
           location /a { $name $value; } } }");

    for my $block ('if ($http_x)', 'limit_except GET') {
        refused("$name in $block",
            $location->("trove_secret x; $block { $name $value; }"),
            qr/"$name" directive is not allowed here/);
    }
}

refused('trove_secret in if', $location->('if ($http_x) { trove_secret x; }'),
    qr/"trove_secret" directive is not allowed here/);


# variables that there are not

($code, $text) = nginx_t($location->('return 200 $trove_json_nothing;'));
is($code, 1, 'an unknown variable: refused');
like($text, qr/\[emerg\] unknown "trove_json_nothing" variable, "trove_json_" must be /,
    'an unknown variable: what there is');

accepted('all variables', $location->('return 200 '
    . join('', map { "\$trove_$_" } qw/ verify event_id event_type namespace
    workspace_id api_version created_at timestamp data_path data_PATH data_x_y
    json_event_id json_event_type json_namespace json_workspace_id
    json_api_version json_created_at json_data_path /) . ';'));


# nothing of a secret is ever said

for my $conf (secret_file("hush-hush\n" . 'hush-hush' x 1000),
    $location->('trove_secret hush-hush; trove_verify_status 1;'),
    $location->("trove_secret 'hush-hush\$'; "))
{
    my ($code, $text) = nginx_t($conf);

    is($code, 1, 'something is wrong');
    unlike($text, qr/hush/, 'but the secret is not told');
}

done_testing();
