#!/usr/bin/perl

# What "nginx -t" says to a wrong trove_dedup_zone and trove_dedup: one line
# that names the directive and tells what to do.

use lib 't/lib';
use Trove;

# what stands in http, and in a location

sub try_conf {
    my ($http, $location) = @_;

    my $conf = $http =~ /server/ ? $http
        : "$http server { listen 127.0.0.1:%%PORT_0%%;"
          . " location /hook { $location } }";

    my ($code, $text) = nginx_t($conf);
    my @lines = conf_lines($text);

    $text =~ s/ in \S+nginx\.conf:\d+$//mg;
    $text =~ s/^nginx: (?:the )?configuration file .*\n//mg;

    return ($code, $text, @lines);
}

sub refused {
    my ($http, $location, $message, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text, @lines) = try_conf($http, $location);

    subtest $name // ($location =~ /trove/ ? $location : $http) => sub {
        isnt($code, 0, 'refused');
        is($text, "nginx: [emerg] $message\n", 'and why');

        # NGINX itself does not say where a variable is used

        return if $message =~ /^unknown "\w+" variable/;

        is(scalar @lines, 1, 'and a line');
        like($lines[0], qr/\btrove_dedup/, 'that of the directive');
    };
}

sub accepted {
    my ($http, $location, $name, $warning) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $text, @lines) = try_conf($http, $location);

    subtest $name // ($location || $http) => sub {
        is($code, 0, 'accepted');
        like($_, qr/\btrove_dedup /, 'the line of the directive') for @lines;
        is(scalar @lines, defined $warning ? 1 : 0, 'a line for a warning');
        is($text, defined $warning ? "nginx: [warn] $warning\n" : '',
            defined $warning ? 'with a warning' : 'without a word');
    };
}


# trove_dedup_zone

my $usage = 'expected "zone=NAME:SIZE"';

for my $zone (qw/ zone=e zone=:1m zone= /) {
    refused("trove_dedup_zone $zone;", '',
        $zone eq 'zone=' ? qq{invalid "zone=" in "trove_dedup_zone", $usage}
            : qq{invalid "$zone" in "trove_dedup_zone", $usage});
}

for my $size ('', qw/ x -1m 1q 1.5m 99999999999999999999999 /) {
    refused("trove_dedup_zone zone=e:$size;", '',
        qq{invalid size "$size" in "trove_dedup_zone", expected a size such as "zone=e:10m"});
}

for my $size (qw/ 0 1 1k 31k /) {
    refused("trove_dedup_zone zone=e:$size;", '',
        qq{size "$size" in "trove_dedup_zone" is too small, it must be at}
        . ' least 32k; 10m holds 400,000 events');
}

for my $parameter (qw/ events zon=e:1m size=1m E:1m off /) {
    refused("trove_dedup_zone $parameter;", '',
        qq{unknown, empty, or duplicate parameter "$parameter" in }
        . qq{"trove_dedup_zone", expected "zone=NAME:SIZE [state=PATH]"});
}

refused('trove_dedup_zone zone=e:1m zone=f:1m;', '',
    'unknown, empty, or duplicate parameter "zone=f:1m" in "trove_dedup_zone", '
    . 'expected "zone=NAME:SIZE [state=PATH]"');
refused('trove_dedup_zone;', '',
    'invalid number of arguments in "trove_dedup_zone" directive');
refused('', 'trove_dedup_zone zone=e:1m;',
    '"trove_dedup_zone" directive is not allowed here');

for my $path (qw# conf/e.state.tmp .tmp #) {
    refused("trove_dedup_zone zone=e:1m state=$path;", '',
        qq{"state=$path" in "trove_dedup_zone" ends with ".tmp", which }
        . 'is reserved for temporary files; specify another file');
}

for my $size (qw/ 1m 2m /) {
    refused("trove_dedup_zone zone=e:1m; trove_dedup_zone zone=e:$size;", '',
        'duplicate zone "e" in "trove_dedup_zone"');
}

accepted('trove_dedup_zone zone=e:32k;', '', 'the smallest one');
accepted('trove_dedup_zone zone=e:1m;', 'trove_dedup zone=e;');
accepted('trove_dedup_zone zone=e:1m; trove_dedup_zone zone=f:1m;',
    'trove_dedup zone=e;', 'two zones');


# somebody else's zone

