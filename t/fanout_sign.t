#!/usr/bin/perl

# What is signed for a target verifies there by the vendor's rules; a location
# of the same nginx is the judge.

use lib 't/lib';
use Trove;

use Digest::SHA qw/ hmac_sha256_hex /;

my $secret = 'trove-whsec-in';
my $backend = backend();

my $nginx = nginx(<<'EOF', main => 'env TROVE_SIGN;', files => {
    trove_dedup_zone zone=events:1m;
    client_max_body_size 8m;
    client_body_buffer_size 64k;

    map $trove_target $onward {
        volatile;
        variable   trove-whsec-onward;
        empty      "";
        constant   "";
        blank      " \t\n";
        prefix     trove-whsec-;
        default    trove-whsec-other;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_2%% http2;

        location = /events {
            trove_verify on;
            trove_secret trove-whsec-in;
            trove_dedup zone=events;
            trove_fanout /value name=value;
            trove_fanout /file name=file;
            trove_fanout /env name=env;
            trove_fanout /variable name=variable;
            trove_fanout /inherited/1 name=inherited1;
            trove_fanout /inherited/2 name=inherited2;
            trove_fanout /inherited/named name=named;
        }

        location = /spilled {
            trove_verify on;
            trove_secret trove-whsec-in;
            client_body_buffer_size 1k;
            trove_fanout /value name=value;
            trove_fanout /variable name=variable;
            trove_fanout /inherited/1 name=inherited;
        }

        location = /publish {
            trove_dedup zone=events;
            trove_fanout /value name=value;
            trove_fanout /unsigned name=unsigned;
        }

        location = /log {
            trove_verify log;
            trove_secret trove-whsec-in;
            trove_dedup zone=events;
            trove_fanout /value name=value;
        }

        location = /empty { trove_fanout /variable name=empty; }
        location = /constants {
            trove_fanout /constant name=constant;
            trove_fanout /variable name=blank;
            trove_fanout /variable?2 name=prefix;
        }

        location = /variableonly { trove_fanout /variable name=variable; }

        location = /value {
            internal;
            trove_sign trove-whsec-onward;
            proxy_pass http://127.0.0.1:%%PORT_1%%/judge;
        }

        location = /file {
            internal;
            trove_sign file:sign.secret;
            proxy_pass http://127.0.0.1:%%PORT_1%%/judge;
        }

        location = /env {
            internal;
            trove_sign env:TROVE_SIGN;
            proxy_pass http://127.0.0.1:%%PORT_1%%/judge;
        }

        location = /variable {
            internal;
            trove_sign $onward;
            proxy_set_header X-Again $trove_signature;
            proxy_pass http://127.0.0.1:%%PORT_1%%/judge;
        }

        location = /constant {
            internal;
            trove_sign trove-whsec-$onward;
            proxy_pass http://127.0.0.1:%%PORT_1%%/judge;
        }

        location = /unsigned {
            internal;
            proxy_set_header X-Again $trove_signature;
            proxy_pass http://127.0.0.1:%%BACKEND%%/unsigned;
        }

        location /inherited/ {
            internal;
            trove_sign trove-whsec-onward;
            error_page 502 = @judge;
            proxy_pass http://127.0.0.1:%%PORT_1%%/judge;

            location = /inherited/named {
                proxy_pass http://127.0.0.1:%%PORT_90%%;
            }
        }

        location @judge {
            trove_sign trove-whsec-onward;
            rewrite ^ /judge break;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /judge {
            trove_verify on;
            trove_secret trove-whsec-onward;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF
    'sign.secret' => "# the first one signs\ntrove-whsec-onward\nnext-one\n",
}, env => { TROVE_SIGN => "trove-whsec-onward\r\n" });

$nginx->start;

sub deliver {
    my ($uri, $body, %opt) = @_;

    return post_event($nginx->port, $uri, $body, %opt);
}

my @all = qw/ value file env variable inherited1 inherited2 named /;
my $all = join ' ', map { "$_=200" } @all;

for my $size (0, 5000, 200_000) {
    my $body = event('file.written', id => my $id = new_id(),
        data => { path => 'x' x $size });

    is(deliver('/events', $body, secret => $secret)->targets, $all,
        "$size: the judge takes all");

    my @requests = $backend->by_id($id);
    my %signatures;

    is(scalar @requests, @all, "$size: each once");

    for my $request (@requests) {
        my $signature = $backend->header($request, 'X-Trove-Signature');
        my ($t, $v1) = $signature =~ /^t=(\d+),v1=([0-9a-f]{64})$/;

        is($v1, hmac_sha256_hex("$t.$body", 'trove-whsec-onward'),
            "$size: by hand");
        cmp_ok(abs(time() - $t), '<', 30, "$size: now");
    }

    my ($again) = grep { defined } map { $backend->header($_, 'X-Again') }
        @requests;

    like($again, qr/^t=\d+,v1=[0-9a-f]{64}$/, "$size: \$trove_signature");
}

# from a temporary file, and over HTTP/2

for my $size (2000, 70_000, 300_000) {
    my $body = event('file.written', data => { path => 'y' x $size });

    is(deliver('/spilled', $body, secret => $secret)->targets,
        'value=200 variable=200 inherited=200', "$size: from a file");
    is(deliver('/spilled', $body, secret => $secret, chunked => 999)->targets,
        'value=200 variable=200 inherited=200', "$size: in chunks");
}

{
    my $h2 = h2($nginx->port(2));
    my $body = event('file.written', data => { path => 'y' x 30_000 });

    is($h2->post('/spilled', $body, 'X-Trove-Signature' =>
        sign($secret, $body))->targets, 'value=200 variable=200 inherited=200',
        'HTTP/2');
    $h2->close;
}

# re-publishing

{
    my $body = event('file.written', id => my $id = new_id());

    is(deliver('/publish', $body)->targets, 'value=200 unsigned=200',
        'published');

    my ($unsigned) = grep { $_->{uri} eq '/unsigned' } $backend->by_id($id);

    is($backend->header($unsigned, 'X-Trove-Signature'), undef,
        'without trove_sign: none');
    is($backend->header($unsigned, 'X-Again'), undef, 'no $trove_signature');
    is(deliver('/publish', $body)->json->{status}, 'duplicate', 'once');

    for my $bad ('', 'x', '{}', '[]', event('x', remove => [ 'id' ]),
        substr $body, 0, -1)
    {
        my $r = deliver('/publish', $bad);

        is($r->status, 400, 'no event: 400');
        like($r->json->{error}, qr/^bad_(?:json|event)$/, 'no event: why');
    }
}

# trove_verify log: what is not verified is delivered, but not signed by us

for ([ 'signed', 200, secret => $secret ], [ 'unsigned', 400 ],
    [ 'wrongly signed', 400, secret => 'wrong' ])
{
    my ($name, $status, @opt) = @$_;

    is(deliver('/log', event(), @opt)->targets, "value=$status",
        "log: $name");
}

is(deliver('/log', '{}', secret => $secret)->status, 400, 'log: no event');
is(deliver('/events', event())->status, 400, 'on: unsigned is refused');

# no secret: nothing is sent that would be refused for ever

{
    my $body = event('file.written', id => my $id = new_id());

    is(deliver('/empty', $body)->targets, 'empty=500', 'empty');
    is($backend->count($id), 0, 'empty: nothing is sent');
    ok($nginx->log_lines(qr/not sent to "\/variable": "trove_sign" is empty/),
        'empty: logged');
}

# what anybody knows signs nothing

{
    my $body = event('file.written', id => my $id = new_id());

    is(deliver('/constants', $body)->targets,
        'constant=500 blank=500 prefix=500', 'a constant');
    is($backend->count($id), 0, 'a constant: nothing is sent');
    ok($nginx->log_lines(qr/not sent to "\/constant": "trove_sign" is empty/),
        'a constant: logged');
}

# another second, another signature, and the file is read again by a reload

{
    my $body = event('file.written', id => my $id = new_id(),
        data => { path => 'z' });

    deliver('/variableonly', $body);
    my $first = $backend->header(($backend->by_id($id))[-1],
        'X-Trove-Signature');
    ok(wait_until {
        deliver('/variableonly', $body);
        $backend->header(($backend->by_id($id))[-1], 'X-Trove-Signature')
            ne $first;
    }, 'with the time');

    $nginx->write('sign.secret', "wrong\ntrove-whsec-onward\n");
    $nginx->reload;
    $nginx->wait_old;

    is(deliver('/events', event(), secret => $secret)->targets,
        $all =~ s/file=200/file=400/r, 'the first of the file signs');
}

unlike($nginx->read_log('logs/error.log'), qr/whsec/, 'no secret in the log');

done_testing();
