#!/usr/bin/perl

# What "nginx -t" says to a wrong trove_fanout and trove_sign: one line that
# names the directive and tells what to do.

use lib 't/lib';
use Trove;

my $target = 'location = /a { internal; return 200; }';

# what stands in a location, and beside it

sub try_conf {
    my ($location, $beside) = @_;

    $beside //= $target;

    my ($code, $text) = nginx_t("server { listen 127.0.0.1:%%PORT_0%%;"
        . " server_name gate; location /hook { $location } $beside }");

    my @lines = conf_lines($text);

    $text =~ s/ in \S+nginx\.conf:\d+$//mg;
    $text =~ s/^nginx: (?:the )?configuration file .*\n//mg;

    return ($code, $text, @lines);
}

sub refused {
    my ($location, $message, $beside) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text, @lines) = try_conf($location, $beside);

    subtest "$location " . ($beside // '') => sub {
        isnt($code, 0, 'refused');
        ref $message ? like($text, $message, 'and why')
                     : is($text, "nginx: [emerg] $message\n", 'and why');

        # NGINX itself does not say where a variable is used

        return if ref $message || $message =~ /^unknown "\w+" variable/;

        is(scalar @lines, 1, 'and a line');
        like($lines[0], qr/location \/hook/, 'that of the directive');
    };
}


# refused by nobody, but warned of

sub warned {
    my ($location, $message, $beside) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text, @lines) = try_conf($location, $beside);

    subtest "$location " . ($beside // '') => sub {
        is($code, 0, 'accepted');
        is($text, "nginx: [warn] $message\n", 'with a warning');
        is(scalar @lines, 1, 'and a line');
        like($lines[0], qr/location \/hook/, 'that of the directive');
    };
}

sub accepted {
    my ($location, $beside) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text) = try_conf($location, $beside);

    subtest "$location " . ($beside // '') => sub {
        is($code, 0, 'accepted');
        is($text, '', 'without a word');
    };
}


# where it goes to

accepted('trove_fanout /a;');
accepted('trove_fanout /a?x=1;');

refused('trove_fanout @a;', '"@a" in "trove_fanout" is a named location, which'
    . ' cannot be a target; use "location = /NAME" with "internal;"'
    . ' instead');
refused("trove_fanout $_->[0];", qq("$_->[1]" in "trove_fanout" is not the URI)
    . ' of a location, it must begin with "/"')
    for [ 'a', 'a' ], [ 'http://a/', 'http://a/' ], [ '""', '' ],
        [ '@', '@' ], [ 'name=a', 'name=a' ];
refused('trove_fanout /$uri;', '"/$uri" in "trove_fanout" contains a variable,'
    . ' specify a location and use the variable there');
refused('trove_fanout;', 'invalid number of arguments in "trove_fanout"'
    . ' directive');

sub nowhere {
    my ($uri) = @_;

    return qq(no location for target "$uri" of "trove_fanout" in server "gate",)
        . qq( add "location = $uri" with "internal;" and "proxy_pass" in it);
}

sub open_to_all {
    my ($location, $uri) = @_;

    return qq(location "$location" of target "$uri" of "trove_fanout")
        . qq( in server "gate" is open to external requests, add "internal;")
        . qq( to it, or add "location = $uri" with "internal;");
}

refused('trove_fanout /b;', nowhere('/b'));
refused('trove_fanout /a/b;', nowhere('/a/b'));
refused('trove_fanout /a;', open_to_all('/a', '/a'),
    'location = /a { return 200; }');
refused('trove_fanout /a/b;', open_to_all('/a/', '/a/b'),
    'location /a/ { return 200; }');
refused('trove_fanout /a;', open_to_all('/', '/a'),
    'location / { return 200; }');
refused('trove_fanout /hook;', open_to_all('/hook', '/hook'));
refused('trove_fanout /a.x;', open_to_all('\.x$', '/a.x'),
    'location /a { internal; return 200; } location ~ \.x$ { return 200; }');
accepted('trove_fanout /a/b;',
    'location /a/ { internal; location /a/b { return 200; } }');
refused('trove_fanout /a/b;', open_to_all('/a/b', '/a/b'),
    'location /a/ { location /a/b { return 200; } }');

my $re = 'location ~ ^/a/ { return 200; }';
my $in = '{ internal; return 200; }';

accepted('trove_fanout /a/b;', 'location /a/ { internal; return 200; }');
accepted('trove_fanout /a/b;', 'location ~ /b$ { internal; return 200; }');
accepted('trove_fanout /a/B;', 'location ~* /b$ { internal; return 200; }');
accepted('trove_fanout /a/b;', "location ^~ /a/ $in $re");
accepted('trove_fanout /a/b;', "location = /a/b $in $re");
accepted('trove_fanout /a/b;',
    "location /a/ { location ~ b $in } $re");
accepted('trove_fanout /a/b;',
    "location /a/ { location = /a/b $in } $re");
refused('trove_fanout /a/b;', open_to_all('^/a/', '/a/b'),
    "location /a/ { location /a/b $in } $re");
