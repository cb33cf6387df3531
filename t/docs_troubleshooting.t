#!/usr/bin/perl

# Holds docs/troubleshooting.md to the sources and to NGINX: the lines and the
# responses that it quotes exist, no response is missing, and the recipe against
# "mismatch" works.
#
# Lines of a log stand in a fenced block of the language "log", or as code of
# at least three words.  One that begins with "trove: " is the beginning of a
# message of the module.  Others may be any part of a string of the module or
# of the nginx that is tested.  A word in capitals stands for a value.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use File::Find qw/ find /;

my $root = abs_path(dirname(__FILE__) . '/..');
my $page = slurp("$root/docs/troubleshooting.md");
my $code = '';

find({ no_chdir => 1, wanted => sub { $code .= slurp($_) if /\.c$/ } },
    "$root/ngx_trove_module");

my @strings = strings($code);
my $all = join "\n", @strings,
    slurp(Trove::Nginx::binary()) =~ /[\x20-\x7e]{6,}/g;

log_lines();
responses();
metrics();
commands();
secrets_file();
captured_body();

done_testing();


# the string constants of C, those that follow each other as one

sub strings {
    my ($code) = @_;

    my $constant = qr/"(?:[^"\\\n]|\\.)*"/;
    my @found;

    while ($code =~ /($constant(?:\s*$constant)*)/g) {
        my $string = join '', $1 =~ /"((?:[^"\\\n]|\\.)*)"/g;

        push @found, $string =~ s/\\(["\\])/$1/gr;
    }

    return @found;
}


# a quoted line as a pattern for the format that makes it

sub pattern {
    my ($quote) = @_;

    my $value = qr/(?:%[\d.*]*(?:ui|uz|uL|llu|lu|Td|[VsdLTiMO]))+/;

    return join '', map {
        /^[A-Z]+$/ ? "(?:$_|$value)" : quotemeta
    } split /\b([A-Z]+)\b/, $quote;
}


sub blocks {
    my ($language) = @_;

    my @blocks;

    while ($page =~ /^([ ]*)```\Q$language\E\n((?s:.*?))^\1```$/mg) {
        my ($indent, $block) = ($1, $2);

        push @blocks, $block =~ s/^\Q$indent\E//mgr;
    }

    ok(@blocks > 0, "there are blocks of $language");

    return @blocks;
}


