#!/usr/bin/perl

# Where a secret comes from, which one is in force, and that no log has it.

use lib 't/lib';
use Trove;

my $long = 'trove-whsec-' . 'long' x 200;
my @literal = ("trove-whsec-\xc3\xa4\xff", 'with spaces in it', '#no comment',
    'a"b\\c', 'files', 'x', "tab\there", 'x' x 64, 'y' x 65);

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $conf = <<'EOF';
    map $http_x_tenant $tenant {
        a        trove-whsec-tenant-a;
        b        trove-whsec-tenant-b;
        file     file:%%TESTDIR%%/file;
        env      env:TROVE_TEST_ONE;
        empty    "";
        blank    " ";
        tab      "\t\r\n";
        prefix   trove-whsec-;
        default  "";
    }

    map $http_x_tenant $next {
        a        trove-whsec-next-a;
    }

    trove_secret trove-whsec-http;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        trove_verify on;
        error_page 400 /refused;

        location = /http { %%PASS%% }

        location = /file { trove_secret file:%%TESTDIR%%/file; %%PASS%% }
        location = /relative { trove_secret file:relative; %%PASS%% }
        location = /crlf { trove_secret file:%%TESTDIR%%/crlf; %%PASS%% }
        location = /env { trove_secret env:TROVE_TEST_ONE; %%PASS%% }
        location = /two {
            trove_secret trove-whsec-first;
            trove_secret trove-whsec-second;
            %%PASS%%
        }

        location = /mixed {
            trove_secret $tenant;
            trove_secret env:TROVE_TEST_TWO;
            trove_secret file:%%TESTDIR%%/file;
            trove_secret trove-whsec-value;
            %%PASS%%
        }

        location = /tenant { trove_secret $tenant; %%PASS%% }
        location = /tenants {
            trove_secret $tenant;
            trove_secret $next;
            %%PASS%%
        }

        location = /part { trove_secret trove-$http_x_part; %%PASS%% }
        location = /behind { trove_secret trove-whsec-$tenant; %%PASS%% }
        location = /before { trove_secret ${tenant}-whsec; %%PASS%% }
        location = /around { trove_secret "a$tenant b"; %%PASS%% }
        location = /named { trove_secret trove-$http_x_tenant-$next; %%PASS%% }
        location = /pair { trove_secret $http_x_tenant$next; %%PASS%% }
        location = /capture {
            if ($http_x_tenant ~ "^(.*)-x$") { set $unused 1; }
            trove_secret trove-$1;
            %%PASS%%
        }

        location = /beside {
            trove_secret trove-whsec-$tenant;
            trove_secret trove-whsec-first;
            %%PASS%%
        }

        location = /line_end { trove_secret env:TROVE_TEST_LINE; %%PASS%% }
        location = /lines { trove_secret env:TROVE_TEST_LINES; %%PASS%% }
        location = /bom { trove_secret file:bom; %%PASS%% }
        location = /value { trove_secret " trove-whsec-value\n"; %%PASS%% }

        location /outer/ {
            trove_secret trove-whsec-outer;

            location = /outer/inherits { %%PASS%% }
            location = /outer/replaces {
                trove_secret trove-whsec-inner;
                %%PASS%%
            }
        }

        location = /if {
            trove_secret trove-whsec-if;
            if ($http_x_if) { %%PASS%% }
            %%PASS%%
        }

        location = /refused {
            trove_verify off;
            internal;
            return 400 "$trove_verify";
        }
EOF

