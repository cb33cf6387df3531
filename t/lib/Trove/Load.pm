package Trove::Load;

# Senders of events that try again until they see a 2xx, in processes of their
# own, and what they have seen.

use strict;
use warnings;

use Exporter qw/ import /;
use POSIX ();
use Time::HiRes qw/ time sleep /;

use Trove::Event;
use Trove::Util qw/ testdir wait_until limit slurp spew on_exit /;

our @EXPORT = qw/ load /;

my $count = 0;


=head1 FUNCTIONS

=over

=item load($port, $uri, %options)

Starts senders.  Each goes through the same events, at its own pace, so that
copies of one overlap, and repeats some that it has sent before.  Every try has a
new signature.  Where there is no 2xx, it tries again.

Options: secret => $secret, senders => 3, repeat => 0.5 (how many are
repetitions), fail => 0.05 (how many first tries ask the backend for a 500),
patience => 60 (seconds after which an event is given up, as lost).

=back

=cut

sub load {
    my ($port, $uri, %opt) = @_;

    my $dir = testdir() . '/l' . $count;

    mkdir $dir or die "mkdir $dir: $!";

    my $self = bless {
        dir => $dir, port => $port, uri => $uri, senders => 3, repeat => 0.5,
        fail => 0.05, patience => 60, run => sprintf('%x%x', $$, $count++),
        %opt,
    }, __PACKAGE__;

    on_exit { kill 'KILL', @{ $self->{pids} } };

    for my $n (1 .. $self->{senders}) {
        defined(my $pid = fork) or die "fork: $!";

        if ($pid == 0) {
            $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
            my $done = eval { $self->send_all($n); 1 } or warn "sender: $@";
            POSIX::_exit($done ? 0 : 1);
        }

        push @{ $self->{pids} }, $pid;
    }

    return $self;
}


=head1 METHODS

=over

=item finish($seconds = 90)

Has them end with the event that they are at.  True when all have, and nothing
was given up.

=item abort()

Kills them at once, wherever they are.

=item seen()

When a sender saw the first 2xx of an event: { id => time }.

=item deliveries(), outcomes()

How many 2xx there were; how often there was what: { 200 => .., 409 => ..,
none => .. }.

=back

=cut

sub finish {
    my ($self, $seconds) = @_;

    my $good = 1;

    spew("$self->{dir}/stop", '');

    wait_until {
        @{ $self->{pids} } = grep {
            my $ended = waitpid($_, POSIX::WNOHANG()) == $_;
            $good &&= $? == 0 if $ended;
            !$ended;
        } @{ $self->{pids} };

        !@{ $self->{pids} };
    } $seconds // 90 or return 0;

    return $good;
}


sub abort {
    my ($self) = @_;

    kill 'KILL', @{ $self->{pids} };
    waitpid $_, 0 for splice @{ $self->{pids} };
}


sub lines {
    my ($self) = @_;

    # the last one of each may be under way

    return map { [ split ' ' ] }
        map { slurp($_) =~ /^(.*)\n/mg } glob "$self->{dir}/seen-*";
}


sub seen {
    my ($self) = @_;

    my %seen;

    for my $line ($self->lines) {
        my ($status, $id, $time) = @$line;

        $seen{$id} = $time if $status =~ /^2/
            && (!exists $seen{$id} || $time < $seen{$id});
    }

    return \%seen;
}


sub deliveries {
    my ($self) = @_;

    return scalar grep { $_->[0] =~ /^2/ } $self->lines;
}


sub outcomes {
    my ($self) = @_;

    my %outcomes;

    $outcomes{ $_->[0] }++ for $self->lines;

    return \%outcomes;
}


# from here on, in a sender's process

sub send_all {
    my ($self, $sender) = @_;

    open $self->{log}, '>>', "$self->{dir}/seen-$sender" or die "open: $!";

    srand($$);

    for (my $n = 0; !-e "$self->{dir}/stop"; $n++) {

        $self->deliver($n);

        while (rand() < $self->{repeat}) {
            my $far = rand() < 0.2 ? $n : $n < 20 ? $n : 20;

            $self->deliver($n - int(rand($far + 1)));
        }
    }
}


sub deliver {
    my ($self, $n) = @_;

    my $id = "evt-$self->{run}-$n";
    my $body = event('file.written', id => $id);
    my $uri = $self->{uri};
    my $end = time() + limit($self->{patience});

    $uri .= '?status=500' if rand() < $self->{fail};

    while (1) {
        my $r = eval {
            post_event($self->{port}, $uri, $body, secret => $self->{secret})
        };

        my $status = $r ? $r->status : 'none';

        syswrite $self->{log}, sprintf "%s %s %.6f\n", $status, $id, time();

        return if $status =~ /^2/;
        die "event $id is lost: $status\n" if time() > $end;

        $uri = $self->{uri};
        sleep(0.02 + rand(0.05));
    }
}


1;
