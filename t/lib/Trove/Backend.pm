package Trove::Backend;

# The application behind the gate: an HTTP server in a process of its own that
# records what it gets and answers as it is told.

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw/ SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time sleep /;

use Trove::Nginx ();
use Trove::Response;
use Trove::Util qw/
    testdir reserve_port wait_until limit slurp spew append alive on_exit
/;

our @EXPORT = qw/ backend /;

my $count = 0;
my $json = JSON::PP->new->latin1->canonical;


=head1 FUNCTIONS

=over

=item backend(%rule)

Starts one; %rule is how it answers where nothing else is said.  The first of a
test is %%BACKEND%% in a configuration, the next %%BACKEND_1%% and so on:
their ports.

=back

=head1 RULES

How a request is answered: status => 200, headers => [ name => value, .. ], body
=> text, size => bytes (a body of so many), pieces => N and pause => seconds
(the body in N pieces), chunked => 1, close => 1, delay => seconds, gate =>
name (the response waits until the test opens the gate), drop => 'before'
(closes without a response), 'headers' (after the head of it), 'half' (in the
middle of the body), reset => 1 (and does so by RST), early => 1 (answers when
it has the headers), times => N (the rule holds for N requests, then it is
gone).

They are taken from, the later the stronger: backend(), on(), the query of the
URI ("?status=500&gate=a"), the header X-Backend ("status=500&gate=a").

=head1 METHODS

=over

=item port()

=item on($path, %rule)

The rule of requests whose path (without the query) or whose event id (the
header X-Trove-Event-Id) is $path; without a rule, forgets it.

=item open_gate($name), close_gate($name)

A gate is closed until it is opened.

=cut

sub backend {
    my (%rule) = @_;

    my $dir = testdir() . '/b' . $count;

    mkdir $dir or die "mkdir $dir: $!";

    my $self = bless {
        dir => $dir, port => reserve_port(), rules => {}, default => \%rule,
        skip => 0,
    }, __PACKAGE__;

    Trove::Nginx::set_var($count ? "BACKEND_$count" : 'BACKEND', $self->{port});
    $count++;

    $self->start;
    on_exit { $self->stop };

    return $self;
}


sub port { return $_[0]{port} }


sub on {
    my ($self, $path, %rule) = @_;

    if (%rule) {
        # a number of its own: the same rule set again counts from the start
        $self->{rules}{$path} = { %rule, serial => ++$self->{serial} };

    } else {
        delete $self->{rules}{$path};
    }

    spew("$self->{dir}/rules", $json->encode($self->{rules}));

    return $self;
}


sub open_gate {
    my ($self, $name) = @_;

    spew("$self->{dir}/gate-$name", '');
}


sub close_gate {
    my ($self, $name) = @_;

    unlink "$self->{dir}/gate-$name";
}


=item requests(), count($path_or_id), last(), by_id($id)

What came, in order, since the start or forget(): each { method, uri, version,
headers => [ [ name, value ], .. ], body, conn (the number of the
connection), told (the rule it is answered by, without the body) }; how many, all or those of this path or X-Trove-Event-Id;
the last; those of one event.

=item arrived()

How often each event came: { id => n }.  Fast, for thousands of them.

=item header($request, $name)

The values of a header of such a request, joined by ", "; undef when absent.

=item wait_count($n, $path_or_id)

Waits until so many came; false when they do not in 10 seconds.

=item aborted()

Those whose client left before the body was there, or before the response was
sent, likewise; "aborted" tells which: "body" or "response".

=item forget()

Starts counting anew.

=cut

