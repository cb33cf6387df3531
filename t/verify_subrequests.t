#!/usr/bin/perl

# "trove_verify on" in the location of a subrequest: nothing was verified there,
# and nothing said so.  What is set in that very location lets only what the
# main request has been verified for pass.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-subrequests';
my $other = 'trove-whsec-other';

my $module = '/usr/lib/nginx/modules/ngx_http_js_module.so';

# it fits the packaged NGINX only

my $njs = !$ENV{TROVE_STATIC} && -e $module
    && Trove::Nginx::binary() =~ m{^/usr/};

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';

# each way to the gate from a location that verifies, and from one that does not

my %ways = (
    mirror => 'mirror /GATE; rewrite ^ /main break;',
    auth => 'auth_request /GATE; rewrite ^ /main break;',
    ssi => 'ssi on; ssi_types text/html; rewrite ^ /page/GATE break;',
    after => 'addition_types *; add_after_body /GATE; rewrite ^ /main break;',
    before => 'addition_types *; add_before_body /GATE;
        rewrite ^ /main break;',
);

my @gates = qw/ gate inherited loggate other tenant tolerant if nested
    inner redirect /;

my $locations = '';

for my $way (sort keys %ways) {

    for my $gate (@gates) {
        my $conf = $ways{$way} =~ s/GATE/$gate/r;

        for my $from ([ off => 'off' ], [ on => 'on' ], [ log => 'log' ]) {
            $locations .= "location = /$way/$from->[0]/$gate {
                trove_verify $from->[1]; $conf $pass }\n";
        }
    }
}

# auth_request sends no body: NGINX has not read it

my $gate = 'proxy_pass_request_body off; proxy_set_header Content-Length "";'
    . $pass;

my $script = $njs ? <<'EOF' : '';
        location = /js/off { trove_verify off; js_content main.sub; }
        location = /js/on { trove_verify on; js_content main.sub; }
EOF

my $target = $njs ? 'js_content main.target;' : $pass;
my $import = $njs ? 'js_import main from %%TESTDIR%%/main.js;' : '';
my $conf = <<EOF;
    trove_dedup_zone zone=events:1m;
    trove_secret $secret;
    $import

    map \$http_x_tenant \$tenant_secret {
        acme     trove-whsec-acme;
        default  $secret;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        trove_verify on;

        $locations
        $script

        location = /gate { trove_verify on; $gate }
        location = /inherited { $gate }
        location = /loggate { trove_verify log; $gate }
        location = /other { trove_verify on; trove_secret $other; $gate }
        location = /tolerant { trove_verify on; trove_tolerance 1h; $gate }

        location = /tenant {
            trove_verify on;
            trove_secret \$tenant_secret;
            $gate
        }

        location = /if {
            trove_verify on;
            if (\$uri) {
                $pass
            }
            $gate
        }

        location = /nested {
            trove_verify on;
            limit_except GET {
                $pass
            }
            $gate
        }

        # what it inherits from a location around it is not its own

        location /inn {
            trove_verify on;
            location = /inner { $gate }
        }

        location = /late/gate {
            trove_verify on;
            trove_tolerance 1h;
            mirror /gate;
            $pass
        }

        location = /late/tolerant {
            trove_verify on;
            trove_tolerance 1h;
            mirror /tolerant;
            $pass
        }

        location = /redirect {
            trove_verify off;
            rewrite ^ /gate last;
        }
    }

    # secrets of variables: the same ones in force in both locations

    server {
        listen 127.0.0.1:%%PORT_2%%;
        trove_secret \$tenant_secret;

        location = /main { trove_verify on; mirror /gate; $pass }
        location = /changed {
            trove_verify on;
            mirror /changed_gate;
            $pass
        }
        location = /gate { trove_verify on; $gate }
        location = /changed_gate {
            trove_verify on;
            trove_secret \$http_x_other;
            $gate
        }
    }

    # deliveries

    server {
        listen 127.0.0.1:%%PORT_3%%;
        trove_verify on;

        location = /fan {
            trove_fanout /own;
            trove_fanout /server;
            trove_fanout /foreign;
            trove_fanout /script;
        }

        location = /fan_off {
            trove_verify off;
            trove_fanout /own;
            trove_fanout /server;
        }

        location = /fan_log {
            trove_verify log;
            trove_fanout /own;
            trove_fanout /server;
        }

        location = /own { internal; trove_verify on; $pass }
        location = /server { internal; $pass }
        location = /foreign {
            internal;
            trove_verify on;
            trove_secret $other;
            $pass
        }

        location = /script { internal; $target }
        location = /script_gate { internal; trove_verify on; $gate }
    }
