#!/usr/bin/perl

# A script in a target that never ends is ended, in both modes.  The sender gets
# its response, the target beside it has the event, and the worker can leave.

use lib 't/lib';
use Trove;

my $modules = join '', packaged_modules('lua', 'js');
my $backend = backend();

my %targets = (
    sleep => 'content_by_lua_block { ngx.sleep(3600) }',
    thread => 'content_by_lua_block {
        ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(3600) end)) }',
    rewrite => 'rewrite_by_lua_block { ngx.sleep(3600) }
        proxy_pass http://127.0.0.1:%%BACKEND%%;',
    captured => 'content_by_lua_block { ngx.location.capture("/sleep") }',
    timeout => 'js_content main.timeout;',
    pending => 'js_content main.pending;',
    detached => 'js_content main.detached;',
);

my @names = sort keys %targets;

# one event to all of them, and to the one beside them

my $fanout = join '', map { "trove_fanout /$_ name=$_;\n" } @names, 'healthy';
my $locations = join '', map { "location = /$_ { internal; $targets{$_} }\n" }
    @names;

my $main = <<'EOJ';
function timeout(r) { setTimeout(() => r.return(204), 3600000); }
function pending(r) { r.subrequest('/sleep').then(() => r.return(204)); }

function detached(r) {
    r.subrequest('/sleep', { detached: true });
    r.return(204);
}

export default { timeout, pending, detached };
EOJ

my $nginx = nginx(<<"EOC", main => $modules, files => { 'main.js' => $main })
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry base=1h max=1h;
    js_import main from %%TESTDIR%%/main.js;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /wait { $fanout }
        location = /spool { trove_fanout_mode spool; $fanout }

        $locations

        location = /healthy {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    %%API%%
EOC
    ->start;

my ($spooled, $waited) = (new_id(), new_id());

my $conn = conn($nginx->port);

$conn->send(event_request('/wait', event(undef, id => $waited)));

is(post_event($nginx->port, '/spool', event(undef, id => $spooled))->status,
    202, 'accepted');

ok($backend->wait_count(1, $_), 'the target beside them has it at once')
    for $waited, $spooled;

ok($nginx->reload, 'a reload meanwhile');

my $r = $conn->response(timeout => 90);

is($r && $r->targets, join(' ', map { $_ eq 'detached' ? "$_=204" : "$_=504" }
    @names) . ' healthy=200', 'the sender gets its response');

ok($nginx->wait_old(90), 'the worker leaves');

my %outcome = map { $_->{target} => "$_->{state} $_->{status} $_->{attempts}" }
    target_events($nginx, "event_id = '$spooled'");

is_deeply(\%outcome, {
    (map { $_ => 'retry 504 1' } @names), healthy => 'delivered 200 1',
    detached => 'delivered 204 1',
}, 'the outcomes in the spool');

for my $id ($waited, $spooled) {

    my $ended = qr/trove: delivery of event "$id" to target "\w+" has not /;
    my $detached = qr/trove: a detached subrequest of the delivery of .* "$id"/;

    is($nginx->log_lines(qr/\[error\] .*$ended/), @names - 1, 'each is logged');
    is($nginx->log_lines(qr/\[error\] .*$detached/), 1,
        'and the one that has outlived its delivery');
    is($backend->count($id), 1, 'the target beside them has got it once');
}

done_testing();
