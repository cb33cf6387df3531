#!/usr/bin/perl

# What examples/ holds works as it is, and says what is wrong where it is not
# used right: the configurations, send-event, the demo.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;
use File::Copy qw/ copy /;
use POSIX ();

use Trove::Debian;
use Trove::Util qw/ alive /;

my $examples = abs_path('examples');
my $secret = 'trove-whsec-of-a-test';
my $backend = backend(body => 'done');


# runs a program to its end, or leaves it running: (exit code, output), or
# { pid, file }

my $serial = 0;

sub launch {
    my ($opt, @command) = @_;

    my $file = testdir() . '/out' . $serial++;

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        $ENV{$_} = $opt->{env}{$_} for keys %{ $opt->{env} || {} };
        open STDIN, '<', $opt->{stdin} // '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>', $file;
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    return { pid => $pid, file => $file };
}


sub finish {
    my ($program) = @_;

    wait_until { waitpid($program->{pid}, POSIX::WNOHANG()) != 0 } 60
        or kill 'KILL', $program->{pid};

    my $status = $?;

    return ($status & 127 ? 128 + ($status & 127) : $status >> 8,
        slurp($program->{file}));
}


sub run {
    return finish(launch(@_));
}


sub send_event {
    my ($opt, @arguments) = @_;

    return run($opt, "$examples/send-event", @arguments);
}


# gate.conf, as it is but for its addresses

my $conf = slurp("$examples/gate.conf");

is($conf =~ s/listen 127\.0\.0\.1:8080;/listen 127.0.0.1:%%PORT_0%%;/g, 1,
    'gate.conf: one address to listen on');
is($conf =~ s/server 127\.0\.0\.1:3000;/server 127.0.0.1:%%BACKEND%%;/g, 1,
    'gate.conf: one address of the application');

is($conf =~ s{/var/log/nginx/}{%%TESTDIR%%/logs/}g, 1, 'gate.conf: the log');