accepted('trove_fanout /a/b;',
    "location ^~ /a/ { location /a/b $in } $re");
accepted('trove_fanout /a/b;',
    'location ~ ^/a { location ~ b { internal; return 200; } return 200; }');
refused('trove_fanout /a/b;', open_to_all('b', '/a/b'),
    'location ~ ^/a { location ~ b { return 200; } }');

# what answers there, for files do not

sub no_handler {
    my ($location, $uri) = @_;

    return qq(location "$location" of target "$uri" of "trove_fanout")
        . ' has no content handler and serves static files, deliveries to it'
        . ' always fail; add "proxy_pass" or a similar directive';
}

for ('', 'root /tmp;', 'alias /tmp/;', 'index x;', 'trove_sign s;',
    'expires 1h;', 'proxy_set_header X x;')
{
    warned('trove_fanout /a;', no_handler('/a', '/a'),
        "location = /a { internal; $_ }");
}

warned('trove_fanout /a;', no_handler('/a', '/a'),
    "error_page 500 /50x.html; set \$x 1; location = /a { internal; }");
warned('trove_fanout /a/b;', no_handler('/a/', '/a/b'),
    'location /a/ { internal; location /a/c { return 200; } }');

for ('return 204;', 'rewrite ^ /b last;', 'if ($uri) { return 204; }',
    'if ($uri) { proxy_pass http://127.0.0.1:1; }',
    'try_files /nowhere @b;', 'error_page 404 405 = @b;',
    'limit_except GET { proxy_pass http://127.0.0.1:1; }',
    'proxy_pass http://127.0.0.1:1;', 'fastcgi_pass 127.0.0.1:1;',
    'uwsgi_pass 127.0.0.1:1;', 'grpc_pass 127.0.0.1:1;', 'empty_gif;',
    'scgi_pass 127.0.0.1:1;', 'stub_status;', configured('--with-http_dav_module')
        ? 'dav_methods PUT; return 204;' : ())
{
    accepted('trove_fanout /a;', "location = /a { internal; $_ }"
        . ' location @b { return 204; } location = /b { return 204; }');
}


# of the server that it stands in

refused('', nowhere('/other'), 'location = /x { trove_fanout /other; }');


# parameters

accepted("trove_fanout /a $_;") for 'name=b', 'events=x', 'events=x,y,z.*',
    'events=*', 'namespace=x', 'namespace=x-*,y', 'if=$uri', 'if=a$uri',
    'optional', 'max_inflight=1', 'max_inflight=65535 max_queue=0',
    'max_inflight=1 max_queue=1000000 max_wait=1h', 'max_inflight=1 max_wait=1ms',
    'name=' . 'x' x 255;

