#!/usr/bin/perl

# What is no secret, though somebody wrote it where one belongs: the error or
# the warning says where it is and what to write, and does not show it.

use lib 't/lib';
use Trove;

my $dir = testdir();
my $good = 'trove-whsec-4f1d8a3b5c7e9a0b';
my $token = 'c9a0b2c4d6e8f4f1d8a3b5c7e9a0b2c4';

spew("$dir/sign", "$good\n");
chmod 0600, "$dir/sign";

my %place = (
    trove_secret => 'server { location / { trove_verify on; %; } }',
    trove_sign => 'server { location / { %; } }',
    trove_api => "trove_spool $dir/spool; server { location / { %; }
        location = /s { trove_fanout_mode spool; trove_fanout /t; }
        location = /t { internal; trove_sign file:$dir/sign; return 204; } }",
);

my @names = sort keys %place;
my $turn = 0;


sub conf { return $place{$_[0]} =~ s/%/$_[0] $_[1]/r }


# a file with this content, readable by its owner only

sub file {
    my ($content, $name) = @_;

    my $path = "$dir/" . ($name // 'a.secret');

    spew($path, $content);
    chmod 0600, $path;

    return $path;
}


sub flat { return qr/\Q@{[ $_[0] =~ s{\s+}{ }gr ]}\E/ }


# one line of this level, without a piece of a secret

sub says {
    my ($name, $level, $conf, $regex, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = nginx_t($conf, %opt);
    my @lines = grep { /\[\w+\]/ } split /\n/, $text;

    is($code, $level eq 'emerg' ? 1 : 0, "$name: the code") or diag($text);
    is(@lines, 1, "$name: one line") or diag($text);
    like($lines[0], qr/\[$level\] .*$regex.* in \S+nginx\.conf:\d+$/,
        "$name: what is wrong");
    unlike($text, qr/4f1d|9a0b|hush/, "$name: nothing of the secret");
}


sub silent {
    my ($name, $conf, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = nginx_t($conf, %opt);

    is($code, 0, "$name: accepted") or diag($text);
    unlike($text, qr/\[\w+\]/, "$name: without a word");
}


# the form is the same for all, wherever it stands

for my $name (@names) {
    my $is = $name eq 'trove_api' ? $token : $good;

    my @wrong = (
        [ 'in double quotes', qq("$is"), 'has quotes around the secret' ],
        [ 'in single quotes', qq('$is'), 'has quotes' ],
        [ 'a quote before it', qq("$is), 'has quotes' ],
        [ 'a quote behind it', qq($is'), 'has quotes' ],
        [ 'in quotes of a text', "\xe2\x80\x9c$is\xe2\x80\x9d", 'has quotes' ],
        [ 'an assignment', "TROVE_SECRET=$is", 'has a name before the secret' ],
        [ 'an export', "export A=$is", 'has a name' ],
        [ 'as in an ini', "secret = $is", 'has a name' ],
        [ 'as in YAML', "secret: $is", 'has a name' ],
        [ 'an empty assignment', 'TROVE_SECRET_4F1D=', 'has a name' ],
        [ 'JSON', qq({"secret":"$is"}), 'is JSON or markup, specify only the' ],
        [ 'a list', "[$is]", 'is JSON' ],
        [ 'a place to fill in', '<hush>', 'is JSON or markup' ],
        [ 'a PEM', '-----BEGIN HUSH', 'is the beginning of a TLS key or certificate' ],
        [ 'a comment of ini', "; $is", 'looks like a comment, comments in a file' ],
        [ 'the prefix', 'trove-whsec-', 'is only the prefix of a secret, specify' ],
        [ 'as documented', 'trove-whsec-...', 'is only the prefix of a secret' ],
        [ 'crossed out', 'trove-whsec-XXXX', 'is only the prefix of a secret' ],
        [ 'two of them', "$good,$good", 'has other text beside the secret' ],
        [ 'a letter before it', "x$good", 'has other text beside the secret' ],
        (map { [ $_, $_ . 'hush', 'is a reference rather than a secret, use '
            . qq("$name file:PATH" or "$name env:NAME") ] }
            qw/ File: FILE: file= FILE= path= Path: env= Env: ENV: /),
    );

    for my $case (@wrong) {
        my ($what, $text, $regex) = @$case;

        # each in both places, but not for each directive

        if ($turn++ % 2) {
            my $quoted = $text =~ s/(["\\])/\\$1/gr;

            says("$name, $what", 'emerg', conf($name, qq("$quoted")),
                qr/the value of "$name" \Q$regex\E/);
            next;
        }

        my $path = file("# a comment\n\n$text\n");
        says("$name, file, $what", 'emerg', conf($name, "file:$path"),
            qr/line 3 of "\Q$path\E" in "$name" \Q$regex\E/);
    }


    $turn++;

    says("$name, a comment of C", 'emerg',
        conf($name, 'file:' . file("// $is\n")),
        qr/line 1 of .* looks like a comment/);
    says("$name, env", 'emerg', conf($name, 'env:TROVE_HUSH'),
        qr/line 2 of the environment variable "TROVE_HUSH" in "$name" has quo/,
        env => { TROVE_HUSH => "$is\n\"$is\"\n" });

    # of base64 and the like

    for my $ok ("${is}=", "${is}==", qq(${is}a"b'c), "$is#a", "$is:a",
        "${is}[{<;")
    {
        silent("$name, $ok", conf($name, 'file:' . file("$ok\n")));
    }

    silent("$name, a value", conf($name, $is));
    silent("$name, blanks around it", conf($name, qq(" $is\t\n")));
    silent("$name, a file", conf($name, 'file:' . file($is)));
    silent("$name, an environment", conf($name, 'env:TROVE_HUSH'),
        env => { TROVE_HUSH => " $is\r\n" });

    says("$name, only blanks", 'emerg', conf($name, qq(" \t\n")),
        qr/empty secret in "$name", expected/);
    says("$name, only blanks in the environment", 'emerg',
        conf($name, 'env:TROVE_HUSH'),
        qr/no secret in "TROVE_HUSH" of "$name", add one secret per line/,
        env => { TROVE_HUSH => " \r\n" });
    says("$name, a line end", 'emerg', conf($name, qq("$is\n$is")),
        qr/the value of "$name" has a line break, use a file/);
    says("$name, old line ends", 'emerg',
        conf($name, 'file:' . file("$is\r$is\r")),
        qr/line 1 of .* has a line break, .* Unix line endings/);
    says("$name, a comment behind it", 'emerg',
        conf($name, 'file:' . file("$is # hush\n")),
        qr/line 1 of .* has other text beside the secret, .*comments on separate/);
    says("$name, too long", 'emerg', conf($name, 'a' x 1025),
        qr/the value of "$name" is longer than 1024 bytes/);
    says("$name, a name that is a variable", 'emerg',
        conf($name, 'env:$HUSH'), qr/expected "$name env:NAME"/);
    says("$name, a variable in a path", 'emerg',
        conf($name, "file:$dir/\$host.secret"),
        qr/in "$name" cannot be opened, variables are not supported in a path/);

    # byte order marks

    for my $bom ("\xff\xfe", "\xfe\xff") {
        says("$name, UTF-16", 'emerg', conf($name, 'file:'
            . file($bom . $is =~ s/(.)/$1\0/gr)),
            qr/"\S+" in "$name" is in UTF-16, save it as UTF-8/);
    }

    silent("$name, UTF-8", conf($name, 'file:'
        . file("\xef\xbb\xbf# a comment\n$is\n")));
    says("$name, a mark alone", 'emerg', conf($name, 'file:'
        . file("\xef\xbb\xbf")), qr/no secret in "\S+" of "$name"/);
}


# forgotten "file:": what cannot be a secret, and what is a file

for my $name (@names) {

    for my $word (qw/ on off log On OFF Log file env /) {
        says("$name $word", 'emerg', conf($name, $word),
            qr/the value of "$name" is a keyword rather than a secret, use "$name file:P/);
    }

    for my $path (qw{ /etc/hush ./hush ../hush ~/hush }) {
        says("$name $path", 'emerg', conf($name, $path),
            qr/the value of "$name" is a path, use "$name file:PATH"/);
        says("$name, env, $path", 'emerg', conf($name, 'env:TROVE_HUSH'),
            qr/line 1 of the environment .* is a path, use "$name file:PATH"/,
            env => { TROVE_HUSH => $path });
    }

    # as long as a token, in the directory of nginx.conf and of the prefix

    my $file = 'hush-hush-hush-hush.secret';
    my $is_file = flat(qq(the value of "$name" is the name of a file, use
                          "$name file:PATH"));

    says("$name, a file of the prefix", 'emerg', conf($name, $file), $is_file,
        files => { $file => $good });
    says("$name, one in a directory", 'emerg', conf($name, "conf/$file"),
        $is_file, files => { "conf/$file" => $good });
    says("$name, env, a file", 'emerg', conf($name, 'env:TROVE_HUSH'),
        qr/line 1 of the environment .* is the name of a file/,
        files => { $file => $good }, env => { TROVE_HUSH => "$file\n" });
}

{
    # from the directory of nginx.conf, and from that of the command

    my $nginx = nginx("%%GLOBALS%%\nevents { }\nhttp {\n%%HTTP%%\n"
        . "include conf/site.conf;\n}\n", files => {
            'conf/site.conf' => conf('trove_sign', 'beside-the-site'),
            'conf/beside-the-site' => $good });

    my ($code, $text) = $nginx->test;
    is($code, 0, 'a file beside an included one is not meant') or diag($text);

    chdir $dir or die "chdir $dir: $!";
    spew('where-i-am-hush', $good);
    says('a file where the command runs', 'emerg',
        conf('trove_sign', 'where-i-am-hush'), qr/is the name of a file/);
    mkdir 'a-directory' or die "mkdir: $!";
    silent('a directory', conf('trove_sign', 'a-directory'));
}


# without the prefix of TroveFiles

my $prefix = qr/does not begin with "trove-whsec-" as a TroveFiles secret/;
my $ascii = qr/has a blank or a byte that is not printable ASCII/;

says('no prefix', 'warn', conf('trove_secret', 'hush-hush'),
    qr/the value of "trove_secret" $prefix/);
says('half of the prefix', 'warn', conf('trove_secret', 'whsec-hush'), $prefix);
says('no prefix in a file', 'warn', conf('trove_secret', 'file:'
    . file("$good\n\n# 1\n  hush-hush \n")),
    qr/line 4 of "\Q$dir\E\/a\.secret" in "trove_secret" $prefix/);
says('no prefix in the environment', 'warn', conf('trove_secret', 'env:TS'),
    qr/line 1 of the environment variable "TS" in "trove_secret" $prefix/,
    env => { TS => "hush-hush\n" });
says('a blank', 'warn', conf('trove_secret', 'file:' . file("$good x\n")),
    qr/line 1 of .* $ascii/);
says('what cannot be seen', 'warn', conf('trove_secret', 'file:'
    . file("$good\xe2\x80\x8b\n")), $ascii);
silent('with variables', 'map $uri $m { default hush; } '
    . conf('trove_secret', 'whsec-$m'));
silent('trove_sign', conf('trove_sign', 'hush-hush'));


# tokens

for my $case ([ 'x' x 15, 1 ], [ 'hush', 1 ], [ 'x' x 16, 0 ], [ $token, 0 ]) {
    my ($text, $wrong) = @$case;
    my $short = qr/is shorter than 16 bytes and .*"openssl rand -hex 32"/;

    if ($wrong) {
        says("token $text", 'emerg', conf('trove_api', $text),
            qr/the value of "trove_api" $short/);
        says("token $text, file", 'emerg',
            conf('trove_api', 'file:' . file("$token\n$text\n")),
            qr/line 2 of "\S+" in "trove_api" $short/);
        says("token $text, env", 'emerg', conf('trove_api', 'env:TS'),
            qr/line 1 of the environment .* $short/, env => { TS => $text });

    } else {
        silent("token $text", conf('trove_api', $text));
    }
}


# variables: the same where it is seen, and what the client could choose

for my $name (@names) {
    my $map = 'map $uri $m { default hush; } ';

    says("$name, a file by a variable", 'emerg', conf($name, 'File:$uri'),
        qr/is a reference rather than/);
    says("$name, a variable in quotes", 'emerg', $map
        . conf($name, q('"$m"')), qr/has quotes/);
    says("$name, an assignment of one", 'emerg', $map . conf($name, 'A=$m'),
        qr/has a name before/);
    silent("$name, a variable", $map . conf($name, '$m'));
    silent("$name, and more", $map . conf($name, 'a-$http_x$m-b'));

    next if $name eq 'trove_sign';

    for my $value ('$http_x', 'trove-whsec-$arg_tenant', '${cookie_a}b$host',
        '$uri', 'a$1')
    {
        says("$name, $value", 'warn', conf($name, $value),
            qr/the value of "$name" is chosen by the client, look it up/);
    }
}


# who may read it

for my $name (@names) {
    my $is = $name eq 'trove_api' ? $token : $good;
    my $path = file($is);

    for my $mode (0644, 0604, 0602, 0666) {
        chmod $mode, $path;
        says(sprintf('%s, mode %o', $name, $mode), 'warn',
            conf($name, "file:$path"), flat(qq(any user can
                read or change "$path" in "$name", run "chmod o-rw $path")));
    }

    for my $mode (0400, 0600, 0640, 0660) {
        chmod $mode, $path;
        silent(sprintf('%s, mode %o', $name, $mode),
            conf($name, "file:$path"));
    }

    chmod 0, $path;
    says("$name, no right to read", 'emerg', conf($name, "file:$path"),
        qr/"\Q$path\E" in "$name" cannot be read by this user, .*\(13: /,
        unprivileged => 1);

    # the configuration itself

    my $nginx = nginx("%%GLOBALS%%\nevents { }\nhttp {\n%%HTTP%%\n"
        . "include site.conf;\n}\n");

    for my $case ([ $is, 0644, 1 ], [ $is, 0600, 0 ], [ '$uri$trove_event_id',
        0644, 0 ], [ 'env:TS', 0644, 0 ])
    {
        my ($value, $mode, $warns) = @$case;

        local $nginx->{opt}{env} = { TS => $is };
        $nginx->write('site.conf', conf($name, $value), $mode);

        my ($code, $text) = $nginx->test;
        my @lines = grep { /\[\w+\]/ } split /\n/, $text;

        is(@lines, $warns, "$name: a configuration with it") or diag($text);
        like($lines[0], flat(qq(any user can read or change
            the file with the value of "$name", move the secret to a separate
            file and use "$name file:PATH" in $nginx->{dir}/site.conf:1)),
            "$name: what to do") if $warns;
        unlike($text, qr/4f1d|9a0b/, "$name: nothing of the secret");
    }
}


# once, for however many locations

{
    my $path = file("hush-hush\n");
    chmod 0644, $path;
    spew("$dir/snippet", "trove_secret file:$path;\ntrove_secret env:TS;\n"
        . "trove_secret hush-snippet;\n");

    my $conf = join '', map { "server { server_name s$_; trove_secret hush$_;
        location / { location /a { } include $dir/snippet; }
        location /b { include $dir/snippet; } }\n" } 1 .. 2;

    my ($code, $text) = nginx_t($conf, env => { TS => 'hush-env' });

    my @lines = sort map { /\[warn\] (.*) in / } split /\n/, $text;

    is($code, 0, 'inherited and included');
    is(@lines, 7, 'each is warned of once') or diag($text);
    is(grep({ /^line 1 of "/ } @lines), 1, 'the file');
    is(grep({ /^line 1 of the env/ } @lines), 1, 'the environment');
    is(grep({ /^the value of/ } @lines), 3, 'each value');
    is(grep({ /^any user/ } @lines), 2, 'the modes');

    ($code, $text) = nginx_t(conf('trove_secret', 'hush1; trove_secret hush2'));
    is(scalar(() = $text =~ /\[warn\]/g), 2, 'two in a line');
}


# the same secret twice

my $repeated = qr/is a duplicate secret, remove it or replace it/;

says('twice in a file', 'warn', conf('trove_secret', 'file:'
    . file("$good\n${good}1\n$good\n")), qr/line 3 of .* $repeated/);
says('the same file twice', 'warn', conf('trove_secret', 'file:'
    . file("$good\n") . ";\ntrove_secret file:$dir/a.secret"),
    qr/line 1 of .* $repeated/);
says('in a file and by value', 'warn', conf('trove_secret', 'file:'
    . file("$good\n") . ";\ntrove_secret $good"),
    qr/the value of "trove_secret" $repeated/);
silent('at two levels', "trove_secret $good;\n" . conf('trove_secret', $good));

done_testing();
