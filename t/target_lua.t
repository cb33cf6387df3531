#!/usr/bin/perl

# Lua in the location of a target: each kind of handler works in both modes, and
# so does a handler that waits.  The delivery to a target beside it is not
# affected.

use lib 't/lib';
use Trove;

my $modules = join '', packaged_modules('lua');
my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';

# what is common to all: the request as a script sees it

my $request = <<'EOL';
            local event = ngx.var.trove_event_id
            local headers = ngx.req.get_headers()

            ngx.req.set_header("X-Lua", table.concat({
                ngx.req.get_method(), headers["x-trove-event-id"] == event
                    and event or "another", ngx.var.trove_target,
                ngx.var.trove_attempt, ngx.var.uri }, " "))
EOL

my @targets = (
    rewrite => "rewrite_by_lua_block {\n$request\n} $pass",

    set => 'set_by_lua_block $lua { return ngx.var.trove_target }
        proxy_set_header X-Lua $lua; ' . $pass,

    # there is no access phase in a target

    access => "access_by_lua_block { ngx.exit(403) } $pass",

    content => 'content_by_lua_block {
        ngx.req.read_body()
        ngx.log(ngx.NOTICE, "content of ", ngx.var.trove_event_id, ": ",
            ngx.md5(ngx.req.get_body_data()))
        ngx.status = 201
        ngx.say("taken")
    }',

    refuse => 'content_by_lua_block {
        ngx.status = 503
        ngx.say("not now")
    }',

    exit => 'content_by_lua_block { ngx.exit(204) }',
    throw => 'content_by_lua_block { error("no such thing") }',
    exec => 'content_by_lua_block { ngx.exec("@executed") }',

    header => "header_filter_by_lua_block {
        ngx.header['X-Filtered'] = ngx.var.trove_event_id
        ngx.header.content_length = nil
        ngx.log(ngx.NOTICE, 'header of ', ngx.var.trove_target, ': ',
            ngx.status, ' ', ngx.header['X-Filtered'])
    } $pass",

    body => "header_filter_by_lua_block { ngx.header.content_length = nil }
        body_filter_by_lua_block {
            ngx.ctx.bytes = (ngx.ctx.bytes or 0) + #ngx.arg[1]
            ngx.arg[1] = string.rep(ngx.arg[1], 2)

            if ngx.arg[2] then
                ngx.log(ngx.NOTICE, 'body of ', ngx.var.trove_target, ': ',
                    ngx.ctx.bytes)
            end
        } $pass",

    log => "log_subrequest on;
        log_by_lua_block {
            ngx.log(ngx.NOTICE, 'log of ', ngx.var.trove_target, ': ',
                ngx.status, ' ', ngx.var.trove_event_id)
        } $pass",

    balancer => 'proxy_pass http://balanced;',

    # handlers that wait

    sleep => "rewrite_by_lua_block { ngx.sleep(0.02) } $pass",
    nap => 'content_by_lua_block { ngx.sleep(0.02) ngx.exit(204) }',

    socket => 'content_by_lua_block {
        local socket = ngx.socket.tcp()

        assert(socket:connect("127.0.0.1", %%BACKEND%%))
        assert(socket:send("GET /by-socket HTTP/1.0\r\n\r\n"))

        local line = assert(socket:receive())

        socket:close()
        ngx.exit(line:find(" 200 ") and 204 or 502)
    }',

    capture => 'content_by_lua_block {
        local answer = ngx.location.capture("/captured", {
            method = ngx.HTTP_POST, always_forward_body = true })

        ngx.status = answer.status
        ngx.print(answer.body)
    }',

    capture_rewrite => 'rewrite_by_lua_block {
        local answer = ngx.location.capture("/captured", {
            method = ngx.HTTP_POST, body = "another" })

        ngx.req.set_header("X-Lua", answer.status)
    } ' . $pass,

    capture_multi => 'content_by_lua_block {
        local one, two = ngx.location.capture_multi({
            { "/captured?n=1" }, { "/captured?n=2" } })

        ngx.exit(one.status == 200 and two.status == 200 and 204 or 502)
    }',

    thread => 'content_by_lua_block {
        local thread = ngx.thread.spawn(function() ngx.sleep(0.02) end)
        ngx.thread.wait(thread)
        ngx.exit(204)
    }',

    timer => 'content_by_lua_block {
        ngx.timer.at(0, function(premature, event)
            ngx.log(ngx.NOTICE, "timer of ", event)
        end, ngx.var.trove_event_id)
        ngx.exit(204)
    }',

    plain => $pass,
);

