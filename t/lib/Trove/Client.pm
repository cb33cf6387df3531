package Trove::Client;

# A client of the vendor's management API, as strict as the SDK 0.9.2 is, and
# stricter: each answer is checked for its shape.

use strict;
use warnings;

use Exporter qw/ import /;
use JSON::PP ();

use Trove::Http qw/ build conn http /;
use Trove::Util qw/ limit /;
use Time::HiRes qw/ time /;

our @EXPORT = qw/ client /;

my $json = JSON::PP->new->utf8->canonical;


=head1 FUNCTIONS

=over

=item client($port, $key, base => '/trove', workspace => 'ws-test')

A client of the API at "http://127.0.0.1:PORT/BASE".  The headers are those of
the SDK.

=back

=head1 ERRORS

A call that fails dies with an object: kind (auth: 401 and 403, missing: 404,
conflict: 409, invalid: 400 and 422, limited: 429, redirect: 3xx, server: 5xx,
other), status, detail, exit (with what the CLI exits: 2 for auth, 1 for other
answers, 3 for an answer of a wrong shape, 4 without an answer).  The kind of
the last two is "shape" and "network", and the status is that of the answer, or
0.

=head1 METHODS

=over

=item me()

=item create($url, events => ['*'], namespace => undef, description => undef)

=item list(), remove($id), test($id)

The webhooks of the workspace: the one that was created, those that there are,
the answer of the call, the outcome of the test.

=item get($id), change($id, %members), rotate($id, $keep_seconds)

Calls that the SDK does not have: a webhook, the same with other members, and
its new secret, with that of before for $keep_seconds, or a day.

=item deliveries(%arguments), delivery($number), replay($number)

The deliveries that match, all pages; one with its attempts; one once more.

=item events(%arguments)

A page of the feed: { events, next_cursor }.

=item login($call)

A call without a key: "start" or "poll".

=item keys_list()

=item tail(%arguments)

What one round of "trove tail" shows, in its order: the events that are newer
than the last one that was shown in the round before.  Arguments: types,
namespace.

=item listen(%arguments)

The stream, connected: an object with next($seconds), which returns the next
event, or undef if none comes in time, or the stream has ended; ended(); and
close(); {id} is that of the last event.  Arguments: types, namespace, cursor,
and last: the field Last-Event-ID.  Lines are split as Python splits them.

=item call($method, $path, $body, %options)

Any call of the path after "BASE/v1/": the JSON of the answer.  Options: key
(undef: without one), status (the one that is expected, 200), type (of the
body, also of an empty one).

=back

=cut

sub client {
    my ($port, $key, %opt) = @_;

    return bless {
        port => $port, key => $key, base => $opt{base} // '/trove',
        workspace => $opt{workspace} // 'ws-test',
    }, __PACKAGE__;
}


sub failure {
    my (%members) = @_;

    return bless { status => 0, detail => '', %members },
        'Trove::Client::Error';
}


sub shape {
    my ($status, $what) = @_;

    die failure(kind => 'shape', exit => 3, status => $status,
        detail => $what);
}


# checks of values: each a name and whether the value is of it