sub records {
    my ($self) = @_;

    # its end may be under way

    my @lines = slurp("$self->{dir}/requests") =~ /^(.*)\n/mg;
    my @records;

    for my $line (@lines[$self->{skip} .. $#lines]) {
        my ($record, $body) = split /\t/, $line;

        push @records, $json->decode($record);
        $records[-1]{body} = pack 'H*', $body if defined $body;
    }

    return @records;
}


sub requests {
    my ($self) = @_;

    return grep { !$_->{aborted} } $self->records;
}


sub aborted {
    my ($self) = @_;

    return grep { $_->{aborted} } $self->records;
}


sub count {
    my ($self, $which) = @_;

    my @requests = $self->requests;

    return scalar @requests unless defined $which;

    return scalar grep { concerns($_, $which) } @requests;
}


sub concerns {
    my ($request, $which) = @_;

    return $request->{uri} =~ s/\?.*//sr eq $which
        || (header(undef, $request, 'X-Trove-Event-Id') // '') eq $which;
}


sub arrived {
    my ($self) = @_;

    my @lines = slurp("$self->{dir}/requests") =~ /^(.*)\n/mg;
    my %arrived;

    for my $line (@lines[$self->{skip} .. $#lines]) {
        next if $line =~ /^\{"aborted":/;
        $arrived{$1}++ if $line =~ /\["X-Trove-Event-Id","([^"]+)"\]/;
    }

    return \%arrived;
}


sub last {
    my ($self) = @_;

    return ($self->requests)[-1];
}


sub by_id {
    my ($self, $id) = @_;

    return grep { concerns($_, $id) } $self->requests;
}


sub header {
    my ($self, $request, $name) = @_;

    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
        @{ $request->{headers} };

    return @values ? join(', ', @values) : undef;
}


sub wait_count {
    my ($self, $n, $which) = @_;

    return wait_until { $self->count($which) >= $n };
}


sub forget {
    my ($self) = @_;

    $self->{skip} = () = slurp("$self->{dir}/requests") =~ /\n/g;
}


=item stop(), start()

Stops it, all its connections are reset; starts it again on the same port.

=back

=cut

sub start {
    my ($self) = @_;

    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Proto => 'tcp',
        Listen => 1024, ReuseAddr => 1,
    ) or die "listen on $self->{port}: $!";

    # its end of this pipe closes with the test, however that ends

    pipe my $read, my $write or die "pipe: $!";

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        CORE::close $write;
        $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
        eval { $self->serve($listener, $read); 1 } or warn "backend: $@";
        POSIX::_exit(0);
    }

    CORE::close $listener;
    CORE::close $read;
    @{$self}{qw/ pid pipe /} = ($pid, $write);

    return $self;
}


sub stop {
    my ($self) = @_;

    my $pid = delete $self->{pid} or return;

    kill 'KILL', $pid;
    waitpid $pid, 0;
    CORE::close delete $self->{pipe};
}


# from here on, in the server's process

sub serve {
    my ($self, $listener, $pipe) = @_;

    my $serial = 0;

    $self->{conns} = {};
    $listener->blocking(0);

    while (1) {
        my $read = IO::Select->new($pipe, $listener);
        my $write = IO::Select->new;

        for my $conn (values %{ $self->{conns} }) {
            $read->add($conn->{socket});
            $write->add($conn->{socket}) if length $conn->{out};
        }

        my ($readable, $writable) =
            IO::Select->select($read, $write, undef, $self->pause);

        for my $socket (@{ $readable || [] }) {

            return if $socket == $pipe;

            if ($socket == $listener) {

                while (my $new = $listener->accept) {
                    $new->blocking(0);
                    setsockopt $new, IPPROTO_TCP, TCP_NODELAY, 1;
                    $self->{conns}{ fileno $new } = {
                        socket => $new, serial => ++$serial, in => '',
                        out => '', queue => [],
                    };
                }

                next;
            }

            my $conn = $self->{conns}{ fileno $socket } or next;
            $self->fill($conn);
        }

        for my $conn (values %{ $self->{conns} }) {
            $self->step($conn);
        }
    }
}


# how long to wait where no socket says anything: not at all long for a gate

sub pause {
    my ($self) = @_;

    return 0.01 if grep { $_->{request} && $_->{request}{rule}
                          || @{ $_->{queue} } } values %{ $self->{conns} };
    return 5;
}


sub fill {
    my ($self, $conn) = @_;

    while (1) {
        my $n = sysread $conn->{socket}, $conn->{in}, 65536, length $conn->{in};

        next if $n;
        return if !defined $n && ($!{EAGAIN} || $!{EINTR});

        $self->gone($conn);
        return;
    }
}


# the client has left; what it sent as a whole before that still counts

sub gone {
    my ($self, $conn) = @_;

    $self->read_request($conn) while !$conn->{request} && length $conn->{in};

    if (my $request = $conn->{request}) {
        $self->record($request, aborted => 'response');

    } elsif (my $partial = $conn->{head}) {
        $self->record($partial, aborted => 'body');
    }

    $self->drop($conn);
}


sub drop {
    my ($self, $conn, $reset) = @_;

    setsockopt $conn->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)
        if $reset;

    delete $self->{conns}{ fileno $conn->{socket} };
    CORE::close $conn->{socket};
}