for my $bad ('x', 'x=y', 'name=', 'name', 'events=', 'if=', 'if', '=', '=x',
    'optional=1', 'optional optional', 'name=b name=c', 'events=x events=y',
    'namespace=x namespace=y', 'if=$uri if=$uri', 'Optional', 'NAME=x',
    'max_inflight=1 max_inflight=2', 'max_inflight=1 max_queue=1 max_queue=1',
    'max_inflight=1 max_wait=1s max_wait=1s', 'max_inflight=', '""')
{
    my ($last) = $bad =~ /(\S+)$/;

    $last = '' if $last eq '""';

    refused("trove_fanout /a $bad;", qq(unknown, empty, or duplicate parameter)
        . qq( "$last" in "trove_fanout", expected "URI [name=N] [events=A,B])
        . ' [namespace=N,M] [if=$VARIABLE] [optional] [max_inflight=N]'
        . ' [max_queue=N] [max_wait=TIME]"');
}

accepted("trove_fanout /a max_inflight=1 max_wait=$_;") for qw/ 5 60 1000ms /;
warned("trove_fanout /a max_inflight=1 $_;", qq("$_" in "trove_fanout" means )
    . s/\D//gr . ' seconds, add a unit, such as "' . s/\D//gr . 'ms" or "' . s/\D//gr . 's"')
    for qw/ max_wait=61 max_wait=1000 /;

refused("trove_fanout /a max_inflight=1 $_;", qr/^nginx: \[emerg\] (?:unknown|invalid)/)
    for 'max_inflight=x';

for (qw/ max_inflight=0 max_inflight=-1 max_inflight=1x max_inflight=65536
    max_inflight=99999999999999999999 /)
{
    refused("trove_fanout /a $_;", qq(invalid number "$_" in "trove_fanout",)
        . ' it must be from 1 to 65535');
}

for (qw/ max_queue=-1 max_queue=x max_queue=1000001 /) {
    refused("trove_fanout /a max_inflight=1 $_;", qq(invalid number "$_" in)
        . ' "trove_fanout", it must be from 0 to 1000000');
}

for (qw/ max_wait=0 max_wait=x max_wait=-1 max_wait=2h max_wait=1y /) {
    refused("trove_fanout /a max_inflight=1 $_;", qq(invalid time "$_" in)
        . ' "trove_fanout", it must be from 1ms to 1h');
}

refused("trove_fanout /a $_;", '"max_queue" and "max_wait" of "/a" in'
    . ' "trove_fanout" require "max_inflight=N", add it')
    for 'max_queue=1', 'max_wait=1s';

for ('events=x,', 'events=,x', 'events=x,,y', 'events=a*b', 'events=**',
    'events=$uri', 'namespace=,', 'namespace=*x')
{
    refused("trove_fanout /a $_;", qq(invalid "$_" in "trove_fanout", it must)
        . ' be a comma-separated list of names, with "*" only at the end of a name');
}

refused('trove_fanout /a if=1;', 'no variable in "if=1" of "trove_fanout", define'
    . ' one with a "map" that has "volatile;"');
refused('trove_fanout /a if=$nothing;', 'unknown "nothing" variable');

sub name {
    my ($name) = @_;

    return qq(invalid target name "$name" in "trove_fanout", it must)
        . ' not contain blanks, quotes, or any of ",=$"; specify another one with "name=NAME"';
}

refused("trove_fanout /a 'name=$_';", name($_)) for 'a b', 'a,b', 'a=b', 'a"b',
    'a$b', "a\tb";
refused('trove_fanout "/a,b";', name('/a,b'), "location /a $in");
refused('trove_fanout "/a b";', name('/a b'), "location /a $in");
accepted('trove_fanout "/a,b" name=ab;', "location /a $in");

my $long = '/a' . 'x' x 254;

refused("trove_fanout $long;", qq(the name of target "$long" in "trove_fanout")
    . ' is longer than 255 bytes, specify a shorter one with "name=NAME"',
    'location /a { internal; return 200; }');
accepted("trove_fanout $long name=long;", "location /a $in");

refused("trove_fanout /a; trove_fanout $_;", 'two targets "/a" of'
    . ' "trove_fanout" in one location, add "name=NAME" to distinguish them')
    for '/a', '/a?x', '/b name=/a';
accepted('trove_fanout /a; trove_fanout /a name=b;');
accepted('trove_fanout /a;', "$target location /other { trove_fanout /a; }");


# what stands beside it

my $alone = '"trove_fanout" or "trove_subscriptions" in location "/hook"'
    . ' conflicts with another content handler, such as "proxy_pass"; move that to a separate'
    . ' "internal" location and make it a target';

for my $other ('proxy_pass http://127.0.0.1:1', 'fastcgi_pass 127.0.0.1:1',
    'grpc_pass 127.0.0.1:1', 'stub_status', 'empty_gif', 'trove_metrics')
{
    refused("$other; trove_fanout /a;", $alone);
    refused("trove_fanout /a; $other;", qr/^nginx: \[emerg\] (?:\Q$alone\E|"\w+" directive is duplicate|.*trove_metrics)/);
}


# where it may stand, and who inherits it

refused('', qr/"trove_fanout" directive is not allowed here/,
    'trove_fanout /a;');
refused("$_ { trove_fanout /a; }", qr/"trove_fanout" directive is not allowed/)
    for 'if ($uri)', 'limit_except POST';
is((nginx_t('trove_fanout /a; server { }'))[0], 1, 'not in http');
accepted('trove_fanout /a; if ($uri = x) { set $x 1; }');
accepted('trove_fanout /a; limit_except POST { deny all; }');
accepted('trove_fanout /a; location /hook/in { return 200; }');


# trove_sign

accepted("trove_fanout /a; trove_sign $_;") for 'secret', '$uri';
refused("trove_sign $_;", qr/trove_sign/)
    for '""', 'file:', 'env:', 'file:/nowhere/at/all';
refused('trove_sign a; trove_sign b;', '"trove_sign" directive is duplicate');
refused('trove_sign;', 'invalid number of arguments in "trove_sign" directive');
refused('trove_sign a b;',
    'invalid number of arguments in "trove_sign" directive');


# the blocks inside a location, at work

my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /if {
            trove_fanout /a;

            if ($arg_x) {
                set $y 1;
            }
        }

        location = /limit {
            trove_fanout /a;

            limit_except GET {
                allow all;
            }
        }

        location /outer {
            trove_fanout /a;

            location /outer/in {
                proxy_pass http://127.0.0.1:%%BACKEND%%;
            }

            location /outer/own {
                trove_fanout /a name=own;
            }
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

for ([ '/if', '/a=200' ], [ '/if?x=1', '/a=200' ], [ '/limit', '/a=200' ],
    [ '/outer', '/a=200' ], [ '/outer/own', 'own=200' ], [ '/outer/in', undef ])
{
    my ($uri, $targets) = @$_;

    my $r = post_event($nginx->port, $uri, event());

    is($r->status, 200, "$uri: 200");
    is($r->targets, $targets, "$uri: " . ($targets // 'no fan-out'));
}

is(get($nginx->port, '/a')->status, 404, 'a target is not open to everybody');

done_testing();