EOF

my $main = <<'EOJ';
async function sub(r) {
    let reply = await r.subrequest('/' + r.args.gate, { method: 'POST' });
    r.return(200, 'status ' + reply.status);
}

async function target(r) {
    let reply = await r.subrequest('/script_gate', { method: 'POST' });
    r.return(reply.status);
}

export default { sub, target };
EOJ

my $nginx = nginx($conf, files => { 'main.js' => $main },
    main => $njs ? "load_module $module;" : '')->start;

my $port = $nginx->port;

$backend->on("/page/$_", headers => [ 'Content-Type' => 'text/html' ],
    body => qq{page <!--# include virtual="/$_" -->}) for @gates;
$backend->on('/main', headers => [ 'Content-Type' => 'text/html' ],
    body => 'main');


# how often the gate was reached, and the status of the main request

sub outcome {
    my ($uri, $body, %opt) = @_;

    my ($gate) = $uri =~ m{([^/]+)$};
    my $to = $gate eq 'redirect' ? 'gate' : $gate;

    $backend->forget;
    $nginx->mark;

    my $r = post_event($opt{port} // $port, $uri, $body, %opt);

    # a mirror is called before the answer, and may come to the backend after it

    $backend->wait_count($opt{calls}, "/$to") if $opt{calls};
    $nginx->settle;

    return $backend->count("/$to") . ' ' . $r->status;
}

my $lines = qr/\[error\] .* trove: subrequest "\/\w+" refused: /;
my $body = event();

for my $way (sort keys %ways) {

    # refused: auth_request takes it over, the others go on without

    my $no = $way eq 'auth' ? '0 403' : '0 200';

    for my $gate (qw/ gate other tenant tolerant if nested redirect /) {

        for my $opt ([], [ secret => 'x' ], [ secret => $secret ]) {
            is(outcome("/$way/off/$gate", $body, @$opt), $no,
                "$way: nothing of what nobody has verified, $gate @$opt");
            is($nginx->log_lines($lines), 1, "$way: an error, $gate @$opt");
        }

        for my $opt ([], [ secret => 'x' ]) {
            my $status = $way eq 'auth' ? 403 : 400;

            is(outcome("/$way/on/$gate", $body, @$opt), "0 $status",
                "$way: a refused main request, $gate @$opt");
            is(outcome("/$way/log/$gate", $body, @$opt), $no,
                "$way: one that log has let pass, $gate @$opt");
        }
    }

    # auth_request asks before anything is verified

    my ($yes, $logged) = $way eq 'auth' ? ('0 403', 1) : ('1 200', 0);

    for my $gate (qw/ gate tolerant if nested redirect /) {

        for my $from (qw/ on log /) {
            is(outcome("/$way/$from/$gate", $body, secret => $secret,
                calls => 1 - $logged), $yes,
                "$way: what was verified, $from, $gate");
            is($nginx->log_lines($lines), $logged,
                "$way: without an error, $from, $gate");
        }
    }

    is(outcome("/$way/on/$_", $body, secret => $secret), $no,
        "$way: what was verified by other secrets, $_")
        for qw/ other tenant /;

    # what is in force all over the server, or outside, is about main requests

    for my $gate (qw/ inherited inner /) {

        for my $opt ([], [ secret => 'x' ], [ secret => $secret ]) {
            is(outcome("/$way/off/$gate", $body, @$opt, calls => 1), '1 200',
                "$way: an inherited one, $gate @$opt");
            is($nginx->log_lines($lines), 0, "$way: no error, $gate @$opt");
        }
    }

    # log

    is(outcome("/$way/off/loggate", $body, calls => 1), '1 200',
        "$way: log lets pass");
    is($nginx->log_lines($lines), 1, "$way: and logs");
}

is(outcome('/mirror/on/gate', $body, secret => $secret,
    t => time() - 1000), '0 400', 'stale');
is(outcome('/late/gate', $body, secret => $secret, t => time() - 1000),
    '0 200', 'stale for the location of the subrequest');
is(outcome('/late/tolerant', $body, secret => $secret, t => time() - 1000,
    calls => 1), '1 200', 'and not for another');

# a body in pieces, and in a file

for my $more ('', 'x' x 20000) {
    my $body = event('file.written', data => { pad => $more });

    is(outcome('/mirror/on/gate', $body, secret => $secret, chunked => 100,
        calls => 1), '1 200', 'chunked');
    is(outcome('/mirror/off/gate', $body, secret => $secret, chunked => 100),
        '0 200', 'chunked, not verified');
}

like(post_event($port, '/ssi/off/gate', $body)->body, qr/^page .*403 Forbid/s,
    'SSI shows the error');
like(post_event($port, '/ssi/on/gate', $body, secret => $secret)->body,
    qr/^page \{"ok":true\}/, 'or the answer');

$nginx->mark;
post_event($port, '/mirror/off/gate', $body);
like(($nginx->log_lines($lines))[0], qr/set it in the location of the main /,
    'what to do');

# HTTP/2

my $h2 = h2($nginx->port(1));

for my $case ([ off => 0, 'x' ], [ off => 0, $secret ], [ on => 1, $secret ]) {
    my ($from, $calls, $key) = @$case;

    $backend->forget;
    is($h2->post("/mirror/$from/gate", $body, 'x-trove-signature' =>
        sign($key, $body))->status, 200, "HTTP/2, $from");
    $backend->wait_count($calls, '/gate') if $calls;
    $nginx->settle;
    is($backend->count('/gate'), $calls, "HTTP/2, $from: $calls to the gate");
}


# secrets of variables

my $p = $nginx->port(2);

is(outcome('/main', $body, port => $p, secret => 'trove-whsec-acme',
    headers => [ 'X-Tenant' => 'acme' ]), '1 200', 'a tenant');
ok($backend->wait_count(1, '/gate'), 'is mirrored to the gate');
is(outcome('/main', $body, port => $p, secret => $secret,
    headers => [ 'X-Tenant' => 'acme' ]), '0 400', 'not by the secret of others');
is(outcome('/changed', $body, port => $p, secret => $secret,
    headers => [ 'X-Other' => $secret ]), '1 200', 'other variables');
is($backend->count('/changed_gate'), 0, 'are other secrets');


# deliveries

sub fanout_outcome {
    my ($uri, %opt) = @_;

    my $r = post_event($nginx->port(3), $uri, $body, %opt);

    return join ' ', $r->status, map { "$_->{name}=$_->{status}" }
        @{ $r->json->{targets} || [] };
}

$backend->forget;
is(fanout_outcome('/fan', secret => $secret),
    '200 /own=200 /server=200 /foreign=200 /script=200', 'deliveries pass');
is($backend->count('/script_gate'), $njs ? 1 : 0, 'and what they call');
is(fanout_outcome('/fan', secret => 'x'), '400', 'not if they are forged');
is(fanout_outcome('/fan_off'), '200 /own=200 /server=200',
    'those of its own events');
is(fanout_outcome('/fan_log', secret => $secret), '200 /own=200 /server=200',
    'those that log has found genuine');
is(fanout_outcome('/fan_log', secret => 'x'), '502 /own=403 /server=200',
    'not those that it has let pass');


# a script

if ($njs) {
    my $body = event();

    for my $case ([ 'off/', 'x', 403 ], [ 'off/', $secret, 403 ],
        [ 'on/', $secret, 200 ])
    {
        my ($from, $key, $status) = @$case;

        is(post_event($port, '/js/' . ($from =~ s{/}{}r) . '?gate=gate', $body,
            secret => $key)->body, "status $status", "a script, $from $key");
    }

    is(post_event($port, '/js/on?gate=gate', $body, secret => 'x')->status, 400,
        'a script, forged');
    is(post_event($port, '/js/off?gate=inherited', $body)->body, 'status 200',
        'a script, an inherited one');
}

done_testing();
