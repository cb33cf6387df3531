#!/usr/bin/perl

# What a token may read by the stream: events of its workspace and its
# namespace, old and new ones, whatever the arguments are; never those without a
# namespace.

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Stream;

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    http => <<'EOC'), workers => 2)->start;
    trove_api_token workspace a-token-of-workspace workspace=ws-test read;
    trove_api_token tenant a-token-of-tenant-1 workspace=ws-test
                    namespace=acme read;
    trove_api_token namespace a-token-of-namespace namespace=acme;
EOC


sub accepted {
    my ($id, $workspace, $namespace, $type) = @_;

    my $r = spool_send($nginx, $id, $type // 'file.written',
        workspace_id => $workspace, namespace => $namespace);
    $r->status == 202 or die "$id: " . $r->status;
}

sub some {
    my ($name) = @_;

    accepted("$name-ws-null", 'ws-test', undef);
    accepted("$name-ws-empty", 'ws-test', '');
    accepted("$name-ws-acme", 'ws-test', 'acme');
    accepted("$name-ws-acme2", 'ws-test', 'acme2');
    accepted("$name-ws-acm", 'ws-test', 'acm');
    accepted("$name-ws-star", 'ws-test', 'acme*');
    accepted("$name-ws-upper", 'ws-test', 'ACME');
    accepted("$name-other-acme", 'ws-other', 'acme');
    accepted("$name-other-null", 'ws-other', undef);
    accepted("$name-ws2-acme", 'ws-test2', 'acme');
    accepted("$name-exec-acme", 'ws-test', 'acme', 'exec.completed');
}

my @all = qw/ ws-null ws-empty ws-acme ws-acme2 ws-acm ws-star ws-upper
    exec-acme /;
my @own = qw/ ws-acme exec-acme /;

# the token, the workspace, arguments, and what is sent

my @cases = (
    [ workspace => 'ws-test', undef, @all ],
    [ workspace => 'ws-test', 'namespace=acme', @own ],
    [ workspace => 'ws-test', 'namespace=acme*',
        qw/ ws-acme ws-acme2 ws-star exec-acme / ],
    [ workspace => 'ws-test', 'namespace=*', @all ],
    [ tenant => 'ws-test', undef, @own ],
    [ tenant => 'ws-test', 'namespace=acme', @own ],
    [ tenant => 'ws-test', 'namespace=*', @own ],
    [ tenant => 'ws-test', 'namespace=a*,acme2', @own ],
    [ tenant => 'ws-test', 'namespace=acme2,acm,ACME' ],
    [ tenant => 'ws-test', 'namespace=acme2*' ],
    [ tenant => 'ws-test', 'types=*', @own ],
    [ tenant => 'ws-test', 'types=exec.*', 'exec-acme' ],
    [ namespace => 'ws-test', undef, @own ],
    [ namespace => 'ws-other', undef, 'other-acme' ],
    [ namespace => 'ws-test2', 'namespace=*', 'ws2-acme' ],
    [ namespace => 'ws-unknown', undef ],
);

my %tokens = (workspace => 'a-token-of-workspace',
    tenant => 'a-token-of-tenant-1', namespace => 'a-token-of-namespace');

some('old');

# from now on, from the first event on, and from a time on

my @streams;

for my $case (@cases) {
    my ($token, $workspace, $args, @ids) = @$case;

    for my $from (undef, 'last', 'since=0') {
        my $stream = stream($nginx,
            join('&', grep { defined && $_ ne 'last' } $args, $from) || undef,
            workspace => $workspace, token => $tokens{$token},
            headers => [
                ($from // '') eq 'last' ? ('Last-Event-ID' => 0) : () ]);

        push @streams, {
            stream => $stream,
            name => join(' ', $token, $workspace, $args // '', $from // 'now'),
            ids => [ map { my $name = $_; map { "$name-$_" } @ids }
                defined $from ? 'old' : (), 'new' ],
        };
    }
}

some('new');

# what comes last is seen by everybody who has a stream, or by nobody

accepted("last-$_", $_, 'acme') for qw/ ws-test ws-other ws-test2 ws-unknown /;

for my $s (@streams) {
    my $n = @{ $s->{ids} };
    my $ends = $s->{name} =~ /ACME|acme2\*|exec/ ? 0 : 1;
    my @got = @{ $s->{stream}->ids($n + $ends) };

    is(scalar(grep { /^last-/ } @got), $ends, "$s->{name}: the last one");
    is_deeply([ grep { !/^last-/ } @got ], $s->{ids}, "$s->{name}: the others");
}


# what does not exist for it

for my $case ([ workspace => 'ws-other' ], [ tenant => 'ws-other' ],
    [ tenant => 'ws-test2' ], [ tenant => 'ws-tes' ], [ workspace => 'WS-TEST' ])
{
    my ($token, $workspace) = @$case;

    is(stream($nginx, undef, open => 0, workspace => $workspace,
        token => $tokens{$token})->status, 404, "$token: $workspace");
}


# a token that is changed: streams end with the configuration

my $tenant = stream($nginx, undef, token => $tokens{tenant});

(my $conf = $nginx->{conf}) =~ s/namespace=acme read/namespace=acme2 read/;
ok($nginx->reload($conf), 'a token of another namespace');
ok($tenant->ended, 'ends its stream');

$tenant = stream($nginx, undef, token => $tokens{tenant},
    headers => [ 'Last-Event-ID' => 0 ]);
accepted('later', 'ws-test', 'acme2');
is_deeply($tenant->ids(3), [ qw/ old-ws-acme2 new-ws-acme2 later / ],
    'and it reads that one');

$nginx->stop;

done_testing();