cmp_ok(scalar(grep { /[;{]/ } split /\n/, $conf), '<=', 18,
    'gate.conf is short');

my @files = (files => { 'trove.secret' => "$secret\n" });
my ($code, $text) = nginx_t($conf, @files);

is($code, 0, 'gate.conf is right') or diag($text);
unlike($text, qr/\[warn\]/, 'gate.conf gives no warning');

($code, $text) = nginx_t($conf);

isnt($code, 0, 'gate.conf without the secret is refused');
like($text, qr/trove\.secret/, 'and the file is named');


# send-event to this gate

my $gate = nginx($conf, @files)->start;
my $url = 'http://127.0.0.1:' . $gate->port . '/trove-events';
my $event = event('file.written', data => { path => "/\x{e4}\x{1f600}\n'\"" });
my $file = $gate->write('event.json', "$event\n\n");

($code, $text) = send_event({}, $url, $secret, $file);

is("$code $text", "0 200 done\n", 'send-event: a file is accepted');
ok($backend->last->{body} eq "$event\n\n", 'byte for byte');

($code, $text) = send_event({}, $url, $secret, $file);

is($code, 0, 'send-event: a duplicate is a success');
like($text, qr/^200 \{"status":"duplicate","id":"evt-\w+"\}$/,
    'the answer is shown');

$file = $gate->write('-', event('exec.completed', data => { stdout => 'x' x
    300_000 }));
($code, $text) = send_event({ stdin => $file }, $url, $secret, '-');

is("$code $text", "0 200 done\n", 'send-event: standard input is accepted');
ok($backend->last->{body} eq slurp($file), 'byte for byte');

$backend->forget;

for (1 .. 2) {
    ($code, $text) = send_event({}, $url, $secret);
    is("$code $text", "0 200 done\n", 'send-event: an event of its own');
}

my ($first, $second) = map {
    $backend->header($_, 'X-Trove-Event-Id') } $backend->requests;

is($backend->header($backend->last, 'X-Trove-Event'), 'webhook.test',
    'is a webhook.test');
isnt($first, $second, 'with a new id each time');

($code, $text) = send_event({}, $url, "${secret}x");

is("$code $text", qq(1 400 {"error":"mismatch"}\n),
    'send-event: another secret is refused');

($code, $text) = send_event({}, $url, '-s e$c"r\'et', $file);

is("$code $text", qq(1 400 {"error":"mismatch"}\n),
    'send-event: a strange secret is only a secret');

($code, $text) = send_event({ stdin => '/dev/null' }, $url, $secret, '-');

is("$code $text", qq(1 400 {"error":"bad_json"}\n),
    'send-event: an empty body is signed, too');

$backend->on('/trove-events', status => 500, body => "sorry\n", times => 1);
($code, $text) = send_event({}, $url, $secret);

is("$code $text", "1 500 sorry\n\n", 'send-event: a failure is one');

($code, $text) = send_event({}, 'http://127.0.0.1:1/', $secret);

is($code, 1, 'send-event: nobody listens');
like($text, qr/^curl: .*connect/i, 'and curl says so');

my %wrong = (
    'nothing' => [],
    'no secret' => [ $url ],
    'too many' => [ $url, $secret, $file, $file ],
    'no URL' => [ 'trove-events', $secret, $file ],
    'empty secret' => [ $url, '', $file ],
    'no such file' => [ $url, $secret, "$file.none" ],
    'a directory' => [ $url, $secret, testdir() ],
);

for my $name (sort keys %wrong) {
    ($code, $text) = send_event({}, @{ $wrong{$name} });

    is($code, 2, "send-event: $name: wrong use");
    like($text, qr/^send-event: .*\n\nusage: send-event URL SECRET \[FILE/,
        'what is wrong, and how it is used');
}

($code, $text) = send_event({}, '--help');

is($code, 0, 'send-event --help');
like($text, qr/^usage: /, 'says how it is used');


# nginx.conf, in place of Debian's

$conf = slurp("$examples/nginx.conf");

my $whole = debian($conf, @files,
    addresses => { '127.0.0.1:3000' => '127.0.0.1:' . $backend->port });
my $dir = $whole->dir;

($code, $text) = run({}, qw( openssl req -x509 -newkey rsa:2048 -nodes -days 2
    -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 ),
    '-keyout', "$dir/tls/privkey.pem", '-out', "$dir/tls/fullchain.pem");
is($code, 0, 'a certificate') or diag($text);

($code, $text) = $whole->test;

is($code, 0, 'nginx.conf is right') or diag($text);
unlike($text, qr/\[warn\]/, 'nginx.conf gives no warning');

$whole->start;

($code, $text) = send_event(
    { env => { CURL_CA_BUNDLE => "$dir/tls/fullchain.pem" } },
    'https://127.0.0.1:' . port_of($whole, 443) . '/trove-events', $secret);

is("$code $text", "0 200 done\n", 'nginx.conf: an event by https');
is($backend->header($backend->last, 'Host'), '127.0.0.1',
    'nginx.conf: the Host of the request');

my $line = $whole->read_log('logs/trove.log');

like($line, qr/ 200 [\d.]+ verify=ok dedup=new id=evt-\w+ type=webhook\.test/,
    'nginx.conf: the line in the log');
is(get(port_of($whole, 80), '/')->body, "the default site\n",
    'nginx.conf: the default site is still there');


# those of fanout.conf; Slack is behind a server of ours that has TLS

my %target = map { $_ => backend() }
    qw/ slack pipeline agent_b offboarding acme bolt /;

sub address {
    return '127.0.0.1:%%PORT_1%%' if $_[0] eq 'slack';
    return '127.0.0.1:' . $target{$_[0]}->port;
}


# fanout.conf, likewise, with all the events that there are: who gets which

my %secret = (trove => $secret, acme => "$secret-acme", bolt => "$secret-bolt");

($code, $text) = run({}, qw( openssl req -x509 -newkey rsa:2048 -nodes -days 2
    -subj /CN=hooks.slack.com -addext subjectAltName=DNS:hooks.slack.com ),
    '-keyout', "$dir/slack.key", '-out', "$dir/slack.crt");
is($code, 0, 'a certificate of Slack') or diag($text);

$conf = slurp("$examples/fanout.conf");
$conf =~ s/listen 127\.0\.0\.1:8081;/listen 127.0.0.1:%%PORT_0%%;/;
is($conf =~ s/^upstream\ (\w+)\ \{\n\ +server\ \K[\w.]+:\d+(?=;)
             /address($1)/xmge, 6, 'fanout.conf: the addresses of the targets');
is($conf =~ s{/var/log/nginx/}{%%TESTDIR%%/logs/}g, 3, 'fanout.conf: the logs');
is($conf =~ s{/etc/ssl/certs/ca-certificates\.crt}{$dir/slack.crt}, 1,
    'fanout.conf: whom to trust for Slack');

# NGINX leaves the session that it would resume to the end of the process, which
# is a leak to a sanitizer

$conf =~ s/^ +\Kproxy_ssl_verify on;/proxy_ssl_session_reuse off; $&/m
    if sanitized();

$conf .= <<EOC;
server {
    listen 127.0.0.1:%%PORT_1%% ssl;
    ssl_certificate $dir/slack.crt;
    ssl_certificate_key $dir/slack.key;
    location / {
        proxy_set_header Host \$host;
        proxy_set_header X-Name \$ssl_server_name;
        proxy_pass http://127.0.0.1:@{[ $target{slack}->port ]};
    }
}
EOC

@files = (files => { map { +"$_.secret" => "$secret{$_}\n" } keys %secret });
($code, $text) = nginx_t($conf, @files);

is($code, 0, 'fanout.conf is right') or diag($text);
unlike($text, qr/\[warn\]/, 'fanout.conf gives no warning');

my $fanout = nginx($conf, @files)->start;

# names of who got it since the last time, with what they got

sub who_got {
    my ($body) = @_;

    my @who;

    for my $name (sort keys %target) {
        my $it = $target{$name};

        for my $request ($it->requests) {
            push @who, $name;

            if ($name eq 'slack') {
                my $wanted = JSON::PP->new->decode($body);

                is(JSON::PP->new->decode($request->{body})->{text},
                    "Report ready for $wanted->{namespace}: "
                    . $wanted->{data}{path}, 'the message in Slack');
                is($request->{uri},
                    '/services/T00000000/B00000000/XXXXXXXXXXXX', 'its path');
                is($it->header($request, 'Host'), 'hooks.slack.com', 'Host');
                is($it->header($request, 'X-Name'), 'hooks.slack.com', 'SNI');
                is($it->header($request, 'Content-Type'), 'application/json',
                    'it is JSON');
                is($it->header($request, 'X-Trove-Signature'), undef,
                    'and nothing else of the event goes there');
                next;
            }

            my ($t) = $it->header($request, 'X-Trove-Signature') =~ /^t=(\d+),/;

            ok($request->{body} eq $body, "$name: byte for byte");
            is($it->header($request, 'X-Trove-Signature'),
                sign($secret{$name} // $secret, $body, $t),
                "$name: a signature that it can check");
        }

        $it->forget;
    }

    return "@who";
}

my %wanted = (
    'exec.completed' => 'acme', 'file.deleted' => 'acme',
    'file.written' => 'acme slack', 'key.created' => '',
    'key.revoked' => 'offboarding', 'namespace.deleted' => '',
    'snapshot.created' => 'acme pipeline', 'snapshot.deleted' => 'acme',
    'snapshot.restored' => 'acme pipeline', 'webhook.test' => '',
    'workspace.created' => '',
);

is_deeply([ sort keys %wanted ], [ sort(raw_event_types()) ],
    'fanout.conf: each type of event');

my $audited = 0;

sub audit {
    my @lines = split /\n/, $fanout->read_log('logs/trove-audit.log');
    my @new = @lines[$audited .. $#lines];

    $audited = @lines;

    return map { JSON::PP->new->decode($_) } @new;
}

for my $type (sort keys %wanted) {
    my $body = raw_event($type);
    my $r = post_event($fanout->port, '/trove-events', $body,
        secret => $secret);

    is($r->status, 200, "fanout.conf: $type");
    is(who_got($body), $wanted{$type}, "$type: who got it");

    my @audit = audit();

    is(@audit, 1, "$type: a line in the audit");
    is($audit[0]{type}, $type, 'of its type');
    is($audit[0]{id}, $r->json->{id}, 'and id');
}

my $body = event('file.written', namespace => 'customer-bolt',
    data => { path => qq(jobs/for-agent-b/"x"\n) });

is(post_event($fanout->port, '/trove-events', $body, secret => $secret)->status,
    200, 'fanout.conf: for agent B');
is(who_got($body), 'agent_b bolt', 'who got it');
is((audit())[0]{path}, 'jobs/for-agent-b/"x"%0A', 'the path in the audit');

# one is down: it alone gets the retry; Slack may be down

$body = event('snapshot.created', namespace => 'customer-bolt');
$target{pipeline}->on('/pipeline', status => 503, times => 1);

my @answers = map { post_event($fanout->port, '/trove-events', $body,
    secret => $secret) } 1 .. 3;

is("@{[ map { $_->status } @answers ]}", '502 200 200',
    'fanout.conf: the pipeline is down');
is(who_got($body), 'bolt pipeline pipeline', 'who got it');
is(audit(), 1, 'one line in the audit');
like($fanout->read_log('logs/trove.log'), qr{
    ^\S+\ 502\ .*\ to=/pipeline=503,/bolt=200,/audit=204\n
    \S+\ 200\ .*\ to=/pipeline=200,/bolt=skipped,/audit=skipped\n
    \S+\ 200\ .*\ dedup=duplicate\ .*\ to=-$}xm, 'the lines in the log');

$body = event('file.written', namespace => 'customer-bolt',
    data => { path => 'reports/1' });
$target{slack}->on('/services/T00000000/B00000000/XXXXXXXXXXXX', status => 500,
    times => 1);
is(post_event($fanout->port, '/trove-events', $body, secret => $secret)->status,
    200, 'fanout.conf: Slack is down, which is no failure');
is(who_got($body), 'bolt slack', 'who got it');

# from inside

$body = event('report.approved', namespace => 'customer-acme');
audit();

is(post($fanout->port, '/publish', $body)->status, 200,
    'fanout.conf: an event of our own');
is(who_got($body), 'acme', 'who got it');
is((audit())[0]{type}, 'report.approved', 'the line in the audit');
is(post($fanout->port, '/publish', $body)->json->{status}, 'duplicate',
    'and only once');
is(post($fanout->port, '/acme', $body)->status, 404,
    'nobody else gets to a target');


# spool.conf, likewise

my %behind = map { $_ => backend() } qw/ warehouse billing /;

$conf = slurp("$examples/spool.conf");
is($conf =~ s/listen 127\.0\.0\.1:8082;/listen 127.0.0.1:%%PORT_0%%;/g, 1,
    'spool.conf: one address to listen on');
is($conf =~ s/listen 127\.0\.0\.1:8083;/listen 127.0.0.1:%%PORT_1%%;/g, 1,
    'spool.conf: and one of the API');
is($conf =~ s/^upstream\ (\w+)\ \{\n\ +server\ \K[\w.]+:\d+(?=;)
             /"127.0.0.1:" . $behind{$1}->port/xmge, 2,
    'spool.conf: the addresses of the targets');
is($conf =~ s{/var/lib/nginx/}{%%TESTDIR%%/}g, 1, 'spool.conf: the file');
is($conf =~ s{/var/log/nginx/}{%%TESTDIR%%/logs/}g, 1, 'spool.conf: the log');

my $token = 'a-token-of-some-length';

@files = (files => { 'trove.secret' => "$secret\n", 'own.secret' => "own\n",
    'trove-api.secret' => "$token\n" });
($code, $text) = nginx_t($conf, @files);

is($code, 0, 'spool.conf is right') or diag($text);
unlike($text, qr/\[warn\]/, 'spool.conf gives no warning');

my $spool = nginx($conf, @files)->start;

sub call {
    my ($method, $path) = @_;

    return request($spool->port(1), $method, "/trove/v1/$path",
        headers => [ Authorization => "Bearer $token" ], body => '')->json;
}

$behind{warehouse}->stop;
$behind{billing}->on('/billing', status => 410, body => 'closed', times => 1);

my $raw = raw_event('key.revoked');

is(post_event($spool->port, '/trove-events', $raw, secret => $secret)->status,
    202, 'spool.conf: accepted, though a target is down');

my ($failed);

ok(wait_until {
    ($failed) = @{ call(GET => 'deliveries?state=failed')->{deliveries} };
}, 'spool.conf: one has failed for good');
is($failed->{target}, 'billing', 'it is billing');
is($failed->{last_attempt}{response}, 'closed', 'which has said why');

$behind{warehouse}->start;
ok($behind{warehouse}->wait_count(1), 'spool.conf: the other is up again');
is($behind{warehouse}->last->{body}, $raw, 'byte for byte');

call(POST => "deliveries/$failed->{id}/replay");
ok($behind{billing}->wait_count(2), 'spool.conf: replayed');

for (values %behind) {
    my ($t) = $_->header($_->last, 'X-Trove-Signature') =~ /^t=(\d+),/;

    is($_->header($_->last, 'X-Trove-Signature'), sign('own', $raw, $t),
        'with a signature that it can check');
}

like(get($spool->port(1), '/metrics')->body, qr/^trove_spool_accepted_total 1$/m,
    'spool.conf: the metrics');


# subscriptions.conf, likewise

my ($subscriber, $alerts) = map { backend() } 1 .. 2;

$conf = slurp("$examples/subscriptions.conf");
is($conf =~ s/listen 127\.0\.0\.1:8084;/listen 127.0.0.1:%%PORT_0%%;/g, 1,
    'subscriptions.conf: one address to listen on');
is($conf =~ s/listen 127\.0\.0\.1:8085;/listen 127.0.0.1:%%PORT_1%%;/g, 1,
    'subscriptions.conf: and one of the API');
is($conf =~ s/server 127\.0\.0\.1:\K3008(?=;)/$alerts->port/ge, 1,
    'subscriptions.conf: the address of the target');
is($conf =~ s{/var/lib/nginx/}{%%TESTDIR%%/}g, 1,
    'subscriptions.conf: the file');
is($conf =~ s{/var/log/nginx/}{%%TESTDIR%%/logs/}g, 1,
    'subscriptions.conf: the log');

my $key = '0123456789abcdef' x 4;
my $customer = 'a-token-of-a-customer';

@files = (files => { 'trove.secret' => "$secret\n", 'own.secret' => "own\n",
    'trove-api.secret' => "$token\n", 'trove-acme.secret' => "$customer\n",
    'trove-subscriptions.key' => "$key\n" });
($code, $text) = nginx_t($conf, @files);

is($code, 0, 'subscriptions.conf is right') or diag($text);
unlike($text, qr/\[warn\]/, 'subscriptions.conf gives no warning');

# the line that is a comment allows a subscriber on this host

my $hook = {
    url => 'http://127.0.0.1:' . $subscriber->port . '/hook', events => ['*'],
    namespace => 'customer-acme', description => undef,
};

sub webhook {
    my ($nginx, $method, $path, $as, $body) = @_;

    return request($nginx->port(1), $method,
        "/trove/v1/workspaces/ws-abc123/webhooks$path",
        headers => [ Authorization => "Bearer $as" ],
        body => $body ? JSON::PP->new->encode($body) : '');
}

my $hooks = nginx($conf, @files)->start;

is(webhook($hooks, POST => '', $token, $hook)->status, 422,
    'subscriptions.conf: no subscriber in the own network');
$hooks->stop;

is($conf =~ s{# (trove_subscription_allow )10\.20\.0\.0/16}{${1}127.0.0.1}g, 1,
    'subscriptions.conf: what has to be changed for that');

$hooks = nginx($conf, @files)->start;

my $made = webhook($hooks, POST => '', $customer, $hook);

is($made->status, 201, 'subscriptions.conf: a customer subscribes');
is(webhook($hooks, POST => '', $customer, { %$hook, namespace => 'other' })
    ->status, 422, 'subscriptions.conf: for its own namespace only');

$raw = raw_event('file.written');
is(post_event($hooks->port, '/trove-events', $raw, secret => $secret)
    ->json->{deliveries}, 1, 'subscriptions.conf: an event goes to it alone');
ok($subscriber->wait_count(1), 'subscriptions.conf: it is delivered');

my $delivered = $subscriber->last;
my ($t) = $subscriber->header($delivered, 'X-Trove-Signature') =~ /^t=(\d+),/;

is($delivered->{body}, $raw, 'byte for byte');
is($subscriber->header($delivered, 'X-Trove-Signature'),
    sign($made->json->{signing_secret}, $raw, $t), 'with its own signature');
is($alerts->count, 0, 'subscriptions.conf: no alert');

$subscriber->on('/hook', status => 410);
post_event($hooks->port, '/trove-events', event('file.deleted',
    workspace_id => 'ws-abc123', namespace => 'customer-acme'),
    secret => $secret);

ok($alerts->wait_count(1), 'subscriptions.conf: an alert of one that is gone');
is(JSON::PP->new->decode($alerts->last->{body})->{type}, 'webhook.disabled',
    'of its type');

$hooks->stop;


# those that go to conf.d, all at once beside Debian's default site, and each of
# them does what it is there for

my %debian = (warehouse => backend(), application => backend(body => 'done'));

$conf = join "\n", map { slurp("$examples/$_.conf") }
    qw/ gate fanout spool subscriptions /;

# subscriptions.conf says that its spool has to be removed beside spool.conf

is($conf =~ s/^# with spool\.conf, remove this line.*\ntrove_spool .*\n//m, 1,
    'on Debian: one spool');

$conf =~ s/server hooks\.slack\.com:443;/server 127.0.0.1:443;/;
$conf =~ s{/etc/ssl/certs/ca-certificates\.crt}{$dir/slack.crt};

my $debian = debian($conf,
    files => { 'trove-subscriptions.key' => "$key\n",
        map { +"$_.secret" => "$secret-$_\n" }
            qw/ trove acme bolt own trove-api trove-acme / },
    addresses => {
        '127.0.0.1:3000' => '127.0.0.1:' . $debian{application}->port,
        '127.0.0.1:3006' => '127.0.0.1:' . $debian{warehouse}->port,
    });

($code, $text) = $debian->test;

is($code, 0, 'on Debian: all of conf.d is right') or diag($text);
unlike($text, qr/\[warn\]/, 'on Debian: no warning');

$debian->start;

for my $host ('localhost', 'events.example.com', '127.0.0.1') {
    is(get(port_of($debian, 80), '/', Host => $host)->body,
        "the default site\n", "on Debian: the default site answers '$host'");
}

for (8080, 8081, 8082, 8084) {
    is(post_event(port_of($debian, $_), '/trove-events',
        raw_event('webhook.test'), secret => "$secret-trove")->status,
        $_ >= 8082 ? 202 : 200,
        "on Debian: an event to port $_");
}

is($debian{application}->count, 1, 'on Debian: the application has its event');
ok($debian{warehouse}->wait_count(1), 'on Debian: so has the warehouse');
is(scalar(split /\n/, $debian->read_log('logs/trove-audit.log')), 1,
    'on Debian: and so has the audit');

# what is logged at "notice" can be seen

post_event(port_of($debian, 8080), '/trove-events', event(), secret => 'x');
ok((grep { /\[error\] .*event refused, mismatch/ } $debian->log_lines(qr/./)) == 1,
    'on Debian: a refused event is in the error log, once');


# the demo

my $demo = "$examples/demo/run";
my $tmp = testdir() . '/demo';

mkdir $tmp;
chmod 01777, $tmp;

my %env = (
    TMPDIR => $tmp, TROVE_NGINX => Trove::Nginx::binary(),
    TROVE_MODULE => Trove::Nginx::module() // '',
);

sub nothing_left {
    my ($name) = @_;

    my @files = glob "$tmp/*";
    my @processes = grep { alive($_) } map { m{(\d+)/environ} }
        grep { slurp($_) =~ /\0?TMPDIR=\Q$tmp\E\0/ } glob '/proc/*/environ';

    is("@files", '', "$name: no file stays behind");
    is("@processes", '', "$name: no process stays behind");
}

# of the snapshot, in the access log

my $in_order = qr{^\ \ 502\ new\s+/pipeline=502,/acme=200,/audit=204\n
    \ \ 200\ new\s+/pipeline=200,/acme=skipped,/audit=skipped\n
    \ \ 200\ duplicate\ -$}mx;

my @demos = map { launch({ env => \%env }, $demo) } 1 .. 2;

for (@demos) {
    ($code, $text) = finish($_);

    is($code, 0, 'demo: one of two at the same time succeeds') or diag($text);
    like($text, qr/^All 28 responses are as expected\.  Each event was /m,
        'demo: the summary');

    for my $said ('200 duplicate  not ', '400 mismatch', '400 stale',
        '400 missing', '409 inflight', '200 delivered  slack, acme, audit$',
        '200 delivered  agent_b, acme, audit$', '200 delivered  bolt, audit$',
        '200 delivered  offboarding, audit$', '200 delivered  audit$',
        '502 partial    acme, audit; /pipeline failed: 502$',
        '200 delivered  pipeline$', '200 duplicate  none: ',
        '200 delivered  acme, audit$', '202 accepted   billing$',
        '202 accepted   warehouse$')
    {
        is(() = $text =~ /^.{30}$said/mg, 1, "demo: $said");
    }

    like($text, qr/^\ \ Slack\ shows:\ Report\ ready\ for\ customer-acme:
        \ workspace\/reports\/q3-summary\.md$/mx, 'demo: in Slack');
    like($text, $in_order, 'demo: of the access log');

    like($text, qr/^\ \ warehouse\ pending\ after\ [2-9]\ attempts,\ .*:\ 502$/mx,
        'demo: a target that is down');
    like($text, qr/^\ \ warehouse\ delivered\ after\ \d\ attempts,\ .*:\ 200$/mx,
        'demo: and up again');
    like($text, qr/^\ \ billing\ \ \ failed\ after\ 1\ attempt,\ .*:\ 410$/mx,
        'demo: one that failed for good');
    like($text, qr/^\ \ billing\ \ \ delivered\ after\ 2\ attempts,\ .*:\ 200$/mx,
        'demo: and is replayed');

    for my $said ('201            gets ', '422            refused: ',
        '200            subscriber: webhook\.test$',
        '202 accepted   subscriber$',
        '202 accepted   subscriber, signed with both$',
        '202 accepted   alerts: webhook\.disabled$', '200            deleted$')
    {
        is(() = $text =~ /^.{30}$said/mg, 1, "demo: $said");
    }

    is(() = $text =~ /^.{30}202 accepted   none: no subscription/mg, 2,
        'demo: another namespace, and after the end');
    like($text, qr/^  id: \d+\n  data: \{"id": "evt-\w+", "type": "file\.wri/m,
        'demo: the stream');
    like($text, qr/^The stream has sent all events of acme, in order, and no /m,
        'demo: and all of it');

    is(scalar(grep { length > 80 } split /\n/, $text), 0, 'demo: 80 columns');
}

nothing_left('demo');

# it can fail: the same with a gate that verifies nothing

my $copy = testdir() . '/copy';

mkdir "$copy$_" for '', '/examples', '/examples/demo';
symlink abs_path('t'), "$copy/t";

for my $file (qw( demo/run demo/Client.pm demo/Stage.pm gate.conf fanout.conf
    spool.conf subscriptions.conf )) {
    copy("$examples/$file", "$copy/examples/$file") or die "copy: $!";
}

sub broken {
    my ($file, $change) = @_;

    local $_ = slurp("$examples/$file");
    $change->();
    spew("$copy/examples/$file", $_);

    my @result = run({ env => \%env }, $^X, "$copy/examples/demo/run");

    copy("$examples/$file", "$copy/examples/$file") or die "copy: $!";

    return @result;
}

($code, $text) = broken('gate.conf', sub { s/^ *trove_verify on;.*\n//m });

is($code, 1, 'demo: a gate that lets everything pass fails');
like($text, qr/^  with a modified body .* WRONG: .* 400 mismatch/m,
    'demo: what is wrong');
like($text, qr/^\d+ of 28 responses are not as expected/m, 'demo: and a summary');

($code, $text) = broken('fanout.conf', sub { s/ events=key\.revoked;/;/ });

is($code, 1, 'demo: a fan-out that sends too much fails');
like($text, qr/^webhook\.test .* WRONG: it was received by: audit offboarding$/m,
    'demo: what is wrong');

($code, $text) = broken('fanout.conf', sub { s/trove_sign file:acme/#/ });

is($code, 1, 'demo: a fan-out that does not sign fails');
like($text, qr/^report\.approved .* WRONG: .* 200 delivered, .*: audit$/m,
    'demo: what is wrong');

# the same of subscriptions: none, the stream of another customer, no signature

sub wrong_subscriptions {
    my ($name, $expected, $change) = @_;

    ($code, $text) = broken('subscriptions.conf', $change);

    is($code, 1, "demo: $name fails");
    like($text, $expected, 'demo: what is wrong');
    is(() = $text =~ /^Use of uninitialized/mg, 0, 'demo: and it runs on');
}

wrong_subscriptions('a gate without subscriptions',
    qr/^POST webhooks .* WRONG: /m,
    sub { s/^ +trove_subscriptions .*\n//m });

wrong_subscriptions('a stream that shows another customer',
    qr/^WRONG: the stream has sent: evt-\w+$/m,
    sub { s/ namespace=customer-acme;/ namespace=customer-bolt;/ });

wrong_subscriptions('a gate that signs for no subscriber',
    qr/^POST webhooks\/ID\/test .* WRONG: no signature/m,
    sub { s/^ +proxy_pass \$trove.*\n/$&proxy_set_header X-Trove-Signature '';/m });

# workers that log late: whichever comes first, the lines are in order

($code, $text) = broken('fanout.conf',
    sub { s/trove\.log fanout\K;/ buffer=4k flush=200ms;/ });

is($code, 0, 'demo: workers that log late') or diag($text);
like($text, $in_order, 'demo: the access log is in order all the same');

nothing_left('demo that fails');

($code, $text) = run({ env => { %env, TROVE_NGINX => '/nowhere/nginx' } },
    $demo);

is($code, 1, 'demo: without NGINX');
like($text, qr{^demo: .*\n/nowhere/nginx: No such file}, 'demo: says so');

($code, $text) = run({ env => \%env }, $demo, '--what');

is($code, 2, 'demo: an unknown option');
is($text, "usage: examples/demo/run [--keep]\n", 'demo: how it is used');

nothing_left('demo that does not start');


# the demo that stays, until it is ended one way or the other

for my $signal (qw/ INT TERM KILL /) {
    my $stays = launch({ env => \%env }, $demo, '--keep');
    my ($program, $to, $with);

    wait_until {
        ($program, $to, $with) = slurp($stays->{file})
            =~ m{^  (\S*examples/send-event) (http:\S+) (\S+)\n.*\n\n}ms;
    } 30 or diag(slurp($stays->{file}));

    my ($pid_file) = glob "$tmp/*/nginx.pid";
    my $nginx = slurp($pid_file) + 0;

    ok($nginx, "demo --keep: nginx runs");

    ($code, $text) = run({}, $program, $to, $with);

    is("$code $text", "0 200 ok\n\n", 'demo --keep: an event by hand');
    ok(wait_until { slurp($stays->{file})
        =~ / 200 verify=ok dedup=new webhook\.test evt-\w+\n/ },
        'demo --keep: is seen there');

    kill $signal, $stays->{pid};
    ($code) = finish($stays);

    is($code, { INT => 0, TERM => 0, KILL => 137 }->{$signal},
        "demo --keep: ends by $signal");

    # by KILL, another has to do it

    wait_until { !glob "$tmp/*" };
    ok(wait_until { !kill 0, -$nginx }, "$signal: nginx and its workers end");
    nothing_left("demo --keep, $signal");
}

done_testing();