my %types = (
    string => sub { defined $_[0] && !ref $_[0] && !number($_[0]) },
    number => sub { defined $_[0] && !ref $_[0] && number($_[0]) },
    bool => sub { JSON::PP::is_bool($_[0]) },
    null => sub { !defined $_[0] },
    array => sub { ref $_[0] eq 'ARRAY' },
    object => sub { ref $_[0] eq 'HASH' },
    strings => sub {
        ref $_[0] eq 'ARRAY'
            && !grep { !defined || ref || number($_) } @{ $_[0] }
    },
    time => sub {
        defined $_[0] && !ref $_[0] && $_[0] =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d
            (?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/x
    },
);


# as JSON::PP writes it: a number has never been a string

sub number {
    return JSON::PP->new->allow_nonref->encode($_[0]) =~ /^-?\d/;
}


sub must {
    my ($status, $value, $what, %members) = @_;

    $types{object}->($value) or shape($status, "$what is not an object");

    for my $name (sort keys %members) {
        exists $value->{$name} or shape($status, "$what has no $name");

        my $of = $members{$name};

        grep { $types{$_}->($value->{$name}) } split /\|/, $of
            or shape($status, "$name of $what is not $of");
    }

    return $value;
}


sub call {
    my ($self, $method, $path, $body, %opt) = @_;

    my $key = exists $opt{key} ? $opt{key} : $self->{key};
    my @headers = (Host => "127.0.0.1:$self->{port}",
        Accept => '*/*', 'Accept-Encoding' => 'gzip, deflate',
        Connection => 'keep-alive', 'User-Agent' => 'trove-python/0.9.2');

    push @headers, Authorization => "Bearer $key" if defined $key;
    push @headers, 'Content-Type' => $opt{type} // 'application/json'
        if defined $body || defined $opt{type};

    my $r = http($self->{port}, build($method, "$self->{base}/v1/$path",
        headers => \@headers, defined $body ? (body => $json->encode($body))
            : $method eq 'POST' ? (body => '') : ()))
        or die failure(kind => 'network', exit => 4, detail => 'no answer');

    $r->complete or die failure(kind => 'network', exit => 4,
        detail => 'the answer is not complete');

    my $value = $r->json;

    if ($r->status >= 300) {
        fail($r, $value);
    }

    $r->status == ($opt{status} // 200)
        or shape($r->status, 'the status is ' . $r->status);
    ($r->header('Content-Type') // '') =~ m{^application/json\b}
        or shape($r->status, 'the answer is not of the type application/json');
    $types{object}->($value) or shape($r->status, 'the answer is no object');

    return $value;
}


sub fail {
    my ($r, $value) = @_;

    my $status = $r->status;
    my $kind = {
        400 => 'invalid', 401 => 'auth', 403 => 'auth', 404 => 'missing',
        409 => 'conflict', 422 => 'invalid', 429 => 'limited',
    }->{$status} // ($status < 400 ? 'redirect' : $status >= 500 ? 'server'
        : 'other');

    die failure(kind => $kind, status => $status, exit => 1,
        detail => 'a redirect') if $kind eq 'redirect';

    # the page of a proxy is none of the API's

    must($status, $value, 'the error', detail => 'string');
    length $value->{detail} or shape($status, 'detail is empty');
    length $value->{detail} <= 200 or shape($status, 'detail is long');
    $value->{detail} !~ /[\x00-\x1f]/ or shape($status, 'detail has controls');

    die failure(kind => $kind, status => $status, detail => $value->{detail},
        exit => $kind eq 'auth' ? 2 : 1);
}


sub of_workspace {
    my ($self, $path) = @_;

    return "workspaces/$self->{workspace}/$path";
}


sub me {
    my ($self) = @_;

    my $me = must(200, $self->call(GET => 'me'), 'me',
        workspace_id => 'string', key_id => 'string', key_name => 'string|null',
        scope => 'string', namespace => 'string|null',
        capabilities => 'strings');

    $me->{workspace_id} =~ /^ws-/
        or shape(200, 'workspace_id does not begin with ws-');

    return $me;
}


my %webhook = (webhook_id => 'string', url => 'string', events => 'strings',
    namespace => 'string|null', description => 'string|null',
    enabled => 'bool', created_at => 'time');


sub create {
    my ($self, $url, %members) = @_;

    my $made = must(201, $self->call(POST => $self->of_workspace('webhooks'), {
        url => $url, events => $members{events} // ['*'],
        namespace => $members{namespace}, description => $members{description},
    }, status => 201), 'the webhook', %webhook, signing_secret => 'string');

    $made->{signing_secret} =~ /^trove-whsec-./
        or shape(201, 'signing_secret does not begin with trove-whsec-');
    $made->{webhook_id} =~ m{^[^/?#%\s]+$}
        or shape(201, 'webhook_id cannot be in a path');

    return $made;
}


sub list {
    my ($self) = @_;

    my $list = must(200, $self->call(GET => $self->of_workspace('webhooks')),
        'the list', webhooks => 'array')->{webhooks};

    return map { listed($_) } @$list;
}


sub listed {
    my ($webhook) = @_;

    must(200, $webhook, 'a webhook', %webhook,
        last_delivery_ok => 'bool|null', last_delivery_at => 'time|null',
        last_delivery_status => 'number|null');
    exists $webhook->{signing_secret}
        and shape(200, 'a webhook of the list has its secret');

    return $webhook;
}


sub get {
    my ($self, $id) = @_;

    return listed($self->call(GET => $self->of_workspace("webhooks/$id")));
}


sub change {
    my ($self, $id, %members) = @_;

    return listed($self->call(
        PATCH => $self->of_workspace("webhooks/$id"), \%members));
}


sub rotate {
    my ($self, $id, $keep) = @_;

    my $r = must(200, $self->call(
        POST => $self->of_workspace("webhooks/$id/rotate"),
        defined $keep ? { keep_seconds => $keep } : undef), 'the answer',
        webhook_id => 'string', signing_secret => 'string',
        previous_until => 'time|null');

    $r->{signing_secret} =~ /^trove-whsec-./
        or shape(200, 'signing_secret does not begin with trove-whsec-');

    return $r;
}


sub remove {
    my ($self, $id, %opt) = @_;

    my $r = must(200, $self->call(
        DELETE => $self->of_workspace("webhooks/$id"), undef, %opt),
        'the answer', webhook_id => 'string', deleted => 'bool');

    $r->{webhook_id} eq $id && $r->{deleted} or shape(200, 'is not deleted');

    return $r;
}


sub test {
    my ($self, $id, %opt) = @_;

    my $start = time();
    my $r = must(200, $self->call(
        POST => $self->of_workspace("webhooks/$id/test"), undef, %opt),
        'the outcome',
        ok => 'bool', event_id => 'string', status => 'number|null',
        error => 'string|null');

    time() - $start <= 30 or shape(200, 'the outcome is late');

    return $r;
}


my %delivery = (id => 'number', event_id => 'string', type => 'string',
    namespace => 'string|null', target => 'string', location => 'string',
    state => 'string', attempts => 'number', received_at => 'time',
    opened_at => 'time');


sub deliveries {
    my ($self, %arguments) = @_;

    my ($page, @all);

    do {
        $page = must(200, $self->call(GET => 'deliveries'
            . query(%arguments)), 'the page', deliveries => 'array',
            next_cursor => 'string|null');

        push @all, map { must(200, $_, 'a delivery', %delivery) }
            @{ $page->{deliveries} };

        $arguments{cursor} = $page->{next_cursor};
    } while (defined $arguments{cursor});

    return @all;
}


sub delivery {
    my ($self, $number) = @_;

    return must(200, $self->call(GET => "deliveries/$number"), 'a delivery',
        %delivery, history => 'array');
}


sub replay {
    my ($self, $number) = @_;

    return must(200, $self->call(POST => "deliveries/$number/replay"),
        'a delivery', %delivery);
}


sub encoded {
    return $_[0] =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger;
}


sub query {
    my (%arguments) = @_;

    my @pairs = map { "$_=" . encoded($arguments{$_}) }
        grep { defined $arguments{$_} } sort keys %arguments;

    return @pairs ? '?' . join('&', @pairs) : '';
}


sub event {
    my ($status, $event) = @_;

    return must($status, $event, 'an event', id => 'string', type => 'string',
        created_at => 'string');
}


sub events {
    my ($self, %arguments) = @_;

    my $page = must(200, $self->call(GET => $self->of_workspace('events')
        . query(%arguments)), 'the page', events => 'array',
        next_cursor => 'string|null');

    event(200, $_) for @{ $page->{events} };

    defined $page->{next_cursor} && !@{ $page->{events} }
        and shape(200, 'an empty page has a cursor');

    return $page;
}


# the time of the last one that was shown is compared as text by nobody here

sub tail {
    my ($self, %arguments) = @_;

    my $page = $self->events(%arguments, limit => 200,
        since => $self->{shown});
    my @new = reverse @{ $page->{events} };

    $self->{shown} = $new[-1]{created_at} if @new;

    return @new;
}


sub login {
    my ($self, $call) = @_;

    return $self->call(POST => "auth/device/$call", { client => 'cli' },
        key => undef);
}


sub keys_list {
    my ($self) = @_;

    return $self->call(GET => $self->of_workspace('keys'));
}


# the stream

sub listen {
    my ($self, %arguments) = @_;

    my $conn = conn($self->{port});
    my $last = delete $arguments{last};

    $conn->send(build(GET => "$self->{base}/v1/"
        . $self->of_workspace('webhooks/stream') . query(%arguments),
        headers => [ Host => "127.0.0.1:$self->{port}",
            Accept => 'text/event-stream',
            Authorization => "Bearer $self->{key}",
            defined $last ? ('Last-Event-ID' => $last) : () ]));

    my $bytes = $conn->read_until(qr/\x0d\x0a\x0d\x0a/)
        // die failure(kind => 'network', exit => 4, detail => 'no answer');

    my ($status) = $bytes =~ m{^HTTP/1\.1 (\d{3})};

    if ($status != 200) {
        my $r = $conn->response;
        fail($r, $r->json);
    }

    $conn->{in} =~ s/^(.*?)\x0d\x0a\x0d\x0a//s;

    my $head = $1;

    $head =~ m{^Content-Type: text/event-stream\b}mi
        or shape(200, 'the answer is not of the type text/event-stream');

    my $stream = bless {
        conn => $conn, text => '', raw => '',
        chunked => scalar $head =~ /^Transfer-Encoding: chunked/mi,
    }, 'Trove::Client::Stream';

    my $first = $stream->next(10)
        or shape(200, 'the stream says nothing at first');

    ($first->{type} // '') eq 'connected'
        or shape(200, 'the stream does not begin with "connected"');

    return $stream;
}


package Trove::Client::Error;

use overload '""' => sub { "$_[0]{kind}: $_[0]{status} $_[0]{detail}" },
    'eq' => sub { "$_[0]" eq "$_[1]" };


package Trove::Client::Stream;

use Trove::Util qw/ limit /;
use Time::HiRes qw/ time /;

# what Python's splitlines() takes for the end of a line

my $end_of_line = qr/\x0d\x0a|[\x0a-\x0d\x1c-\x1e\x{85}\x{2028}\x{2029}]/;


sub fill {
    my ($self, $seconds) = @_;

    # the first bytes may have come with the head

    $self->take or $self->{conn}->fill($seconds);
    $self->take;
}


# moves what has come to the text; false if there is nothing

sub take {
    my ($self) = @_;

    my $conn = $self->{conn};
    my $taken = 0;

    if (!$self->{chunked}) {
        $taken = length $conn->{in};
        $self->{raw} .= $conn->{in};
        $conn->{in} = '';
        return $taken;
    }

    while ($conn->{in} =~ /^([0-9a-f]+)\x0d\x0a/i) {
        my ($size, $start) = (hex $1, $+[0]);

        last if length $conn->{in} < $start + $size + 2;

        $self->{last} = 1 if $size == 0;
        $self->{raw} .= substr $conn->{in}, $start, $size;
        substr $conn->{in}, 0, $start + $size + 2, '';
        $taken++;
    }

    return $taken;
}


sub next {
    my ($self, $seconds) = @_;

    my $until = time() + limit($seconds // 10);

    while (1) {

        # blocks, as they are to be: one line each

        while ($self->{raw} =~ s/^(.*?)\x0a\x0a//s) {
            my $block = $1;

            utf8::decode($block)
                or Trove::Client::shape(200, 'the stream is not UTF-8');

            # the CLI skips all lines but those of data

            my @lines = grep { !/^(?:id|event|:)/ } split $end_of_line, $block,
                -1;

            next unless @lines;

            $self->{id} = $1 if $block =~ /^id: (\d+)$/m;

            @lines == 1 && $lines[0] =~ s/^data: //
                or Trove::Client::shape(200, "no line of data: $block");

            my $event = eval { JSON::PP->new->decode($lines[0]) };

            ref $event eq 'HASH'
                or Trove::Client::shape(200, "no object: $lines[0]");

            return $event;
        }

        return undef if $self->ended || time() >= $until;

        $self->fill($until - time());
    }
}


# the clean end, or any

sub ended { return $_[0]{last} || $_[0]{conn}{eof} }
sub ended_cleanly { return $_[0]{last} || !$_[0]{chunked} && $_[0]{conn}{eof} }
sub close { $_[0]{conn}->close }


1;
