#!/usr/bin/perl

# Holds the documentation to the sources: its examples work, every directive,
# variable and log message is in it, and nothing that is not there.
#
# An example is a fenced block of the language "nginx".  The word after that
# says where it belongs: main, http, server or location.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use File::Find;
use Trove::Debian;
use Trove::Docs;

my $root = abs_path(dirname(__FILE__) . '/..');

my @pages = ("$root/README.md", glob "\Q$root\E/docs/*.md");
my @sources;

find(sub { push @sources, $File::Find::name if /\.c$/ },
     "$root/ngx_trove_module");
@sources = sort @sources;

# the one of a name

sub source {
    my ($name) = @_;
    my ($path) = grep { m{/\Q$name\E$} } @sources;
    return $path;
}

my %text = map { $_ => slurp($_) } @pages, @sources;
my %page = map { m{([^/]+)\.md$} => $text{$_} } @pages;

# what NGINX names its system calls in messages

my %macros = (
    ngx_open_file_n => 'open()', ngx_close_file_n => 'close()',
    ngx_fd_info_n => 'fstat()', ngx_read_fd_n => 'read()',
);

my %levels = (
    EMERG => 'emerg', ALERT => 'alert', CRIT => 'crit', ERR => 'error',
    WARN => 'warn', NOTICE => 'notice', INFO => 'info',
);


examples();
quick_start();
beside_the_default_site();
directives();
variables();
messages();
readme();
links();

done_testing();


sub name { return $_[0] =~ s{^\Q$root\E/}{}r }


sub line_of { return 1 + (substr($_[0], 0, $_[1]) =~ tr/\n//) }


# the constant strings of C in a piece of it, as one

sub c_string {
    my ($code) = @_;

    my $string = '';

    while ($code =~ /\G\s*(?:"((?:[^"\\]|\\.)*)"|(ngx_\w+_n)\b)/gc) {
        my ($literal, $macro) = ($1, $2);

        $string .= defined $literal ? $literal =~ s/\\(.)/$1/gsr
            : $macros{$macro} // "unknown macro $macro";
    }

    return $string;
}


sub examples {
    my $examples = 0;

    for my $page (@pages) {

        for my $block (doc_blocks($page)) {
            my ($conf, %opt) = doc_conf($block);
            my $at = name($page) . ":$block->{line}";

            ok(defined $conf, "$at: says where it belongs") or next;

            my ($code, $output) = nginx_t($conf, %opt);

            # it may be a part of a configuration, and this be run anywhere

            $output =~ s/^nginx: \[warn\] "trove_spool" is not used, .*\n//mg;
            $output =~ s/^nginx: \[warn\] .* is on a memory file system, .*\n//mg;

            ok($code == 0, "$at: nginx -t") or diag($output);
            unlike($output, qr/\[\w+\]/, "$at: without a warning");

            $examples++;
        }
    }

    cmp_ok($examples, '>=', 10, 'there are examples');
}


# The configuration of the README is more than well formed: as it is, it works on
# Debian beside the default site.

