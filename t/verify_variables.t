#!/usr/bin/perl

# The variables of an event, in headers, logs, maps and conditions.

use lib 't/lib';
use Trove;

use JSON::PP ();

my $secret = 'trove-whsec-variables';

my @fields = qw/ event_id event_type namespace workspace_id api_version
    created_at /;
my @data = qw/ path size_bytes source nested list text flag nothing float
    empty max_width CamelCase absent /;
my @names = ('verify', 'timestamp', @fields, map { "data_$_" } @data);
my @json = (@fields, map { "data_$_" } @data);

my $headers = join '', map { "proxy_set_header X-$_ \"[\$trove_$_]\";\n" =~
    s/X-(\w+)/"X-" . ($1 =~ tr,_,-,r)/er } @names, map { "json_$_" } @json;

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF)->start;
    log_format plain escape=none '<\$trove_data_path|\$trove_namespace>';
    log_format json escape=none
        '{"path":"\$trove_json_data_path","ns":"\$trove_json_namespace",'
        '"id":"\$trove_json_event_id","type":"\$trove_json_event_type"}';

    map \$trove_event_type:\$trove_data_path \$is_report {
        volatile;
        default                          no;
        "~^file\\.written:(.*/)?reports/" yes;
    }

    map \$trove_event_type \$sticky {
        ""       early;
        default  late;
    }

    map \$trove_event_type \$fresh {
        volatile;
        ""       early;
        default  late;
    }

    client_body_buffer_size 1k;
    trove_secret $secret;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        access_log %%TESTDIR%%/logs/plain.log plain;
        access_log %%TESTDIR%%/logs/json.log json;

        location = /all {
            trove_verify on;
            $headers
            $pass
        }

        location = /log {
            trove_verify log;
            $headers
            $pass
        }

        location = /off {
            $headers
            $pass
        }

        location = /map {
            trove_verify on;
            proxy_set_header X-Report \$is_report;
            $pass
        }

        location = /early {
            trove_verify on;
            set \$seen "[\$trove_event_id]";
            proxy_set_header X-Seen \$seen;
            proxy_set_header X-Now \$trove_event_id;
            $pass
        }

        location = /early_if {
            trove_verify on;
            if (\$trove_data_path) {
                return 403;
            }
            $pass
        }

        location = /early_map {
            trove_verify on;
            set \$seen \$sticky\$fresh;
            proxy_set_header X-Seen \$seen;
            proxy_set_header X-Sticky \$sticky;
            proxy_set_header X-Fresh \$fresh;
            $pass
        }

        location = /early_log {
            trove_verify log;
            set \$seen "[\$trove_event_id]";
            $pass
        }

        location = /early_off {
            set \$seen "[\$trove_event_id]";
            $pass
        }

        location = /body {
            trove_verify on;
            proxy_set_header Content-Type application/json;
            proxy_set_body
                '{"text":"\$trove_json_namespace: \$trove_json_data_path"}';
            $pass
        }

        location = /answered {
            trove_verify on;
            add_header X-Id \$trove_event_id;
            add_header X-Verdict \$trove_verify always;
            $pass
        }
    }
EOF

my $port = $nginx->port;


# posts, and returns what the application got as { name => value }