my $conf = target_conf(
    targets => \@targets,
    http => <<'EOC',
    # of all answers

    header_filter_by_lua_block {
        ngx.header["X-Server"] = ngx.var.server_port
        ngx.req.get_headers()
    }

    upstream balanced {
        server 0.0.0.1;

        balancer_by_lua_block {
            local balancer = require("ngx.balancer")

            ngx.log(ngx.NOTICE, "balancer of ", ngx.var.trove_target)
            assert(balancer.set_current_peer("127.0.0.1", %%BACKEND%%))
        }
    }
EOC
    server => <<"EOC",
        # for requests of clients only

        server_rewrite_by_lua_block {
            if not ngx.var.uri:find("^/wait\$")
               and not ngx.var.uri:find("^/spool\$")
               and not ngx.var.uri:find("^/captured")
            then
                ngx.exit(403)
            end
        }

        location = /captured { internal; $pass }
        location \@executed { rewrite ^ /executed break; $pass }
EOC
);

my $nginx = nginx($conf, main => $modules)->start;

$nginx->expect(qr{lua entry thread aborted: runtime error: .*no such thing});

my %status = (content => 201, refuse => 503, exit => 204, throw => 500,
    nap => 204, socket => 204, capture_multi => 204, thread => 204,
    timer => 204);

my %errors = (refuse => 1, throw => 2);

# what the backend gets for it, if it is not one request to a path of its name

my %calls = (
    (map { $_ => [] } qw/ content refuse exit throw nap thread timer /),
    exec => [ '/executed' ], balancer => [ '/balancer' ],
    socket => [ '/by-socket' ], capture => [ '/captured' ],
    capture_rewrite => [ '/captured', '/capture_rewrite' ],
    capture_multi => [ '/captured?n=1', '/captured?n=2' ],
);

my @names = map { $targets[2 * $_] } 0 .. @targets / 2 - 1;

for my $mode (target_modes()) {

    for my $name (@names) {
        my $status = $status{$name} // 200;
        my $id = new_id();

        $backend->forget;
        $nginx->mark;

        is(target_outcome($nginx, $mode, $name, id => $id),
            "$name=$status healthy=200", "$mode, $name: the outcome");

        my @uris = sort grep { $_ ne '/healthy' } map { $_->{uri} }
            $backend->requests;

        is("@uris", join(' ', sort @{ $calls{$name} || [ "/$name" ] }),
            "$mode, $name: what it passes on");
        is($backend->count('/healthy'), 1,
            "$mode, $name: the target beside it gets the event once");

        my ($healthy) = grep { $_->{uri} eq '/healthy' } $backend->requests;
        my $body = $healthy->{body};

        like($body, qr/"id":"$id"/, "$mode, $name: the same event");

        # what the script saw

        my ($last) = grep { $_->{uri} eq "/$name" } $backend->requests;
        my $lua = $last && $backend->header($last, 'X-Lua');

        my %said = (
            content => qr/ content of $id: /, log => qr/ log of log: 200 $id/,
            header => qr/ header of header: 200 $id/,
            body => qr/ body of body: 12\b/, timer => qr/ timer of $id/,
            balancer => qr/ balancer of balancer/,
        );

        ok($nginx->wait_log($said{$name}), "$mode, $name: it ran")
            if $said{$name};

        is($lua, "POST $id rewrite 1 /rewrite", "$mode, $name: the request")
            if $name eq 'rewrite';
        is($lua, 'set', "$mode, $name: a variable") if $name eq 'set';
        is($lua, 200, "$mode, $name: what was captured")
            if $name eq 'capture_rewrite';
        is($last->{body}, $body, "$mode, $name: the body")
            if $name eq 'capture_rewrite';
        is($backend->by_id($id) && ($backend->requests)[0]{body}, $body,
            "$mode, $name: the body") if $name eq 'capture';
        is($nginx->log_lines(qr/\[error\]/), $errors{$name} // 0,
            "$mode, $name: errors") or diag(join "\n",
                $nginx->log_lines(qr/\[error\]/));
    }
}

ok($nginx->reload && $nginx->wait_old, 'nothing keeps the worker from leaving');

done_testing();