refused('limit_req_zone $uri zone=e:1m rate=1r/s; trove_dedup_zone zone=e:1m;',
    '', 'the shared memory zone "e" is already declared for a different use');
refused('limit_req_zone $uri zone=e:1m rate=1r/s;', 'trove_dedup zone=e;',
    'the shared memory zone "e" is already declared for a different use');


# trove_dedup: the zone

my $zone = 'trove_dedup_zone zone=e:1m;';

$usage = 'expected "zone=NAME [ttl=TIME] [lease=TIME] [key=VALUE]" or "off"';

refused('', 'trove_dedup zone=e;',
    'unknown zone "e" in "trove_dedup", '
    . 'add "trove_dedup_zone zone=e:10m;" to http');
refused($zone, 'trove_dedup zone=f;',
    'unknown zone "f" in "trove_dedup", '
    . 'add "trove_dedup_zone zone=f:10m;" to http');
refused("$zone trove_dedup zone=f; server { listen 127.0.0.1:%%PORT_0%%; }", '',
    'unknown zone "f" in "trove_dedup", '
    . 'add "trove_dedup_zone zone=f:10m;" to http', 'an unknown one in http');
refused($zone, 'trove_dedup ttl=1h;',
    'no "zone=NAME" in "trove_dedup", ' . $usage);
refused($zone, 'trove_dedup;',
    'invalid number of arguments in "trove_dedup" directive');
refused($zone, 'trove_dedup zone=e; trove_dedup zone=e;',
    '"trove_dedup" directive is duplicate');
refused($zone, 'trove_dedup off; trove_dedup zone=e;',
    '"trove_dedup" directive is duplicate');

accepted("server { listen 127.0.0.1:%%PORT_0%%;"
    . " location /hook { trove_dedup zone=e; } } $zone", '',
    'declared after its use');
accepted($zone, 'trove_dedup off;');


# parameters

for my $parameter (qw/ zone= zone=e ttl= lease= key= ttl=2h lease=2s key=2
    TTL=1h e on off size=1m /)
{
    refused($zone,
        "trove_dedup zone=e ttl=1h lease=1s key=1 $parameter;",
        qq{unknown, empty, or duplicate parameter "$parameter" in "trove_dedup",}
        . " $usage");
}

refused($zone, 'trove_dedup zone=;',
    qq{unknown, empty, or duplicate parameter "zone=" in "trove_dedup", $usage});
refused($zone, 'trove_dedup zone=e key=;',
    qq{unknown, empty, or duplicate parameter "key=" in "trove_dedup", $usage});
refused($zone, 'trove_dedup on;',
    qq{unknown, empty, or duplicate parameter "on" in "trove_dedup", $usage});
refused($zone, 'trove_dedup off zone=e;',
    qq{unknown, empty, or duplicate parameter "off" in "trove_dedup", $usage});
refused($zone, 'trove_dedup zone=e key=$no_such;',
    'unknown "no_such" variable', 'an unknown variable in key=');


# times

my %max = (ttl => '3660d', lease => '1d');

for my $name (sort keys %max) {

    for my $time ('', qw/ 0 0s -1 -1s 1.5s x 1x 1h1d 100ms 99999999999999999999
        11y 9223372036854775807 9223372036854775808 /)
    {
        refused($zone, "trove_dedup zone=e $name=$time;",
            qq{invalid time "$name=$time" in "trove_dedup", }
            . "it must be from 1s to $max{$name}");
    }
}

refused($zone, 'trove_dedup zone=e lease=86401s;',
    'invalid time "lease=86401s" in "trove_dedup", it must be from 1s to 1d');

accepted($zone, 'trove_dedup zone=e ttl=1s lease=1s;');
accepted($zone, 'trove_dedup zone=e ttl=3660d lease=1d;');
accepted($zone, 'trove_dedup zone=e ttl=1h30m lease=90;');


# numbers that want a unit

sub bare {
    my ($parameter) = @_;

    my ($n) = $parameter =~ /(\d+)$/;

    return qq("$parameter" in "trove_dedup" means $n seconds, add a unit, such)
        . qq( as "${n}s", "${n}m", "${n}h", or "${n}d");
}

accepted($zone, "trove_dedup zone=e $_;", undef, bare($_))
    for qw/ ttl=24 ttl=7 ttl=3599 lease=1 lease=5 /;