sub step {
    my ($self, $conn) = @_;

    while (1) {
        $self->flush($conn) or return;

        return if length $conn->{out};

        if (!$conn->{request}) {
            $self->read_request($conn) or return;
        }

        $self->respond($conn) or return;
    }
}


sub flush {
    my ($self, $conn) = @_;

    while (length $conn->{out}) {
        my $n = syswrite $conn->{socket}, $conn->{out};

        if (!defined $n) {
            return 1 if $!{EAGAIN} || $!{EINTR};
            $self->gone($conn);
            return 0;
        }

        substr $conn->{out}, 0, $n, '';
    }

    return 1;
}


# one whole request from what came; false when there is none yet

sub read_request {
    my ($self, $conn) = @_;

    if (!$conn->{head}) {
        $conn->{in} =~ s/^(.*?)\x0d\x0a\x0d\x0a//s or return no_request($conn);

        my ($line, @lines) = split /\x0d\x0a/, $1;
        my ($method, $uri, $version) = split / /, $line;

        $conn->{head} = {
            method => $method, uri => $uri, version => $version, body => '',
            headers => [ map { [ /^([^:]*): ?(.*)$/s ] } @lines ],
            conn => $conn->{serial}, time => time(),
        };
    }

    my $head = $conn->{head};
    my $rule = $conn->{rule} ||= $self->rule($head);

    if (!$rule->{early}) {
        my $coding = header(undef, $head, 'Transfer-Encoding') // '';

        if ($coding eq 'chunked') {
            my ($body, $used) = Trove::Response::dechunk($conn->{in});

            $head->{body} = $body;
            return no_request($conn) unless defined $used;
            substr $conn->{in}, 0, $used, '';

        } else {
            my $length = header(undef, $head, 'Content-Length') // 0;

            $head->{body} = substr $conn->{in}, 0, $length;
            return no_request($conn) if length $conn->{in} < $length;
            substr $conn->{in}, 0, $length, '';
        }
    }

    delete @{$conn}{qw/ head rule /};
    $self->record($head, told => { map { $_ => $rule->{$_} }
        grep { $_ ne 'body' } keys %$rule });
    $conn->{request} = { %$head, rule => $rule, started => time() };

    return 1;
}


sub no_request {
    my ($conn) = @_;

    # ends the loop of gone() where the rest is no request

    $conn->{in} = '' if !defined fileno $conn->{socket};

    return 0;
}


sub record {
    my ($self, $request, %more) = @_;

    my %line = (%$request, %more);
    delete @line{qw/ rule started /};

    # a body of megabytes takes seconds to get into JSON, and out again

    my $body = delete $line{body};

    append("$self->{dir}/requests", $json->encode(\%line)
        . (defined $body ? "\t" . unpack 'H*', $body : '') . "\n");
}


