#!/usr/bin/perl

# njs in the location of a target: each kind of handler works in both modes.
# What one script does with its request, its body or the answers that it gets is
# nothing to the other targets.

use lib 't/lib';
use Trove;

my $modules = join '', packaged_modules('js');
my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';

my @targets = (
    content => 'js_content main.content;',
    refuse => 'js_content main.refuse;',
    exit => 'js_content main.end;',
    throw => 'js_content main.bad;',
    set => "js_set \$script main.set; proxy_set_header X-Js \$script; $pass",
    access => "js_set \$script main.set; allow 192.0.2.1; deny all; $pass",
    header => "js_header_filter main.header; $pass",
    body => "js_header_filter main.nolength; js_body_filter main.body; $pass",
    log => "js_set \$logged main.logged; log_subrequest on;
        access_log %%TESTDIR%%/logs/target.log logged; $pass",

    # handlers that wait

    sleep => 'js_content main.sleep;',
    fetch => 'js_content main.fetch;',
    subrequest => 'js_content main.subrequest;',
    body_of_its_own => 'js_content main.another;',
    several => 'js_content main.several;',
    detached => 'js_content main.detached;',
    thread => 'js_content main.thread;',

    # an answer larger than subrequest_output_buffer_size

    large => 'js_content main.large;',
    plain => $pass,
);

my $conf = target_conf(
    targets => \@targets,
    http => <<'EOC',
    js_import main from %%TESTDIR%%/main.js;
    log_format logged '$trove_event_id $trove_target $status $logged';
EOC
    server => <<"EOC",

        location /files/ {
            internal;
            alias %%TESTDIR%%/conf/;
            sendfile off;
            aio threads;
            output_buffers 1 4k;
            log_subrequest on;
            access_log %%TESTDIR%%/logs/thread.log;
        }

        location = /called { internal; $pass }
        location = /big { internal; $pass }
        location = /aside { internal; log_subrequest on;
            access_log %%TESTDIR%%/logs/aside.log; $pass }
EOC
);

$conf =~ s/^ +js_var.*\n//m;

my $main = <<'EOJ';
function content(r) {
    r.log(`content of ${r.variables.trove_event_id} ${r.method}`
        + ` ${r.headersIn['X-Trove-Event-Id']} ${r.requestText.length}`);
    r.return(201, 'taken');
}

function refuse(r) { r.return(503, 'not now'); }
function end(r) { r.return(204); }
function bad(r) { throw new Error('no such thing'); }
function set(r) { return `${r.method} ${r.variables.trove_target}`; }
function logged(r) { return `in ${r.variables.trove_target}`; }

function header(r) {
    r.headersOut['X-Filtered'] = r.variables.trove_event_id;
    r.log(`header of ${r.variables.trove_target}: ${r.status}`);
}

function nolength(r) { delete r.headersOut['Content-Length']; }

function body(r, data, flags) {
    r.sendBuffer(data + data, flags);
    r.log(`body of ${r.variables.trove_target}: ${data.length}`);
}

function sleep(r) { setTimeout(() => r.return(204), 20); }

function fetch(r) {
    ngx.fetch('http://127.0.0.1:%%BACKEND%%/fetched')
        .then(reply => r.return(reply.status == 200 ? 204 : 502))
        .catch(e => r.return(500));
}

function subrequest(r) {
    r.subrequest('/called', { method: 'POST' }, reply => {
        r.return(reply.status, reply.responseText);
    });
}

function another(r) {
    r.subrequest('/called', { method: 'POST', body: 'another body' }, reply => {
        r.return(reply.status);
    });
}

async function several(r) {
    let replies = await Promise.all([ 1, 2, 3 ].map(
        n => r.subrequest('/called', { args: `n=${n}` })));

    r.return(replies.every(reply => reply.status == 200) ? 204 : 502);
}

function detached(r) {
    r.subrequest('/aside', { method: 'POST', detached: true });
    r.return(204);
}

function thread(r) {
    r.subrequest('/files/file', { detached: true });
    r.return(204);
}

function large(r) {
    r.subrequest('/big', reply => r.return(204));
}

export default { content, refuse, end, bad, set, logged, header,
    nolength, body, sleep, fetch, subrequest, another, several, detached,
    thread, large };
EOJ

$main =~ s/%%BACKEND%%/$backend->port/e;

$backend->on('/big', size => 100_000);

my $nginx = nginx($conf, main => $modules, files => { 'main.js' => $main })
    ->start;

$nginx->write('conf/file', 'x' x 200_000);

my %status = (content => 201, refuse => 503, exit => 204, throw => 500,
    sleep => 204, fetch => 204, several => 204, detached => 204,
    thread => 204);

