#!/usr/bin/perl

# What is kept of a failed response, where it is wanted.

use lib 't/lib';
use Trove;

my $backend = backend();

my %retry = (
    default => '', none => 'response=0', some => 'response=15',
    most => 'response=4k',
);

my $short = 'trove_retry base=1ms max=1ms window=1ms response=4k;';

my $nginx = nginx(spool_conf(
    targets => [ map {
        ($_ => { to => $backend,
            conf => "trove_retry base=1ms max=1ms factor=1 $retry{$_};" })
    } sort keys %retry ],
    server => <<"EOC",
        location = /own {
            trove_fanout_mode spool;
            trove_fanout /down name=down;
            trove_fanout /text name=text;
        }

        location = /down {
            internal;
            $short
            proxy_pass http://127.0.0.1:1;
        }

        location = /text {
            internal;
            $short
            default_type text/plain;
            return 503 "of the location";
        }
EOC
))->start;


# the responses to the attempts of an event, by target

sub responses {
    my ($uri, $status, %rule) = @_;

    my $id = new_id();

    for my $name (%rule ? keys %retry : ()) {
        $backend->on("/$name", %rule, times => 1);
    }

    is(post_event($nginx->port, $uri, event('file.written', id => $id),
        secret => spool_secret())->status, 202, 'accepted');

    my $event;

    ok(wait_until {
        $event = spool_api($nginx, GET => "events/$id")->json;
        !grep { $_->{state} =~ /pending|inflight/ } @{ $event->{deliveries} };
    }, 'the event has ended');

    return map { $_->{target} => $_->{history} } @{ $event->{deliveries} };
}

my %got = responses('/events', 500, status => 500,
    body => qq(no "room" \n\there));

is(scalar(grep { exists $_->{response} } @{ $got{none} }), 0,
    'none: nothing is kept');
is($got{default}[0]{response}, qq(no "room" \n\there), 'by default it is');

is($got{most}[0]{status}, 500, 'the failed attempt');
is($got{most}[0]{response}, qq(no "room" \n\there), 'has its response');
is($got{some}[0]{response}, qq(no "room" \n\ther), 'as much as is wanted');
is($got{most}[1]{status}, 200, 'the successful one');
ok(!exists $got{most}[1]{response}, 'has none');

%got = responses('/events', 502, status => 502, size => 300_000, pieces => 5,
    pause => 0.05, chunked => 1);
is($got{most}[0]{response}, 'x' x 4096, 'a long one, in pieces');
is($got{some}[0]{response}, 'x' x 15, 'and less of it');
is($got{default}[0]{response}, 'x' x 1024, 'by default 1k');

%got = responses('/events', 500, status => 500, body => 'x' x 14 . "\xc3\xa4");
is($got{some}[0]{response}, 'x' x 14, 'no part of a character');

%got = responses('/events', 500, status => 500, body => "\x1f\x8b\x08",
    headers => [ 'Content-Encoding' => 'gzip' ]);
ok(!exists $got{default}[0]{response}, 'a compressed one is not kept');

%got = responses('/events', 400, status => 400,
    body => "\0\x01 a\xff\xc3\xa4 \xe2\x82");
is($got{most}[0]{response}, "\0\x01 a\x{fffd}\x{e4} \x{fffd}",
    'what is not UTF-8');

%got = responses('/events', 503, status => 503, body => '');
ok(!exists $got{most}[0]{response}, 'an empty one is none');

%got = responses('/events', 500, status => 500, size => 1000, drop => 'half');
is($got{most}[0]{response}, 'x' x 500, 'one that broke off');

%got = responses('/own', 0);
is($got{down}[0]{status}, 502, 'no response');
ok(!exists $got{down}[0]{response}, 'is none, whatever page NGINX makes');
is($got{text}[0]{response}, 'of the location', 'one that the location gives');


# in the file it is as it came

my $bytes = qx{sqlite3 -readonly "@{[ $nginx->dir ]}/trove.spool" \\
    "SELECT hex(answer) FROM attempt WHERE status = 400 AND answer IS NOT NULL
     ORDER BY length(answer) LIMIT 1"};

like($bytes, qr/^00012061FFC3A420E282$/, 'in the file, byte for byte');


# what the directive takes

for my $wrong ('response=', 'response=-1', 'response=5k', 'response=x',
    'response=1 response=1')
{
    my ($code, $text) = nginx_t("trove_retry $wrong;");

    isnt($code, 0, "trove_retry $wrong is refused");
    like($text, qr/\[emerg\] .* in "trove_retry"/, 'and why is said');
}

my ($code, $text) = nginx_t('trove_retry answer=1k;');

isnt($code, 0, 'the old name is refused');
is(() = $text =~ /\[emerg\]/g, 1, 'in one line');
like($text, qr/"answer" in "trove_retry" is now "response" in /, 'with the new');

is((nginx_t("trove_retry response=$_;"))[0], 0, "response=$_")
    for qw/ 0 1 4096 4k /;

done_testing();
