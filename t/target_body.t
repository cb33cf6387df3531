#!/usr/bin/perl

# A script that changes the body in one target changes it for that target only,
# and "trove_sign" signs the body that each target gets.

use lib 't/lib';
use Trove;

my $modules = join '', packaged_modules('lua');
my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';

my %changes = (
    set => 'ngx.req.set_body_data("changed")',
    empty => 'ngx.req.set_body_data("")',
    append => 'local body = ngx.req.get_body_data()
            or "a temporary file"
        ngx.req.init_body(1000000)
        ngx.req.append_body("before, ")
        ngx.req.append_body(body)
        ngx.req.finish_body()',
    file => 'ngx.req.set_body_file("%%TESTDIR%%/changed")',
);

# two targets before the one that changes it, and two after it; each second
# target signs with another secret

my %secrets = (
    a => 'trove-whsec-onward', b => 'trove-whsec-other',
    y => 'trove-whsec-onward', z => 'trove-whsec-other',
);

my ($fanout, $locations) = ('', '');

for my $name (qw/ a b /, sort(keys %changes), qw/ y z /) {
    my $sign = $secrets{$name} ? "trove_sign $secrets{$name};" : '';
    my $change = $changes{$name}
        ? "rewrite_by_lua_block { ngx.req.read_body() $changes{$name} }" : '';

    $fanout .= "trove_fanout /$name name=$name "
        . ($changes{$name} ? "events=change.$name" : '') . ";\n";
    $locations .= "location = /$name { internal; $sign $change $pass }\n";
}

my $nginx = nginx(<<"EOC", main => $modules, files => { changed => 'a file' })
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry base=1h max=1h;
    trove_verify on;
    trove_secret trove-whsec-sender;
    trove_sign trove-whsec-onward;
    client_body_buffer_size 4k;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /wait { $fanout }
        location = /spool { trove_fanout_mode spool; $fanout }

        $locations
    }
EOC
    ->start;

for my $mode (target_modes()) {

    # in memory, and in a file of the request

    for my $size (500, 20000) {

        for my $change (sort keys %changes) {
            my $body = sized_event($size)
                =~ s/"type":"[^"]*"/"type":"change.$change"/r;
            my ($id) = $body =~ /"id":"([^"]+)"/;
            my $name = "$mode, $size, $change";

            $backend->forget;

            my $r = post_event($nginx->port, "/$mode", $body,
                secret => 'trove-whsec-sender');

            is($r && $r->status, $mode eq 'wait' ? 200 : 202,
                "$name: the answer");
            ok($backend->wait_count(5, $id), "$name: all get it");

            my %sent = map { $_->{uri} => $_ } $backend->by_id($id);

            is(join(' ', sort keys %sent),
                join(' ', sort map { "/$_" } qw/ a b y z /, $change),
                "$name: each");

            for my $target (qw/ a b y z /) {
                my $request = $sent{"/$target"};

                ok($request->{body} eq $body, "$name: unchanged for $target");
                ok(signed($request, $secrets{$target}),
                    "$name: and signed for $target");
            }

            my $request = $sent{"/$change"};
            my %expected = (set => 'changed', empty => '',
                append => $mode eq 'wait' && $size > 4096
                    ? 'before, a temporary file' : "before, $body",
                file => 'a file');

            ok($request->{body} eq $expected{$change}, "$name: changed");
            ok(signed($request, 'trove-whsec-onward'),
                "$name: what is sent is signed");
        }
    }
}


sub signed {
    my ($request, $secret) = @_;

    my $value = $backend->header($request, 'X-Trove-Signature') // '';
    my ($t) = $value =~ /^t=(\d+),/ or return 0;

    return $value eq sign($secret, $request->{body}, $t);
}

ok($nginx->reload && $nginx->wait_old, 'nothing keeps the worker from leaving');

done_testing();