sub seen {
    my ($body, $uri, %opt) = @_;

    $backend->forget;

    my $response = post_event($port, $uri // '/all', $body, secret => $secret,
        %opt);
    my $got = $backend->last or return {};

    return { map { lc($_->[0]) =~ s/^x-//r =~ tr/-/_/r => $_->[1] }
        @{ $got->{headers} } };
}


# an ordinary event

my $t = time() - 7;
my $body = event('file.written', id => 'evt-1', data => {
    path => '/reports/q1.pdf', size_bytes => 1024, source => 'exec',
    nested => { a => [ 1, { b => undef } ] }, list => [ 1, 'two', [] ],
    text => 'a "quoted" \\ text', flag => JSON::PP::true, nothing => undef,
    float => '1.5e3', empty => '', max_width => '7', CamelCase => 'hump',
}) =~ s/"1\.5e3"/-1.50e+3/r;

my %expected = (
    verify => 'ok', timestamp => $t, event_id => 'evt-1',
    event_type => 'file.written', namespace => 'customer-acme',
    workspace_id => 'ws-test', api_version => '2026-04-30',
    created_at => '2026-05-01T12:00:00Z', data_path => '/reports/q1.pdf',
    data_size_bytes => '1024', data_source => 'exec',
    data_nested => '{"a":[1,{"b":null}]}', data_list => '[1,"two",[]]',
    data_text => 'a "quoted" \\ text', data_flag => 'true',
    data_nothing => 'null', data_float => '-1.50e+3', data_empty => '',
    data_max_width => '7', data_camelcase => 'hump', data_absent => '',
);

my %escaped = (%expected,
    data_nested => '{\"a\":[1,{\"b\":null}]}', data_list => '[1,\"two\",[]]',
    data_text => 'a \"quoted\" \\\\ text');

sub all_are {
    my ($seen, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($seen->{lc $_}, "[$expected{lc $_}]", "$name: $_") for @names;
    is($seen->{"json_" . lc $_}, "[$escaped{lc $_}]", "$name: json_$_")
        for @json;
}

my $seen;

all_are(seen($body, '/all', t => $t), 'in memory');
all_are(seen($body, '/log', t => $t), 'by log');

my $large = $body =~ s/"data":\{/"data":{"pad":"@{[ 'x' x 5000 ]}",/r;
all_are(seen($large, '/all', t => $t), 'spilled');
all_are(seen($large, '/all', t => $t, chunked => 3000), 'spilled, chunked');

my $spaced = $body =~ s/([{,}])"(\w+)":/$1 \n"$2"\t:\x0d\n /gr;
$seen = seen(" $spaced\n", '/all', t => $t);
is($seen->{data_path}, '[/reports/q1.pdf]', 'white space is no matter');
is($seen->{data_size_bytes}, '[1024]', 'nor after a number');


# what is not there is empty: absent, null, or nothing was verified

$seen = seen(event('a', id => 'b', namespace => undef, workspace_id => 7,
    remove => [ qw/ data api_version created_at / ]));
is($seen->{$_}, '[]', "$_ is empty") for qw/ namespace workspace_id api_version
    created_at data_path json_namespace json_data_path json_created_at /;
is($seen->{event_id}, '[b]', 'but not the id');

for my $data (undef, 1, '"path"', [ 'path' ], 'text') {
    $seen = seen(event('a', data => $data));
    is($seen->{verify}, '[ok]', 'data that is no object');
    is($seen->{data_path}, '[]', 'has no members');
}

for my $opt ([ '/log', secret => 'x' ], [ '/log', secret => undef ],
    [ '/log', t => 5 ], [ '/off' ])
{
    my ($uri, @more) = @$opt;

    $seen = seen($body, $uri, @more);
    is($seen->{$_}, '[]', "$uri @{[ $more[0] // '' ]}: $_ is empty")
        for grep { $_ ne 'verify' } map { lc } @names,
            map { "json_$_" } @json;
}

$seen = seen('{"id":1,"data":{"path":"x"}}', '/log');
is($seen->{verify}, '[bad_event]', 'well signed, but no event');
is($seen->{data_path}, '[]', 'and nothing of it is shown');


# names: without case, the last of equals, only of data itself

sub data_path {
    my ($json) = @_;

    return seen(qq({"id":"i","type":"t","data":$json}))->{data_path};
}

is(data_path('{"PATH":"a"}'), '[a]', 'upper case');
is(data_path('{"path":"a","Path":"b","x":1}'), '[b]', 'the last counts');
is(data_path('{"path":{"path":"a"},"x":{"path":"b"}}'), '[{"path":"a"}]',
    'not of inner objects');
is(data_path('{"x":{"path":"b"},"y":[{"path":"c"}]}'), '[]', 'not at all');
is(data_path('{"p\u0061th":"a"}'), '[a]', 'an escaped name');
is(data_path('{"path ":"a","pat":"b","paths":"c"}'), '[]', 'similar names');
is(data_path('{"path":"a","path":null}'), '[null]', 'the last is null');
is(data_path('{"path":"a","path":""}'), '[]', 'the last is empty');
is(data_path('{"path":["a" , 1 ] , "b":1}'), '[["a" , 1 ]]', 'as it is');
is(data_path('{"path":-0.0e-7}'), '[-0.0e-7]', 'digit by digit');
is(data_path('{"path":123456789012345678901234567890}'),
    '[123456789012345678901234567890]', 'however many');

is(seen('{"data":{"path":"a"},"type":"t","id":"i","path":"b",'
    . '"other":{"path":"c"}}')->{data_path}, '[a]', 'in any order');


# escapes and scripts

is(data_path('{"path":"\u00e4\u4e2d\ud83d\ude00\/\"\\\\"}'),
    "[\xc3\xa4\xe4\xb8\xad\xf0\x9f\x98\x80/\"\\]", 'are decoded');
is(seen('{"id":"i","type":"t","data":{"path":"\u4e2d\"\\\\"}}')
    ->{json_data_path}, "[\xe4\xb8\xad\\\"\\\\]", 'and escaped anew');


# agents choose paths: no header, no line of a log

my @evil = map { chr } 0 .. 0x1f, 0x7f .. 0x9f;

for my $char (@evil) {
    my $code = sprintf '\u%04x', ord $char;
    utf8::encode(my $bytes = $char);
    my $percent = join '', map { sprintf '%%%02X', ord } split //, $bytes;

    my $json = qq({"id":"i","type":"t","namespace":"n${code}X",)
        . qq("workspace_id":"w$code","data":{"path":"p${code}q"}});
    $seen = seen($json);

    is($seen->{data_path}, "[p${percent}q]", "$code in data");
    is($seen->{namespace}, "[n${percent}X]", "$code in the namespace");
    is($seen->{workspace_id}, "[w$percent]", "$code in another");

    my $text = JSON::PP->new->utf8->allow_nonref->decode(
        '"' . ($seen->{json_data_path} =~ s/^\[(.*)\]$/$1/sr) . '"');
    is($text, "p${char}q", "$code in JSON");
}

for my $end ('\r\n', '\n', '\r', '\u000d\u000a', '\u000A\u0020') {
    my $forged = qq({"id":"i","type":"t","namespace":"n${end}X-Forged: 1",)
        . qq("data":{"path":"p${end}X-Forged: 2${end}${end}GET / HTTP/1.1"}});

    seen($forged);
    is($backend->count, 1, 'no request is forged');
    is($backend->header($backend->last, 'X-Forged'), undef, 'no header is');

    seen($forged, '/body');
    my $text = eval { JSON::PP->new->utf8->decode($backend->last->{body}) };
    like($text->{text}, qr/^n\s+X-Forged: 1: p\s+X-Forged: 2/,
        'and JSON stays JSON');

    my $response = post_event($port, '/answered', event('a',
        id => 'evt"\\'), secret => $secret);
    is($response->header('X-Id'), 'evt"\\', 'in a header of the answer');
}

# those that JSON has a place for come raw, too; and what is next to them

is(data_path(qq({"path":"a\xc2\x85\xc2\x9f\xc2\xa0\xc3\x85"})),
    "[a%C2%85%C2%9F\xc2\xa0\xc3\x85]", 'U+0080 to U+009F, raw');

# raw in the body, where JSON has no place for them

is(seen("{\"id\":\"i\",\"type\":\"t\",\"data\":{\"path\":\"a\x0d\x0ab\"}}",
    '/log')->{verify}, '[bad_json]', 'not escaped, they are no JSON');
is(data_path("{\"path\":[\"a\\n\",\x0d\x0a\t1]}"), '[["a\n",%0D%0A%091]]',
    'between the members of a list they are white space');

my $plain = $nginx->read_log('logs/plain.log');
my @lines = split /\n/, $plain;

is((grep { !/^<.*\|.*>$/s } @lines), 0, 'every line of a log is a line');
like($plain, qr/^<p%0D%0AX-Forged: 2%0D%0A%0D%0AGET/m, 'with all of it');

@lines = split /\n/, $nginx->read_log('logs/json.log');
my @broken = grep { !eval { JSON::PP->new->decode($_) } } @lines;

is(@broken, 0, 'every line of a JSON log is JSON') or diag(@broken);
ok((grep { eval { JSON::PP->new->decode($_)->{path} eq "p\nX-Forged: 2\n\n"
    . 'GET / HTTP/1.1' } } @lines), 'and says what was said');
is(@lines, scalar(split /\n/, $plain), 'a line each');


# maps, and whoever is too early

is(seen($body, '/map')->{report}, 'yes', 'a map');
is(seen(event('file.deleted', data => { path => 'reports/x' }), '/map')
    ->{report}, 'no', 'of another type');
is(seen(event('file.written', data => { path => 'x' }), '/map')->{report},
    'no', 'of another path');

my $warned = qr/\[error\].*trove: an event variable was read before the event/;

for my $case ([ '/early', '[]', 1 ], [ '/early_if', undef, 1 ],
    [ '/early_log', undef, 1 ], [ '/early_off', undef, 0 ],
    [ '/early_map', 'earlyearly', 1 ], [ '/all', undef, 0 ],
    [ '/map', undef, 0 ])
{
    my ($uri, $value, $warnings) = @$case;

    $nginx->mark;
    $seen = seen($body, $uri);

    is($seen->{seen}, $value, "$uri: empty") if defined $value;
    is($backend->count, 1, "$uri: and passes");
    is($nginx->log_lines($warned) > 0, $warnings > 0, "$uri: warned of");
}

is(seen($body, '/early')->{now}, 'evt-1', 'later it is there');

$seen = seen($body, '/early_map');
is($seen->{fresh}, 'late', 'so is a volatile map');
is($seen->{sticky}, 'early', 'but not another one');

like(($nginx->log_lines($warned))[0], qr/add "volatile" to its "map"/,
    'the warning says what to do');


# in the answer

my $response = post_event($port, '/answered', $body, secret => $secret);
is($response->header('X-Id'), 'evt-1', 'in a header of the answer');
is($response->header('X-Verdict'), 'ok', 'the verdict, too');

$nginx->mark;
$response = post_event($port, '/answered', $body);
is($response->header('X-Verdict'), 'missing', 'and that of a refusal');
is($response->header('X-Id'), undef, 'which has no event');
is($nginx->log_lines($warned), 0, 'as nobody should expect');

done_testing();
