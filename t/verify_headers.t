#!/usr/bin/perl

# The headers of an event: the signature, and the two that anybody could have
# written and that are set from the body.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-headers';

my $backend = backend();
my $nginx = nginx(<<EOF)->start;
    trove_secret $secret;

    log_format headers '\$http_x_trove_event|\$http_x_trove_event_id';

    server {
        listen 127.0.0.1:%%PORT_0%%;
        access_log %%TESTDIR%%/logs/headers.log headers;

        location / {
            trove_verify on;
            proxy_set_header X-Seen \$http_x_trove_event;
            proxy_set_header X-Seen-Id \$http_x_trove_event_id;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /log {
            trove_verify log;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /off {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        underscores_in_headers on;
        large_client_header_buffers 8 32k;

        location / {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        ignore_invalid_headers off;
        underscores_in_headers on;

        location / {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $body = event('file.deleted', id => 'evt-true');
my $good = sign($secret, $body);


sub sent {
    my ($port, $uri, @headers) = @_;

    $backend->forget;

    return request($nginx->port($port), 'POST', $uri, body => $body,
        headers => \@headers);
}


sub verdict_is {
    my ($response, $verdict, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response->status . ' ' . $response->body,
        qq(400 {"error":"$verdict"}), $name);
    is($backend->count, 0, "$name: goes no further");
}


# what the application sees, of all spellings

sub headers_are {
    my ($name, $type, $id) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @got = map { join '=', lc $_->[0] =~ tr/A-Za-z0-9/-/cr, $_->[1] }
        grep { $_->[0] =~ /^x.trove.event/i } @{ $backend->last->{headers} };

    is(join(' ', sort @got), "x-trove-event-id=$id x-trove-event=$type", $name);
}


# whatever was sent, in whichever order and how often

my @spellings = qw/ X-Trove-Event X-Trove-Event-Id x-trove-event
    X-TROVE-EVENT-ID /;
my @filler = map { ("X-Filler-$_" => $_) } 1 .. 30;

for my $case (
    [ 'none' ],
    [ 'the right ones', 'X-Trove-Event' => 'file.deleted',
        'X-Trove-Event-Id' => 'evt-true' ],
    [ 'one is forged', 'X-Trove-Event' => 'key.revoked' ],
    [ 'the other', 'X-Trove-Event-Id' => 'evt-forged' ],
    [ 'both', map { ($_ => 'forged') } @spellings[0, 1] ],
    [ 'all spellings', map { ($_ => 'forged') } @spellings ],
    [ 'empty', map { ($_ => '') } @spellings ],
    [ 'ten copies', map { ($_ => 'forged') } (@spellings) x 5 ],
    [ 'between many', @filler, (map { ($_ => 'forged') } @spellings), @filler,
        (map { ($_ => 'forged') } @spellings) ],
    [ 'many without any', @filler ])
{
    my ($name, @forged) = @$case;

    for my $headers ([ 'X-Trove-Signature' => $good, @forged ],
        [ @forged, 'X-Trove-Signature' => $good ])
    {
        is(sent(0, '/', @$headers)->status, 200, "$name: passes");
        headers_are("$name: set from the body", 'file.deleted', 'evt-true');
        is(join(' ', map { $backend->header($backend->last, $_) }
            qw/ X-Seen X-Seen-Id /), 'file.deleted evt-true',
            "$name: variables see them, too");
        unlike(join(' ', map { @$_ } @{ $backend->last->{headers} }),
            qr/forged/, "$name: nothing of the forged ones");
    }

    # here some of them are those of the underscore

    my $i = 0;
    my @mixed = map { $i++ % 2 ? $_ : $i % 3 ? $_ : tr/-/_/r } @forged;

    is(sent(1, '/', 'X-Trove-Signature' => $good, @mixed)->status, 200,
        "$name: passes with underscores");
    headers_are("$name: whatever the spelling", 'file.deleted', 'evt-true');
}

is(sent(1, '/', 'X-Trove-Signature' => $good, X_Trove_Event => 'forged',
    X_Trove_Event_Id => 'forged')->status, 200, 'only underscores');
headers_are('are replaced', 'file.deleted', 'evt-true');

# whatever an application may make "_" of, as PHP does of "."

for my $ch (split //, q{!#$%&'()*+,./;<=>?@[\]^_`{|}~"} . "\x80\xff") {
    my @forged = map { ($_ => 'forged') }
        "X${ch}Trove${ch}Event", "x-trove${ch}event${ch}ID";

    is(sent(2, '/', @forged, 'X-Trove-Signature' => $good)->status, 200,
        sprintf 'separated by 0x%02x', ord $ch);
    headers_are('are replaced, too', 'file.deleted', 'evt-true');

    verdict_is(sent(2, '/', "X-Trove${ch}Signature" => $good,
        'X-Trove-Signature' => $good), 'malformed',
        'and beside the signature make it doubtful');
    verdict_is(sent(2, '/', "X-Trove${ch}Signature" => $good), 'missing',
        'but alone are none');
}

for my $name (qw/ X-TroveEvent XaTrovezEvent X0Trove9Event X-Trove.Events
    X.Trove.Signatures X-Trove-Signatur. XXTrove.Signature /)
{
    is(sent(2, '/', $name => 'other', 'X-Trove-Signature' => $good)->status,
        200, "$name is another name");
    is($backend->header($backend->last, $name), 'other', 'and is left alone');
}


my $log = $nginx->read_log('logs/headers.log');
is(join(',', sort keys %{{ map { $_ => 1 } split /\n/, $log }}),
    'file.deleted|evt-true', 'the log of what passed has only the true ones');


# what was not verified is as it was sent

for my $uri (qw{ /log /off }) {
    sent(0, $uri, 'X-Trove-Event' => 'sent', 'X-Trove-Event-Id' => 'sent',
        'X-Trove-Signature' => sign('wrong', $body));
    headers_are("$uri: left alone", 'sent', 'sent');
}

sent(0, '/log', 'X-Trove-Event' => 'sent', 'X-Trove-Event-Id' => 'sent',
    'X-Trove-Signature' => $good);
headers_are('but with a good signature they are set', 'file.deleted',
    'evt-true');

is($backend->header($backend->last, 'X-Trove-Signature'), $good,
    'the signature itself goes on as it is');


# ids and types of any script

$body = event("\x{444}\x{430}\x{439}\x{43b}", id => "evt-\x{4e2d} \"'\\%0A");
sent(0, '/', 'X-Trove-Signature' => sign($secret, $body));
headers_are('UTF-8', "\xd1\x84\xd0\xb0\xd0\xb9\xd0\xbb",
    "evt-\xe4\xb8\xad \"'\\%0A");

$body = event('a' x 255, id => 'b' x 255);
sent(0, '/', 'X-Trove-Signature' => sign($secret, $body));
headers_are('as long as may be', 'a' x 255, 'b' x 255);

for my $bad ("a\x0d\x0aX-Forged: 1", "a\x0a", "a\0", "\x7f", "\x{1f}",
    "\x{80}", "a\x{85}b", "a\x{9f}")
{
    $body = event('file.written', id => $bad);
    verdict_is(sent(0, '/', 'X-Trove-Signature' => sign($secret, $body)),
        'bad_event', 'a control character in the id');

    $body = event($bad);
    verdict_is(sent(0, '/', 'X-Trove-Signature' => sign($secret, $body)),
        'bad_event', 'a control character in the type');
}


# the signature: exactly one

$body = event();
$good = sign($secret, $body);

for my $name (qw/ x-trove-signature X-TROVE-SIGNATURE X-tRoVe-SiGnAtUrE /) {
    is(sent(0, '/', $name => $good)->status, 200, $name);
}

verdict_is(sent(0, '/'), 'missing', 'none');
verdict_is(sent(0, '/', 'X-Trove-Signature' => ''), 'missing', 'an empty one');

for my $other ($good, 'x', '', sign('wrong', $body)) {
    $nginx->mark;

    verdict_is(sent(0, '/', 'X-Trove-Signature' => $good,
        'X-Trove-Signature' => $other), 'malformed', 'two of them');
    verdict_is(sent(0, '/', 'x-trove-signature' => $other, @filler,
        'X-TROVE-Signature' => $good), 'malformed', 'two, in other cases');

    is($nginx->log_lines(qr/\[error\].*refused, malformed: more than one/), 2,
        'said in the log');
}

verdict_is(sent(1, '/', X_Trove_Signature => $good), 'missing',
    'an underscore is another name');

$nginx->mark;
verdict_is(sent(1, '/', X_Trove_Signature => 'x', 'X-Trove-Signature' => $good),
    'malformed', 'an application may take it for the signature');
is($nginx->log_lines(qr/\[error\].*refused, malformed: more than one/), 1,
    'said in the log');

# long ones: where NGINX takes them, they are malformed

my $long = $good . ',x=' . 'a' x 8192;

is(sent(0, '/', 'X-Trove-Signature' => $long)->status, 400,
    '8 KB are too much for NGINX');
is($backend->count, 0, 'and go no further');

verdict_is(sent(1, '/', 'X-Trove-Signature' => $long), 'malformed', '8 KB');
verdict_is(sent(1, '/', 'X-Trove-Signature' => 't=1,v1=' . 'a' x 30_000),
    'malformed', '30 KB');

my $fits = $good . ',x=' . 'a' x (1024 - 3 - length $good);
is(sent(1, '/', 'X-Trove-Signature' => $fits)->status, 200, '1 KB');
verdict_is(sent(1, '/', 'X-Trove-Signature' => "${fits}a"), 'malformed',
    'one byte more');

# another version

is(request($nginx->port, 'POST', '/', body => $body, version => 'HTTP/1.0',
    headers => [ 'X-Trove-Signature' => $good ])->status, 200, 'HTTP/1.0');
is(request($nginx->port, 'POST', '/', body => $body, version => 'HTTP/1.0')
    ->status, 400, 'HTTP/1.0, unsigned');

done_testing();