sub rule {
    my ($self, $head) = @_;

    my ($path, $query) = $head->{uri} =~ /^([^?]*)\??(.*)/s;
    my $id = header(undef, $head, 'X-Trove-Event-Id') // '';
    my $text = slurp("$self->{dir}/rules");
    my $rules = length $text ? $json->decode($text) : {};
    my %rule = %{ $self->{default} };

    for my $set (grep { $_ } @{$rules}{$path, $id}) {
        my $used = \$self->{used}{ $set->{serial} };

        next if defined $set->{times} && ($$used // 0) >= $set->{times};

        $$used++;
        %rule = (%rule, %$set);
    }

    for my $more ($query, header(undef, $head, 'X-Backend') // '') {
        %rule = (%rule, $more =~ /(\w+)=([^&]*)/g);
    }

    return \%rule;
}


# the response, or what of it is due; true when the next request may come

sub respond {
    my ($self, $conn) = @_;

    my $request = $conn->{request};
    my $rule = $request->{rule};

    if (!$request->{responded}) {

        return 0 if defined $rule->{gate}
            && !-e "$self->{dir}/gate-$rule->{gate}";
        return 0 if $rule->{delay}
            && time() < $request->{started} + $rule->{delay};

        if (($rule->{drop} // '') eq 'before') {
            $self->drop($conn, $rule->{reset});
            return 0;
        }

        $request->{responded} = 1;
        $self->compose($conn, $request, $rule);
    }

    while (@{ $conn->{queue} }) {
        return 0 if time() < ($conn->{due} // 0);

        $conn->{out} .= shift @{ $conn->{queue} };
        $conn->{due} = time() + $rule->{pause} if $rule->{pause};

        $self->flush($conn) or return 0;
        return 0 if length $conn->{out};
    }

    delete $conn->{request};

    if ($rule->{drop} || $request->{close}) {
        $self->drop($conn, $rule->{reset});
        return 0;
    }

    return 1;
}


sub compose {
    my ($self, $conn, $request, $rule) = @_;

    my $status = $rule->{status} // 200;
    my $body = $rule->{body} // (defined $rule->{size} ? 'x' x $rule->{size}
                                                       : qq/{"ok":true}\n/);
    my $connection = lc(header(undef, $request, 'Connection') // '');
    my $none = $status < 200 || $status == 204 || $status == 304;

    $body = '' if $none;

    $request->{close} = $rule->{close} || $connection eq 'close'
        || $rule->{early}
        || $request->{version} eq 'HTTP/1.0' && $connection ne 'keep-alive';

    my $head = "HTTP/1.1 $status " . ($status < 400 ? 'OK' : 'Error')
        . "\x0d\x0aConnection: " . ($request->{close} ? 'close' : 'keep-alive')
        . "\x0d\x0a";

    my @headers = @{ $rule->{headers} || [] };

    while (my ($name, $value) = splice @headers, 0, 2) {
        $head .= "$name: $value\x0d\x0a";
    }

    my $pieces = $rule->{pieces} || 1;
    my $size = POSIX::ceil(length($body) / $pieces) || 1;
    my @pieces = grep { length }
        map { substr $body, $_ * $size, $size }
        0 .. int((length($body) + $size - 1) / $size) - 1;

    if ($rule->{chunked} && !$none) {
        $head .= "Transfer-Encoding: chunked\x0d\x0a";
        @pieces = map { sprintf "%x\x0d\x0a%s\x0d\x0a", length $_, $_ } @pieces;
        push @pieces, "0\x0d\x0a\x0d\x0a";

    } elsif (!$none) {
        $head .= 'Content-Length: ' . length($body) . "\x0d\x0a";
    }

    @pieces = () if $request->{method} eq 'HEAD';

    my $drop = $rule->{drop} // '';

    @pieces = () if $drop eq 'headers';

    if ($drop eq 'half') {
        my $all = join '', @pieces;
        @pieces = (substr $all, 0, length($all) / 2);
    }

    # with a pause, the head goes alone; else in one segment with the body

    my @out = ("$head\x0d\x0a", @pieces);
    @out = (join '', @out) unless $rule->{pause};

    $conn->{queue} = \@out;
    $conn->{due} = 0;
}


1;