sub log_lines {
    my @lines = map { split /\n/ } blocks('log');

    (my $text = $page) =~ s/^ *```.*?^ *```$//msg;

    push @lines, grep { /^(?:trove: |[\w()]+(?: \S+){2})/ && !/[\$\/@<]/ }
        $text =~ /`([^`\n]+)`/g;

    cmp_ok(@lines, '>', 40, 'lines of logs are quoted');

    for my $line (@lines) {
        next if $line =~ /^trove: $/;

        my $pattern = pattern($line);

        ok($line =~ /^trove: / ? (grep { /^$pattern/ } @strings)
            : $all =~ /$pattern/, "exists: $line");
    }
}


# each response that is on the page exists, and each error of the gate is there

sub responses {
    my ($names) = $code
        =~ /^static ngx_str_t  ngx_http_trove_verdict_names.*?^\};/ms ? $& : '';
    my %error = map { $_ => 1 } grep { $_ ne 'ok' }
        $names =~ /ngx_string\("(\w+)"\)/g;

    cmp_ok(keys %error, '>=', 7, 'there are verdicts');

    $error{$_} = 1 for map { /^\{"error":"(\w+)"\}/ } @strings;

    like($page, qr/`\Q{"error":"$_"}\E`/, "response $_: is on the page")
        for sort keys %error;

    my %quoted;

    $quoted{$1}{$2} = 1
        while $page =~ /\{"(error|detail|status)":"([^"]+)"/g;

    for my $error (sort keys %{ $quoted{error} }) {
        ok($error{$error}, "error $error: exists");
    }

    for my $detail (sort keys %{ $quoted{detail} }) {
        ok((grep { $_ eq $detail } @strings), "detail $detail: exists");
    }

    for my $status (sort keys %{ $quoted{status} }) {
        ok((grep { $_ eq $status || /"status":"\Q$status\E"/ } @strings),
            "status $status: exists");
    }
}


# what commands look for: metrics and directives, or the beginning of them

sub metrics {
    my %known = map { $_ => 1 } grep { /^trove_[a-z_]+$/ } @strings;

    for my $name (map { /\btrove_[a-z_]+/g } blocks('sh')) {
        ok((grep { index($_, $name) == 0 } keys %known), "$name: exists");
    }
}


sub commands {
    for my $block (blocks('sh')) {
        my $file = testdir() . '/command.sh';

        spew($file, $block);

        my $errors = qx{bash -n '$file' 2>&1};

        is($errors, '', 'bash reads: ' . (split /\n/, $block)[0]);
    }
}


sub run {
    my ($find, %replace) = @_;

    my ($block) = grep { /$find/ } blocks('sh');

    ok($block, "there is a command with $find") or return '';

    for my $from (keys %replace) {
        ok($block =~ s/\Q$from\E/$replace{$from}/, "it has $from");
    }

    my $file = testdir() . '/run.sh';

    spew($file, $block);

    return scalar qx{bash '$file' 2>&1};
}


sub secrets_file {
    my $file = testdir() . '/secrets';

    spew($file, "# a comment\n\ntrove-whsec-a_B-1\n\"trove-whsec-b\"\nc\n"
        . "trove-whsec-d\r\n\xef\xbb\xbftrove-whsec-e\nS=trove-whsec-f\n");

    is(run(qr/^awk /, '/etc/nginx/trove.secret' => $file), <<'END',
line 3: 17 bytes, good
line 4: 15 bytes, not a secret alone
line 5: 1 bytes, not a secret alone
line 6: 14 bytes, not a secret alone
line 7: 16 bytes, not a secret alone
line 8: 15 bytes, not a secret alone
END
        'the file of secrets is checked');
}


# the configuration that keeps a body, and the signature that is made of it

sub captured_body {
    my ($conf) = grep { /client_body_in_file_only/ } blocks('nginx http');
    my $backend = backend();

    ok($conf =~ s/listen 80;/listen 127.0.0.1:%%PORT_0%%;/, 'a port');
    ok($conf =~ s/127\.0\.0\.1:8000/127.0.0.1:%%BACKEND%%/, 'an application');
    ok($conf =~ s{/etc/nginx/}{%%TESTDIR%%/}, 'a secret');
    ok($conf =~ s{/var/tmp/}{%%TESTDIR%%/}, 'a directory of bodies');
    ok($conf =~ s{/var/log/nginx/}{%%TESTDIR%%/logs/}, 'a log');

    my $nginx = nginx($conf, files => {
        'trove.secret' => "# two\ntrove-whsec-one\ntrove-whsec-two\n",
    })->start;

    my $event = event();
    my $signature = sign('trove-whsec-two', $event);
    my ($v1) = $signature =~ /v1=(\w+)/;

    my @sent = ([ $event, 'ok' ], [ "$event\n", 'mismatch' ]);

    for my $i (0, 1) {
        my ($body, $verdict) = @{ $sent[$i] };

        post($nginx->port, '/trove-events', $body,
            'X-Trove-Signature' => $signature);

        my $log = $nginx->dir . '/logs/capture.log';

        ok(wait_until { -e $log && slurp($log) =~ /(?:.*\n){@{[ $i + 1 ]}}/ },
            "$verdict: in the log");

        my @field = split ' ', (split /\n/, slurp($log))[$i];

        is($field[1], $verdict, "$verdict: the verdict");
        is($field[2], $signature, "$verdict: the signature");
        ok(slurp($field[3]) eq $body, "$verdict: the body");

        my $output = run(qr/openssl dgst/,
            '/var/tmp/trove-bodies/0000000001' => $field[3],
            't=1777550400,v1=5b0c...' => $signature,
            '/etc/nginx/trove.secret' => $nginx->dir . '/trove.secret');

        is(scalar(() = $output =~ /^\w{64} line \d$/mg), 3,
            "$verdict: a signature for each line") or diag($output);
        is(scalar(() = $output =~ /^$v1 line 3$/mg), $verdict eq 'ok' ? 1 : 0,
            "$verdict: the secret is found") or diag($output);
    }
}