sub quick_start {
    my ($block) = doc_blocks("$root/README.md");

    ok($block, 'the README has a configuration') or return;

    my %files = $page{README} =~ m{^\| `/etc/nginx/([^`]+)` \| (.*) \|$}mg;

    like($files{'conf.d/trove.conf'}, qr/the configuration above/,
        'and says where it goes');
    like($files{'modules-enabled/60-trove.conf'},
        qr{`load_module modules/ngx_http_trove_module\.so;`},
        'and where the module is loaded');
    ok($files{'trove.secret'}, 'and where the secret is');

    my $backend = backend();
    my $secret = 'trove-whsec-of-the-readme';
    my $nginx = debian($block->{conf},
        files => { 'trove.secret' => "$secret\n" },
        addresses => { '127.0.0.1:8000' => '127.0.0.1:' . $backend->port });

    my ($code, $output) = $nginx->test;

    is($code, 0, 'nginx -t accepts it') or diag($output);
    unlike($output, qr/\[\w+\]/, 'without a warning') or diag($output);

    $nginx->start;

    my $body = raw_event('file.written');
    my $send = sub {
        return post(port_of($nginx, 8080), '/trove-events', $_[0],
            'X-Trove-Signature' => sign($secret, $body));
    };

    is($send->($body)->status, 200, 'it passes an event on');
    ok($backend->last->{body} eq $body, 'as it is');
    like($send->($body)->body, qr/^\{"status":"duplicate"/, 'and only once');
    is($send->("$body ")->body, '{"error":"mismatch"}', 'and no forged one');
    is($backend->count, 1, 'which is all that the application got');

    for my $host ('localhost', 'hooks.example.com', '127.0.0.1') {
        my $r = get(port_of($nginx, 80), '/', Host => $host);

        is($r->body, "the default site\n", "the default site answers: '$host'");
    }
}


# on port 80 and 443 the default site of Debian answers for all other names

sub beside_the_default_site {
    for my $file (@pages, glob "\Q$root\E/examples/*.conf") {
        my @confs = $file =~ /\.md$/ ? map { $_->{conf} } doc_blocks($file)
            : slurp($file);

        for my $server (map { servers($_) } @confs) {
            next unless $server =~ /\blisten (?:80|443)\b/;

            like($server, qr/\bserver_name [\w.]+;/,
                name($file) . ': a server on port 80 or 443 has a name');
        }
    }
}


sub servers {
    my ($conf) = @_;

    my @servers;

    push @servers, $& while $conf =~ /^([ ]*)server[ ]\{\n(?s:.*?)^\1\}/mg;

    return @servers;
}


# each has a section, with a box that says where it may stand

sub directives {
    my %context = (MAIN => 'http', SRV => 'server', LOC => 'location',
        LIF => 'if in location', LMT => 'limit_except');
    my %known;

    for my $source (@sources) {

        while ($text{$source} =~ /^static ngx_command_t .*?^\};/msg) {
            my $table = $&;

            while ($table =~ /ngx_string\("(\w+)"\),\s*([\w|\s]+),/g) {
                my ($directive, $flags) = ($1, $2);

                $known{$directive} = join ', ', map { $context{$_} }
                    $flags =~ /NGX_HTTP_(\w+?)_CONF/g;
            }
        }
    }

    ok(keys %known, 'there are directives');

    my %sections = $page{directives} =~ /^## (\w+)\n((?s:.*?))(?=^## |\z)/mg;

    for my $directive (sort keys %known) {
        my $section = $sections{$directive};

        ok($section, "$directive is documented") or next;
        like($section, qr/^\| Syntax: \| .*`\Q$directive\E(?: [^`]+)?;`/m,
            "$directive: its syntax");
        like($section, qr/^\| Default: \| (?:`\Q$directive\E [^`]+;`|-) \|$/m,
            "$directive: its default");
        like($section, qr/^\| Context: \| \Q$known{$directive}\E \|$/m,
            "$directive: its context");
        like($section, qr/^```nginx /m, "$directive: an example");
        like($section, qr/^\*\*Possible problems\*\*$/m,
            "$directive: possible problems");
        like($page{directives}, qr/^- \[\Q$directive\E\]\(#\Q$directive\E\)$/m,
            "$directive: is in the list");
    }

    is_deeply([ grep { !$known{$_} } sort keys %sections ], [],
        'no other directive is documented');

    # what an example or a text says is there

    for my $source (@sources) {
        $known{$_} = 'metric' for $text{$source} =~
            /(?:ngx_http_trove_\w+\(text,|name =|\{)\s+"(trove_\w+)"/g;
    }

    $known{$_} ||= 'pool' for $text{ source('ngx_http_trove_spool_pool.c') } =~
        /ngx_string\("(trove_\w+)"\)/g;

    for my $metric (grep { $known{$_} eq 'metric' } sort keys %known) {
        like($page{metrics}, qr/^\| `\Q$metric\E` \|/m,
            "the metric $metric is documented");
    }

    for my $page (@pages) {
        my %other = map { $_ => 1 } grep { !$known{$_} }
            $text{$page} =~ /`(trove_[a-z_]+)[ `;]/g;

        is_deeply([ sort keys %other ], [],
            name($page) . ': names no other directive');
    }
}


sub variables {
    my %known;

    for my $source (@sources) {
        my $code = $text{$source};

        while ($code =~ /^static ngx_http_variable_t .*?^\};/msg) {
            my $table = $&;

            while ($table =~ /\{ ngx_string\("(\w+)"\)(.*?)\}/sg) {
                my ($variable, $rest) = ($1, $2);

                $variable .= 'NAME' if $rest =~ /_PREFIX\b/;
                $known{$variable} = 1;
            }
        }

        # those that are not in a table

        while ($code =~ /ngx_http_add_variable\(\w+,\s*&(\w+),/g) {
            my $string = $1;

            ok($code =~ /\b$string\s*=\s*ngx_string\("(\w+)"\)/,
                name($source) . ": what $string is") or next;

            $known{$1} = 1;
        }
    }

    ok(keys %known, 'there are variables');

    my %sections = map { $_ => 1 } $page{variables} =~ /^### \$(\w+)$/mg;

    for my $variable (sort keys %known) {
        my $anchor = lc $variable;

        ok($sections{$variable}, "\$$variable is documented");
        like($page{variables}, qr/\[`\$$variable`\]\(#$anchor\)/,
            "\$$variable: is in the list");
    }

    is_deeply([ grep { !$known{$_} } sort keys %sections ], [],
        'no other variable is documented');

    # the fields that exist for JSON

    my ($fields) = $text{source('ngx_http_trove_variables_module.c')}
        =~ /^static ngx_http_trove_field_t .*?^\};/ms ? $& : '';

    for my $field ($fields =~ /ngx_string\("(\w+)"\)/g) {
        like($page{variables}, qr/`\$trove_json_$field`/,
            "\$trove_json_$field is documented");
    }

    # what goes wrong with a delivery

    my $delivery
        = $text{source('ngx_http_trove_delivery.c')};

    for my $error ($delivery =~ /^\s+(?:(?:d->)?error = )?"([a-z_]+)"\)?;/mg) {
        like($page{variables}, qr/^\| .*`$error`.* \|/m,
            "$error: in variables.md");
        like($page{operations}, qr/^\| `error` \| .*`$error`/m,
            "$error: in operations.md");
    }

    # each verdict

    my ($verdicts) = $text{source('ngx_http_trove_verdict.c')}
        =~ /^static ngx_str_t  ngx_http_trove_verdict_names.*?^\};/ms ? $& : '';

    for my $verdict ($verdicts =~ /ngx_string\("(\w+)"\)/g) {
        like($page{variables}, qr/`$verdict`/, "$verdict: in variables.md");
        like($page{directives}, qr/^\| `$verdict` \| /m,
            "$verdict: in directives.md");
    }
}