for my $i (0 .. $#literal) {
    my $quoted = $literal[$i] =~ s/(["\\])/\\$1/gr;
    $conf .= qq(location = /literal$i { trove_secret "$quoted"; %%PASS%% }\n);
}

$conf .= "}\n";

my $nginx = nginx($conf, vars => { PASS => $pass }, log => 'debug',
    env => { TROVE_TEST_ONE => 'trove-whsec-env-one',
        TROVE_TEST_TWO => 'trove-whsec-env-two',
        TROVE_TEST_LINE => "trove-whsec-env-line\r\n",
        TROVE_TEST_LINES => "# old\n\n trove-whsec-env-a \r\n\xef\xbb\xbf"
            . "trove-whsec-env-b\n" });

my $file = $nginx->write('file', <<EOF, 0600);
# the secrets of the tests

trove-whsec-file-one
  trove-whsec-file-two\t
    # trove-whsec-commented
\t
$long
EOF

$nginx->write('relative', 'trove-whsec-relative', 0600);
$nginx->write('crlf', "# old\x0d\x0a\x0d\x0atrove-whsec-crlf\x0d\x0a"
    . "trove-whsec-crlf-two  \x0d\x0a", 0600);

# two files of an editor that marks them, one behind the other

$nginx->write('bom', "\xef\xbb\xbf# a comment\ntrove-whsec-bom\n"
    . "\xef\xbb\xbf  # another one\n\xef\xbb\xbftrove-whsec-bom-two", 0600);

$nginx->start;

my $body = event();


sub outcome {
    my ($uri, $secret, @headers) = @_;

    my $response = post_event($nginx->port, $uri, $body, secret => $secret,
        headers => \@headers);

    return $response->status == 200 ? 'passes' : $response->body;
}


sub good {
    my ($uri, $secret, @headers) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(outcome($uri, $secret, @headers), 'passes', "$uri: $secret @headers");
}


sub bad {
    my ($uri, $secret, @headers) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(outcome($uri, $secret, @headers), 'mismatch', "$uri: $secret @headers");
}


sub none {
    my ($uri, $secret, @headers) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(outcome($uri, $secret, @headers), 'no_secret', "$uri: $secret @headers");
}


# files

good('/file', $_) for qw/ trove-whsec-file-one trove-whsec-file-two /, $long;
bad('/file', $_) for '# the secrets of the tests', 'trove-whsec-commented',
    '  trove-whsec-file-two', "trove-whsec-file-one\n", 'trove-whsec-file', '',
    "  trove-whsec-file-two\t", 'trove-whsec-http', $file, "file:$file",
    substr($long, 0, -1), 'TROVE-WHSEC-FILE-ONE';

good('/relative', 'trove-whsec-relative');
good('/crlf', $_) for qw/ trove-whsec-crlf trove-whsec-crlf-two /;
bad('/crlf', $_) for "trove-whsec-crlf\x0d", '', "\x0d", '# old';

good('/bom', $_) for qw/ trove-whsec-bom trove-whsec-bom-two /;
bad('/bom', $_) for "\xef\xbb\xbf# a comment", '# a comment', "\xef\xbb\xbf",
    "\xef\xbb\xbf  # another one", '', "\xef\xbb\xbftrove-whsec-bom-two";


# the environment, values

good('/line_end', 'trove-whsec-env-line');
bad('/line_end', $_) for "trove-whsec-env-line\r\n", "trove-whsec-env-line\n",
    '', "\n";
good('/lines', $_) for qw/ trove-whsec-env-a trove-whsec-env-b /;
bad('/lines', $_) for '# old', '', ' trove-whsec-env-a ',
    "trove-whsec-env-a\ntrove-whsec-env-b";
good('/value', 'trove-whsec-value');
bad('/value', $_) for " trove-whsec-value\n", ' ', "\n";

good('/env', 'trove-whsec-env-one');
bad('/env', $_) for 'TROVE_TEST_ONE', 'env:TROVE_TEST_ONE', '',
    'trove-whsec-env-two';
good('/http', 'trove-whsec-http');
bad('/http', $_) for '', 'trove-whsec-htt', 'trove-whsec-http ';

for my $i (0 .. $#literal) {
    good("/literal$i", $literal[$i]);
    bad("/literal$i", 'trove-whsec-http');
    bad("/literal$i", '');
}


# several, inherited, replaced

good('/two', $_) for qw/ trove-whsec-first trove-whsec-second /;
bad('/two', $_) for 'trove-whsec-http', 'trove-whsec-third', '';
good('/outer/inherits', 'trove-whsec-outer');
bad('/outer/inherits', 'trove-whsec-http');
good('/outer/replaces', 'trove-whsec-inner');
bad('/outer/replaces', $_) for qw/ trove-whsec-outer trove-whsec-http /;
good('/if', 'trove-whsec-if', @$_) for [], [ 'X-If' => 1 ];
bad('/if', 'trove-whsec-http', @$_) for [], [ 'X-If' => 1 ];

good('/mixed', $_) for qw/ trove-whsec-env-two trove-whsec-file-one
    trove-whsec-file-two trove-whsec-value /;
good('/mixed', 'trove-whsec-tenant-a', 'X-Tenant' => 'a');
good('/mixed', 'trove-whsec-value', 'X-Tenant' => 'a');
bad('/mixed', $_) for 'trove-whsec-tenant-a', 'trove-whsec-env-one', '';


# variables: whose tenant it is

for my $uri (qw{ /tenant /tenants }) {
    good($uri, 'trove-whsec-tenant-a', 'X-Tenant' => 'a');
    good($uri, 'trove-whsec-tenant-b', 'X-Tenant' => 'b');
    bad($uri, 'trove-whsec-tenant-a', 'X-Tenant' => 'b');
    bad($uri, '', 'X-Tenant' => 'b');

    # literally: neither a file nor the environment

    good($uri, 'file:' . $nginx->dir . '/file', 'X-Tenant' => 'file');
    bad($uri, 'trove-whsec-file-one', 'X-Tenant' => 'file');
    good($uri, 'env:TROVE_TEST_ONE', 'X-Tenant' => 'env');
    bad($uri, 'trove-whsec-env-one', 'X-Tenant' => 'env');

    # nobody's: not even with the empty secret

    for my $tenant ([], [ 'X-Tenant' => '' ], [ 'X-Tenant' => 'empty' ],
        [ 'X-Tenant' => 'unknown' ])
    {
        none($uri, $_, @$tenant) for '', 'trove-whsec-tenant-a',
            'trove-whsec-http', 'trove-whsec-next-a';
    }
}

good('/tenants', 'trove-whsec-next-a', 'X-Tenant' => 'a');
bad('/tenants', 'trove-whsec-next-a', 'X-Tenant' => 'b');
good('/part', 'trove-whsec-part', 'X-Part' => 'whsec-part');
bad('/part', 'trove-whsec-part', 'X-Part' => 'whsec');


# a constant is no secret, nor is what a client can name

good('/behind', 'trove-whsec-trove-whsec-tenant-a', 'X-Tenant' => 'a');
good('/before', 'trove-whsec-tenant-a-whsec', 'X-Tenant' => 'a');
good('/around', 'atrove-whsec-tenant-a b', 'X-Tenant' => 'a');
good('/named', 'trove-a-trove-whsec-next-a', 'X-Tenant' => 'a');
good('/pair', 'atrove-whsec-next-a', 'X-Tenant' => 'a');
good('/capture', 'trove-tenant', 'X-Tenant' => 'tenant-x');

for my $tenant ([], [ 'X-Tenant' => '' ], [ 'X-Tenant' => 'unknown' ],
    [ 'X-Tenant' => 'empty' ], [ 'X-Tenant' => 'blank' ],
    [ 'X-Tenant' => 'tab' ])
{
    none('/behind', $_, @$tenant) for 'trove-whsec-', 'trove-whsec- ', '',
        "trove-whsec-\t\r\n";
    none('/before', $_, @$tenant) for '-whsec', ' -whsec', "\t\r\n-whsec";
    none('/around', $_, @$tenant) for 'a b', 'a  b', '';
    none('/tenant', $_, @$tenant) for '', ' ', "\t\r\n";

    my $name = $tenant->[1] // '';

    none('/named', $_, @$tenant) for "trove-$name-", 'trove--', '';
    none('/pair', $_, @$tenant) for $name, '';
    none('/capture', $_, @$tenant) for 'trove-', "trove-$name", '';

    good('/beside', 'trove-whsec-first', @$tenant);
    bad('/beside', $_, @$tenant) for 'trove-whsec-', 'trove-whsec- ', '';
}

none($_, 'trove-whsec-', 'X-Tenant' => 'prefix') for qw{ /tenant /tenants };
none('/capture', 'trove-', 'X-Tenant' => '-x');

ok($nginx->log_lines(qr/no_secret: every "trove_secret" is empty for this r/),
    'which is logged');


# before the body is asked for

my $head = event_request('/tenant', $body, secret => 'x')
    =~ s/(\x0d\x0a\x0d\x0a).*/$1/sr;
my $conn = conn($nginx->port);
$conn->send($head);
is($conn->response->body, 'no_secret', 'without a secret no body is read');
$conn->close;


# rotation: a reload reads files again, and a bad one changes nothing

$nginx->write('file', "trove-whsec-file-two\ntrove-whsec-file-new\n", 0600);
good('/file', 'trove-whsec-file-one');
bad('/file', 'trove-whsec-file-new');
ok($nginx->reload && $nginx->wait_old, 'reloaded');
good('/file', $_) for qw/ trove-whsec-file-two trove-whsec-file-new /;
bad('/file', $_) for 'trove-whsec-file-one', $long;
good('/env', 'trove-whsec-env-one');

$nginx->expect(qr/\[emerg\] .*no secret in "\Q$file\E" of "trove_secret"/);
$nginx->write('file', "# nothing\n", 0600);
ok(!$nginx->reload, 'an empty file is refused');
good('/file', $_) for qw/ trove-whsec-file-two trove-whsec-file-new /;
bad('/file', '');

$nginx->write('file', "trove-whsec-file-last\n", 0600);
ok($nginx->upgrade, 'a new binary');
good('/file', 'trove-whsec-file-last');
good('/env', 'trove-whsec-env-one');
good('/line_end', 'trove-whsec-env-line');
good('/lines', 'trove-whsec-env-b');
good('/mixed', 'trove-whsec-env-two');
good('/tenant', 'trove-whsec-tenant-a', 'X-Tenant' => 'a');


# no log has any of them, nor what a signature should have been

my @mac;

for my $case ([ '/http', 'trove-whsec-http' ],
    [ '/env', 'trove-whsec-env-one' ],
    [ '/file', 'trove-whsec-file-last' ], [ '/two', 'trove-whsec-second' ],
    [ '/tenant', 'trove-whsec-tenant-a' ], [ '/part', 'trove-whsec-part' ])
{
    my ($uri, $secret) = @$case;
    my $t = time();
    my $secret_body = event('file.written', data => { path => 'hush-hush' });
    my $mac = signature($secret, $secret_body, $t);

    push @mac, $mac, uc $mac;

    for my $wrong ($mac =~ tr/0-9a-f/1-9a-f0/r, '0' x 64) {
        my $response = post_event($nginx->port, $uri, $secret_body, headers => [
            'X-Trove-Signature' => "t=$t,v1=$wrong", 'X-Tenant' => 'a',
            'X-Part' => 'whsec-part' ]);
        is($response->body, 'mismatch', "$uri: a wrong signature");
    }
}

$nginx->stop;

# but for the environment of a new binary, which NGINX itself logs

my $log = join '', map { slurp($_) } glob $nginx->dir . '/logs/*';
$log =~ s/^.* \[debug\] \d+#\d+: env: TROVE_TEST_\w+=\S+\n//mg;

like($log, qr/ \[debug\] .*trove verify handler/, 'all is logged');

my @secrets = (qw/ trove-whsec-http trove-whsec-file-one trove-whsec-file-two
    trove-whsec-file-new trove-whsec-file-last trove-whsec-relative
    trove-whsec-crlf trove-whsec-env-one trove-whsec-env-two trove-whsec-first
    trove-whsec-second trove-whsec-value trove-whsec-outer trove-whsec-inner
    trove-whsec-if trove-whsec-next-a trove-whsec-tenant-a trove-whsec-tenant-b
    trove-whsec-part trove-whsec-commented /, $long, 'with spaces in it');

for my $secret (@secrets) {
    my @lines = grep { index($_, $secret) >= 0 } split /\n/, $log;

    is(@lines, 0, "no log has $secret") or diag($lines[0]);
}

for my $mac (@mac) {
    is(index($log, $mac), -1, 'no log has the signature that was expected');
}

is(index($log, 'hush-hush'), -1, 'nor the body');

done_testing();
