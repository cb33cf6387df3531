#!/usr/bin/perl

# Random targets, filters, and failures, and a sender that tries again until it
# is told that the event is delivered.  In the end each required target has each
# of its events; never one that its filter excludes; and twice only where nobody
# could know whether it had it.
#
# TROVE_SEED repeats a run, TROVE_ROUNDS makes it longer.

use lib 't/lib';
use Trove;

my $seed = $ENV{TROVE_SEED} // int rand 2 ** 31;
my $rounds = $ENV{TROVE_ROUNDS} // 6;

srand $seed;
diag("TROVE_SEED=$seed");

my @types = qw/ file.written file.deleted exec.completed key.revoked /;
my @namespaces = (qw/ customer-acme customer-bolt team /, undef);

my $backend = backend();

sub one { return $_[int rand @_] }
sub chance { return rand() < $_[0] }

# of a random target: its directive, and which events are its

sub target {
    my ($n) = @_;

    my %target = (name => "t$n", optional => chance(0.2));
    my @options;

    if (chance(0.4)) {
        my @names = map { chance(0.3) ? s/\..*/.*/r : $_ }
            grep { chance(0.5) } @types;

        @names = ('file.*') unless @names;
        push @options, 'events=' . join ',', @names;
        $target{events} = \@names;
    }

    if (chance(0.3)) {
        my @names = one([ 'customer-*' ], [ 'team' ], [ 'team', 'customer-b*' ],
            [ 'customer-acme' ]);

        @names = @{ $names[0] };
        push @options, 'namespace=' . join ',', @names;
        $target{namespaces} = \@names;
    }

    if (chance(0.2)) {
        push @options, 'if=$is_report';
        $target{report} = 1;
    }

    push @options, 'optional' if $target{optional};
    push @options, 'max_inflight=' . one(1, 2, 5), 'max_wait=10m'
        if chance(0.3);

    $target{directive} = "trove_fanout /to/t$n "
        . join(' ', "name=t$n", sort { chance(0.5) ? 1 : -1 } @options) . ';';

    return \%target;
}

sub like_one {
    my ($value, $names) = @_;

    return 1 unless $names;

    return scalar grep {
        my $name = $_;
        $name =~ s/\*$// ? index($value // '', $name) == 0
                         : ($value // '') eq $name
    } @$names;
}

sub concerns {
    my ($target, $event) = @_;

    return like_one($event->{type}, $target->{events})
        && like_one($event->{namespace}, $target->{namespaces})
        && (!$target->{report} || $event->{report});
}

# what may go wrong

my @failures = (
    { status => 500 }, { status => 404 }, { status => 302 },
    { status => 429, size => 100_000 }, { drop => 'before' },
    { drop => 'before', reset => 1 }, { drop => 'headers' },
    { drop => 'half', size => 3000 },
    { drop => 'half', size => 90_000, chunked => 1 }, { gate => 'never' },
);

sub conf {
    my (@targets) = @_;

    my $targets = join "\n", map { $_->{directive} } @targets;

    return <<"EOF";
    trove_dedup_zone zone=events:1m state=%%TESTDIR%%/temp/events.state;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 2s;

    map \$trove_data_path \$is_report {
        volatile;
        default      0;
        ~^/reports/  1;
    }

    upstream b { server 127.0.0.1:%%BACKEND%% max_fails=0; keepalive 8; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location = /events {
            trove_dedup zone=events lease=1s;
            $targets
        }

        location /to/ {
            internal;
            proxy_pass http://b;
        }

        location = /status { stub_status; }
    }
EOF
}

my $serial = 0;
my @targets = map { target($serial++) } 1 .. 6;
my $nginx = nginx(conf(@targets), workers => 2)->start;

for my $round (1 .. $rounds) {

    # other targets, in another order

    @targets = sort { rand() <=> 0.5 } @targets;
    splice @targets, 0, 1 if @targets > 4;
    push @targets, map { target($serial++) } 1 .. 1 + int rand 3;
    $nginx->reload(conf(@targets)) or die 'no reload';

    my @events;

    for (1 .. 8) {
        my %event = (id => new_id(), type => one(@types),
            namespace => one(@namespaces), report => chance(0.5));

        $event{body} = event($event{type}, id => $event{id},
            namespace => $event{namespace},
            data => { path => ($event{report} ? '/reports/' : '/tmp/') . rand });
        push @events, \%event;
    }

    my @left = @events;
    my $tries = 0;
    my $patience = 0;

    while (@left && $tries++ < 12) {

        # who fails this time; never in the last ones

        for my $target (@targets) {
            $backend->on("/to/$target->{name}",
                $tries < 5 && chance(0.4) ? %{ one(@failures) } : ());
        }

        # and some more between partial failures and their retries

        if (chance(0.15)) {
            $nginx->reload(conf(@targets = sort { rand() <=> 0.5 } @targets));

        } elsif (chance(0.1)) {
            $nginx->restart;
        }

        my @answers = many($nginx->port,
            map { event_request('/events', $_->{body}) } @left);

        # some senders hear nothing, and try again all the same

        if ($tries < 6 && chance(0.3)) {
            my $event = one(@left);
            my $conn = conn($nginx->port);

            $conn->send(event_request('/events', $event->{body}));
            $conn->reset;
        }

        # of a sender that left, the event may still be under way: no try

        $tries-- if !grep({ !$_ || $_->status != 409 } @answers)
            && $patience++ < 5000;

        @left = grep {
            my $r = shift @answers;
            !($r && $r->status == 200);
        } @left;
    }

    is(scalar @left, 0, "round $round: all events are delivered");

    # each request that came was taken, or there is a line about it

    my (%came, %taken, %failed, @missing, @excluded, @repeated);

    for my $request ($backend->requests) {
        my ($name) = $request->{uri} =~ m{^/to/(\S+)};
        my $pair = $backend->header($request, 'X-Trove-Event-Id') . " $name";
        my $told = $request->{told};

        $came{$pair}++;
        $taken{$pair}++ unless $told->{drop} || $told->{gate}
            || $told->{status};
    }

    for ($nginx->log_lines(qr/trove: delivery of event .* failed:/)) {
        my ($id, $name, $error) =
            /event "(.*?)" to (?:optional )?target "(.*?)" failed: (.*?), after/;

        $failed{"$id $name"}++ unless $error =~ /max_/;
    }

    for my $event (@events) {
        for my $target (@targets) {
            my $pair = "$event->{id} $target->{name}";
            my $came = $came{$pair} // 0;
            my $known = $came - ($failed{$pair} // 0);

            if (!concerns($target, $event)) {
                push @excluded, $pair if $came;
                next;
            }

            push @missing, $pair
                if !$target->{optional} && !($taken{$pair} && $known);

            push @repeated, "$pair ($known of $came)" if $known > 1;
        }
    }

    is("@missing", '', "round $round: required targets have all");
    is("@excluded", '', "round $round: none has what is not its");
    is("@repeated", '', "round $round: none has it twice without a reason");
}

ok(wait_until { stub_status($nginx->port)->{writing} == 1 },
    'no request is left');

done_testing();