# Each message of the sources is one item of messages.md, with its level.

sub messages {
    my @documented;

    while ($page{messages} =~
           /^- `(\w+)`(?: or `(\w+)`)? `([^`]+)`$/mg)
    {
        my @levels = sort grep { defined } $1, $2;
        my $message = $3;

        push @documented, { text => $message =~ s/\s+/ /gr, used => 0,
            levels => \@levels };
    }

    my $all = 0;

    for my $source (@sources) {
        my $code = $text{$source};

        my $call = qr/\bngx_(?:conf_)?log_error\(([\w|]+),[^"]*?
                      ((?:ngx_\w+_n\s*)?")/x;

        my $seen = 0;

        while ($code =~ /$call/g) {
            my ($level, $start) = ($1, $-[2]);
            my $message = c_string(substr $code, $start);

            # as ngx_conf_log_error() adds it

            $message =~ s/(?<!,) in %s:%ui$//;

            my $at = name($source) . ':' . line_of($code, $-[0]);

            $seen++;
            $all++;

            # the level, or the assignment of a variable that holds it

            my $given = $level =~ /^NGX_LOG_/ ? $level
                : $code =~ /\b\Q$level\E = ([^;]*);/ ? $1 : '';
            my @levels = sort map { $levels{$_} } $given =~ /NGX_LOG_(\w+)/g;

            # %V and the like stand for something

            my $pattern = join '[^`,;]+?', map { quotemeta }
                split /%(?:ui|uz|uL|Td|[VsdLTiMO])/, $message, -1;

            my @found = grep { $_->{text} =~ /^$pattern$/ } @documented;

            ok(@found == 1, "$at is documented: $message")
                or diag(scalar(@found) . ' times'), next;

            is_deeply($found[0]{levels}, \@levels, "$at: its level");
            $found[0]{used}++;
        }

        # no call escapes the pattern above

        my $calls = () = $code =~ /\bngx_(?:conf_)?log_error\(/g;
        is($seen, $calls, name($source) . ': all messages were looked at');

        while ($code =~ /return "(is [^"]+)";/g) {
            my $message = "\"DIRECTIVE\" directive $1";
            my @found = grep { $_->{text} eq $message } @documented;

            ok(@found == 1, "is documented: $message") or next;
            $found[0]{used}++;
        }
    }

    cmp_ok($all, '>', 0, 'there are messages');

    is_deeply([ map { $_->{text} } grep { !$_->{used} } @documented ], [],
        'no other message is documented');

    # the reasons that stand in some of them

    my $parser = join '', map { $text{source($_)} }
        qw/ ngx_trove_event.c ngx_trove_event_token.c /;
    my $flat = $page{messages} =~ s/\s+/ /gr;

    while ($parser =~ /(?:bad_json\s=\s|
                       ngx_trove_event_reject\(parser,)([^;]*);/xg)
    {
        my $code = $1;

        while ($code =~ /"((?:[^"\\]|\\.)*)"/g) {
            my $reason = $1 =~ s/\\(.)/$1/gr;

            ok(index($flat, "`$reason`") >= 0, "documented: $reason");
        }
    }
}


