#!/usr/bin/perl

# A cache that responds to POST would respond instead of a target: refused where
# "nginx -t" can see it, and a failure otherwise.

use lib 't/lib';
use Trove;

my $backend = backend();
my $b = 'http://127.0.0.1:%%BACKEND%%';

# all that have a cache

my %pass = (
    proxy => 'http://127.0.0.1:%%BACKEND%%', fastcgi => '127.0.0.1:%%BACKEND%%',
    uwsgi => '127.0.0.1:%%BACKEND%%', scgi => '127.0.0.1:%%BACKEND%%',
);

sub conf {
    my ($location, %opt) = @_;

    my $path = $opt{path} // 'proxy';

    return target_conf(
        targets => [ cached => $location ],
        http => "${path}_cache_path %%TESTDIR%%/temp/cache keys_zone=cache:1m;"
            . ($opt{http} // ''),
        server => $opt{server}, retry => $opt{retry},
    );
}

for my $module (sort keys %pass) {
    my $conf = "${module}_cache cache; ${module}_cache_key x;
        ${module}_pass $pass{$module};";

    my ($code, $text) = nginx_t(conf("${module}_cache_methods POST; $conf",
        path => $module));

    is($code, 1, "$module: refused");
    like($text, qr/\[emerg\] location "\/cached" of target "\/cached" /,
        "$module: the location");
    like($text, qr/ has "${module}_cache_methods" with POST, a cache could /,
        "$module: the reason");
    like($text, qr/ add "${module}_cache off;" to it in /,
        "$module: the remedy");
    like((conf_lines($text))[0], qr/trove_fanout \/cached /,
        "$module: the line");

    for my $ok ($conf, "${module}_cache_methods POST; ${module}_pass
        $pass{$module};", "${module}_cache_methods GET HEAD; $conf",
        "${module}_cache_methods POST; " . $conf =~ s/_cache cache/_cache off/r)
    {
        is((nginx_t(conf($ok, path => $module)))[0], 0,
            "$module: it never responds to POST: $ok");
    }
}

# in effect for the whole server

my $server = "proxy_cache cache; proxy_cache_key x; proxy_cache_methods POST;
    proxy_cache_valid any 1h;";

is((nginx_t(conf("proxy_pass $b;", http => $server)))[0], 1, 'inherited');
is((nginx_t(conf("proxy_cache off; proxy_pass $b;", http => $server)))[0], 1,
    'of another target');

my $variable = conf("proxy_cache \$cache; proxy_cache_key x;
    proxy_cache_methods POST; proxy_pass $b;",
    http => 'map $uri $cache { default cache; }');

is((nginx_t($variable))[0], 1, 'by a variable');


# where a rewrite leads to it

my $nginx = nginx(conf('rewrite ^ /behind last;', server => <<"EOC"))->start;
        location = /behind {
            internal;
            $server
            proxy_cache_use_stale error timeout http_500;
            proxy_pass $b;
        }
EOC

for my $mode (target_modes()) {
    $nginx->mark;

    my $first = target_outcome($nginx, $mode, 'cached');

    is($first, 'cached=200 healthy=200', "$mode: the target responds")
        if $mode eq 'wait';

    is(target_outcome($nginx, $mode, 'cached'), 'cached=502 healthy=200',
        "$mode: the cache responds");
    like(($nginx->log_lines(qr/from a cache/))[0],
        qr/\[error\] .*trove: the response for target "cached" is from a /,
        "$mode: logged");
}

is($backend->count('/behind'), 1, 'the target got one event only');

done_testing();