accepted($zone, "trove_dedup zone=e $_;")
    for qw/ ttl=3600 ttl=24s ttl=24h lease=10 lease=60 lease=1s /;


# two locations of one scope

my $shared = '"trove_dedup" in two locations "%s" of servers named "%s" uses '
    . 'the same zone "e", an event of one would be a duplicate in the other; '
    . 'use different zones or set "key="';

sub servers {
    my ($zone, @servers) = @_;

    my $n = 0;

    return $zone . join ' ', map {
        "server { listen 127.0.0.1:%%PORT_" . $n++ . "%%; $_ }"
    } @servers;
}

my $hook = 'location /hook { trove_dedup zone=e; }';

refused(servers($zone, $hook, $hook), '', sprintf($shared, '/hook', ''),
    'two servers without a name');
refused(servers($zone, "server_name a b; $hook", "server_name a; $hook"), '',
    sprintf($shared, '/hook', 'a'), 'two servers of one name');
refused(servers($zone, 'trove_dedup zone=e; location /hook { }', $hook), '',
    sprintf($shared, '/hook', ''), 'inherited in one of them');

accepted(servers($zone, $hook, "server_name a; $hook"), '',
    'servers with different names');
accepted(servers($zone, $hook, 'location = /hook { trove_dedup zone=e; }'),
    '', 'locations of different kinds');
accepted(servers($zone, $hook, 'location ~ /hook { trove_dedup zone=e; }'),
    '', 'one of them a regex');
accepted(servers("$zone trove_dedup_zone zone=f:1m;", $hook,
    $hook =~ s/zone=e/zone=f/r), '', 'different zones');
accepted(servers($zone, $hook, $hook =~ s/zone=e/zone=e key=\$uri/r), '',
    'one has a key');
accepted(servers($zone, ($hook =~ s/zone=e/zone=e key=\$uri/r) x 2), '',
    'both have a key');
accepted(servers($zone, $hook, 'location /hook { trove_dedup off; }'), '',
    'one is off');
accepted(servers("$zone trove_dedup zone=e;", 'location /a { }',
    'location /b { }'), '', 'inherited by different locations');
accepted(servers($zone, 'location /hook { trove_dedup zone=e;'
    . ' if ($arg_a) { set $a 1; } if ($arg_b) { set $b 1; }'
    . ' limit_except GET { deny all; } }'), '', 'blocks in a location');
accepted(servers($zone, 'location /hook { trove_dedup zone=e;'
    . ' location /hook/a { } location ~ /hook { } }'), '',
    'nested locations');


# a captured request that can be replayed

my $verify = 'trove_verify on; trove_secret trove-whsec-conf;';

sub replay {
    my ($tolerance) = @_;

    return '"ttl" of "trove_dedup" in location "/hook" is less than twice the '
        . qq{"trove_tolerance" of $tolerance s and allows captured requests }
        . 'to be replayed after it';
}

my $off = '"trove_tolerance off" in location "/hook" allows captured requests '
    . 'to be replayed after the "ttl" of "trove_dedup"';

accepted($zone, "$verify trove_dedup zone=e ttl=599s;", undef, replay(300));
accepted($zone, "$verify trove_dedup zone=e ttl=600s;");
accepted($zone, "$verify trove_dedup zone=e;");
accepted($zone, "$verify trove_dedup zone=e ttl=1h; trove_tolerance 1h;",
    undef, replay(3600));
accepted($zone, "$verify trove_dedup zone=e ttl=2h; trove_tolerance 1h;");
accepted($zone, "$verify trove_dedup zone=e; trove_tolerance 13h;", undef,
    replay(46800));
accepted($zone, "$verify trove_dedup zone=e; trove_tolerance off;", undef,
    $off);
accepted($zone, $verify =~ s/on/log/r . ' trove_dedup zone=e ttl=1s;',
    undef, replay(300));
accepted($zone, 'trove_dedup zone=e ttl=1s;', 'unverified: nothing to replay');
accepted($zone, 'trove_dedup zone=e; trove_tolerance off;');
accepted("$zone $verify trove_dedup zone=e ttl=1s;", '', 'inherited',
    replay(300));
accepted($zone, "$verify trove_dedup zone=e ttl=1s; if (\$arg_a) { set \$a 1; }",
    'said once, not for a block in it', replay(300));

done_testing();