# what the README and the page about installing say of commands and packages

sub readme {
    my $makefile = slurp("$root/Makefile");
    my ($build) = slurp("$root/util/bootstrap") =~ /^    build\)\n(.*?);;/ms;
    my $text = "$page{README}\n$page{install}";

    for my $target (sort keys %{{ map { $_ => 1 }
                    $text =~ /\bmake ([a-z]+)\b(?! it)/g }})
    {
        like($makefile, qr/^$target:/m, "make $target");
    }

    for my $package ($build =~ /need (\S+) /g) {
        like($page{install}, qr/(?<![\w-])\Q$package\E(?![\w-])/,
            "install.md names the package $package");
    }

    for my $file ($text =~ m{(?<![\w/.])((?:examples|t)/[\w./-]+)}g) {
        ok(-e "$root/$file", "$file is there");
    }

    # three lines, two commands, ten lines that are more than a bracket, links

    my ($about) = $page{README} =~ /\A# .*\n\n((?:.+\n)+)\n/;
    my ($block) = doc_blocks("$root/README.md");

    is($about =~ tr/\n//, 3, 'the README says in three lines what it is');
    is(() = $page{README} =~ /^make \w+/mg, 2, 'and has two commands');
    is(() = $block->{conf} =~ /^.*\w.*$/mg, 10, 'and a configuration of ten');
    cmp_ok($page{README} =~ tr/\n//, '<=', 70, 'and is short');

    # the examples listen where it is said

    while ($page{install} =~ /^\| \[`([\w.]+)`\].*\| ([^|]+) \|$/mg) {
        my ($example, $where) = ($1, $2);
        my $conf = slurp("$root/examples/$example");

        is(join(' ', $where =~ /((?:127[\d.]+:)?\b\d{3,4})\b/g),
            join(' ', $conf =~ /\blisten ([\d.:]+)/g), "$example: $where");
    }
}


# links inside of the documentation lead somewhere

sub links {
    for my $page (@pages) {

        while ($text{$page} =~ /\]\(([^)\s]*)\)/g) {
            my $link = $1;
            my ($file, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;

            next if $file =~ /^https?:/;

            my $target = length $file ? dirname($page) . "/$file" : $page;

            ok(-e $target, name($page) . ": $link") or next;
            next unless defined $anchor;

            my %anchors = map { anchor($_) => 1 }
                slurp($target) =~ /^#+ (.+)$/mg;

            ok($anchors{$anchor}, name($page) . ": #$anchor in $link");
        }
    }
}


sub anchor { return lc($_[0]) =~ s/[^\w -]//gr =~ tr/ /-/r }