my %calls = (
    (map { $_ => [] } qw/ content refuse exit throw sleep thread /),
    fetch => [ '/fetched' ],
    subrequest => [ '/called' ], body_of_its_own => [ '/called' ],
    several => [ map { "/called?n=$_" } 1 .. 3 ], detached => [ '/aside' ],
    large => [ '/big' ],
);

my @names = map { $targets[2 * $_] } 0 .. @targets / 2 - 1;

for my $mode (target_modes()) {

    for my $name (@names) {
        my $id = new_id();
        my @expected = @{ $calls{$name} || [ "/$name" ] };

        $backend->forget;
        $nginx->mark;

        my $outcome = target_outcome($nginx, $mode, $name, id => $id);

        if ($name eq 'large') {
            like($outcome, qr/^large=\S+ aborted healthy=200$/,
                "$mode, $name: the outcome");

        } else {
            my $status = $status{$name} // 200;
            is($outcome, "$name=$status healthy=200",
                "$mode, $name: the outcome");
        }

        # a detached subrequest does not keep its target from ending

        $backend->wait_count(1 + @expected);

        my @uris = sort grep { $_ ne '/healthy' } map { $_->{uri} }
            $backend->requests;

        is("@uris", "@expected", "$mode, $name: what it passes on");
        is($backend->count('/healthy'), 1,
            "$mode, $name: the target beside it gets the event once");

        my ($healthy) = grep { $_->{uri} eq '/healthy' } $backend->requests;
        my ($body) = $healthy->{body};

        like($body, qr/"id":"$id"/, "$mode, $name: the same event");

        my ($own) = grep { $_->{uri} ne '/healthy' } $backend->requests;
        my $length = length $body;

        my %said = (
            content => qr/ content of $id POST $id $length\b/,
            header => qr/ header of header: 200/, body => qr/ body of body: 12/,
        );

        ok($nginx->wait_log($said{$name}), "$mode, $name: it ran")
            if $said{$name};

        is($backend->header($own, 'X-Js'), 'POST set', "$mode, $name: in it")
            if $name eq 'set';
        is($own->{body}, $body, "$mode, $name: the body")
            if $name =~ /^(subrequest|detached|set)$/;
        is($own->{body}, 'another body', "$mode, $name: the body")
            if $name eq 'body_of_its_own';
        like($nginx->read_log('logs/target.log'), qr/^$id log 200 in log$/m,
            "$mode, $name: in the access log") if $name eq 'log';
    }
}

ok((wait_until {
    2 == (() = $nginx->read_log('logs/aside.log') =~ /^/mg);
}), 'detached subrequests end by themselves');

# those that read a file in a thread outlive their delivery

for my $mode (target_modes()) {
    target_send($nginx, $mode, 'thread') for 1 .. 20;
}

ok((wait_until {
    42 == (() = $nginx->read_log('logs/thread.log') =~ /^/mg);
}), 'and so do those that a thread works for');

ok($nginx->reload && $nginx->wait_old, 'nothing keeps the worker from leaving');


# again and again: the target beside it gets the event once nevertheless

my $again = nginx(target_conf(
    targets => [ large => 'js_content main.large;' ],
    http => 'js_import main from %%TESTDIR%%/main.js;
        trove_dedup_zone zone=events:1m;',
    events => 'trove_dedup zone=events;',
    retry => 'base=20ms max=20ms',
    server => "location = /big { internal; $pass }",
), main => $modules, files => { 'main.js' => $main })->start;

$backend->forget;

my @ids = map { new_id() } 1 .. 10;

is(target_send($again, 'spool', 'large', id => $_)->status, 202, 'accepted')
    for @ids;

ok((wait_until {
    10 == grep { $_->{attempts} >= 4 }
        target_events($again, "target = 'large'");
}), 'each is tried again');

is(join(' ', map { "$_->{state} $_->{attempts}" }
    target_events($again, "target = 'healthy'")),
    join(' ', ('delivered 1') x 10), 'the target beside it has each');

my $wait = new_id();

for my $skipped ('', ' skipped', ' skipped') {
    my $r = target_send($again, 'wait', 'large', id => $wait);

    like($r && $r->targets, qr/^large=\S+ aborted healthy=200$skipped$/,
        "the sender tries again,$skipped");
}

my %healthy;
$healthy{ $backend->header($_, 'X-Trove-Event-Id') }++
    for grep { $_->{uri} eq '/healthy' } $backend->requests;

is_deeply(\%healthy, { map { $_ => 1 } @ids, $wait },
    'each event once at the target beside it');

done_testing();
