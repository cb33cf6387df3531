package Trove::Util;

# What every part of the harness needs: a directory, ports, waiting, and
# making sure that nothing stays behind.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Path qw/ remove_tree /;
use File::Spec;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw/ SOCK_STREAM /;
use Time::HiRes qw/ time sleep /;

our @EXPORT_OK = qw/
    testdir reserve_port wait_until limit slurp spew append
    alive children strays on_exit guard run_exit
/;

our $owner = $$;

my ($dir, $guard, @hooks, %ports);


=head1 FUNCTIONS

=over

=item testdir()

The directory of this test file, removed at its end unless TROVE_LEAVE (or
TEST_NGINX_LEAVE) is set.

=cut

sub testdir {
    return $dir if defined $dir;

    $dir = tempdir('trove-XXXXXXXX', DIR => File::Spec->tmpdir());
    chmod 0755, $dir or die "chmod $dir: $!";
    $owner = $$;

    return $dir;
}


=item limit($seconds)

A time limit, longer by TROVE_SLOW times where everything is slow (sanitizers).

=cut

sub limit {
    my ($seconds) = @_;

    return $seconds * ($ENV{TROVE_SLOW} || 1);
}


=item wait_until { condition } $seconds = 10

Waits until the block returns something true, and returns that; false after the
time limit.

=cut

sub wait_until (&;$) {
    my ($condition, $seconds) = @_;

    my $end = time() + limit($seconds // 10);
    my $pause = 0.002;

    while (1) {
        my $result = $condition->();
        return $result if $result;

        return $result if time() > $end;

        sleep($pause);
        $pause *= 1.5 if $pause < 0.03;
    }
}


=item reserve_port()

A port of 127.0.0.1 that nobody listens on, that no outgoing connection can
take (it is outside the range of the kernel), and that no other test takes as
long as this one runs: also across restarts of what listens there.

=cut

sub reserve_port {
    my $low = 32768;

    if (open my $fh, '<', '/proc/sys/net/ipv4/ip_local_port_range') {
        ($low) = split ' ', <$fh>;
    }

    my $first = $low > 12000 ? 10000 : 1024;
    my $span = ($low > $first + 1000 ? $low : 65536) - $first;

    for (1 .. 500) {
        my $port = $first + int(rand($span));

        next if $ports{$port};

        # a name in the abstract space is the lock: it dies with the process

        my $lock = IO::Socket::UNIX->new(Type => SOCK_STREAM, Listen => 1,
            Local => "\0trove-test-port-$port") or next;

        my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Proto => 'tcp', Listen => 1) or next;

        close $probe;

        $ports{$port} = $lock;

        return $port;
    }

    die "no free port found";
}


=item slurp($file), spew($file, $bytes), append($file, $bytes)

Reads a file whole (empty when there is none); writes one in one step, so that
a reader sees the old or the new content; adds to one.

=cut

sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or return '';
    local $/;
    my $bytes = <$fh>;

    return $bytes // '';
}


sub spew {
    my ($file, $bytes) = @_;

    my $tmp = "$file.tmp$$";

    open my $fh, '>:raw', $tmp or die "open $tmp: $!";
    print $fh $bytes;
    close $fh or die "write $tmp: $!";
    rename $tmp, $file or die "rename $tmp: $!";
}


sub append {
    my ($file, $bytes) = @_;

    open my $fh, '>>:raw', $file or die "open $file: $!";
    print $fh $bytes;
    close $fh or die "write $file: $!";
}


=item alive($pid)

Whether a process runs; a zombie does not, unless a thread of it still runs:
that one, in an fsync() perhaps, keeps the sockets of the process open.

=cut

sub alive {
    my ($pid) = @_;

    return (running($pid))[0];
}


# whether it runs, and its parent

sub running {
    my ($pid) = @_;

    my ($state, $parent, $threads) = slurp("/proc/$pid/stat")
        =~ /^\d+ \(.*\) (\S) (\d+)(?: \S+){15} (\d+)/s;

    return (0, 0) if !defined $state || $state eq 'X'
        || $state eq 'Z' && $threads <= 1;

    return (1, $parent);
}


=item children($pid)

The running children of a process, as pairs of the pid and the title.

=cut

sub children {
    my ($parent) = @_;

    my %titles;

    opendir my $dh, '/proc' or die "opendir /proc: $!";

    for my $pid (grep { /^\d+$/ } readdir $dh) {
        my ($runs, $ppid) = running($pid);

        next unless $runs && $ppid == $parent;

        my ($title) = slurp("/proc/$pid/cmdline") =~ /^([^\0]*)/;
        $titles{$pid} = $title =~ s/\s+$//r;
    }

    return %titles;
}


=item strays($dir)

The pids of nginx processes that have a file of this directory open: so are
workers found whose master has crashed.

=cut

sub strays {
    my ($top) = @_;

    my @pids;

    opendir my $dh, '/proc' or return;

    for my $pid (grep { /^\d+$/ } readdir $dh) {

        next unless slurp("/proc/$pid/cmdline") =~ /nginx|angie/;

        opendir my $fds, "/proc/$pid/fd" or next;

        push @pids, $pid if grep {
            (readlink("/proc/$pid/fd/$_") // '') =~ m{^\Q$top\E/}
        } readdir $fds;
    }

    return @pids;
}


=item on_exit { action }

Runs the block when the test ends, whichever way; last registered, first run.

=cut

sub on_exit (&) {
    my ($hook) = @_;

    unshift @hooks, $hook;
}


sub run_exit {
    return if $$ != $owner;

    # a hook may wait for children, and must not change how the test ended

    local ($?, $!, $@);

    for my $hook (splice @hooks) {
        eval { $hook->(); 1 } or warn $@;
    }

    if (defined $dir) {
        kill 'KILL', strays($dir);

        if ($ENV{TROVE_LEAVE} || $ENV{TEST_NGINX_LEAVE}) {
            print STDERR "# left: $dir\n";

        } else {
            remove_tree($dir, { safe => 0, error => \my $ignored });
        }

        undef $dir;
    }

    if ($guard) {
        syswrite $guard->{pipe}, "bye\n";
        close $guard->{pipe};
        waitpid $guard->{pid}, 0;
        undef $guard;
    }
}


=item guard($pid_file)

Has what this pid file names killed, with its children, and the directory
removed, if the test itself is killed and cannot do it.

=cut

sub guard {
    my ($pid_file) = @_;

    if (!$guard) {
        my $top = testdir();

        pipe my $read, my $write or die "pipe: $!";

        defined(my $pid = fork) or die "fork: $!";

        if ($pid == 0) {
            close $write;
            watch($read, $top);
        }

        close $read;
        $guard = { pid => $pid, pipe => $write };
    }

    syswrite $guard->{pipe}, "$pid_file\n";
}


sub watch {
    my ($pipe, $top) = @_;

    my (@files, $bye);

    # not a member of the group that Ctrl-C reaches, and not in the way of
    # whoever waits for the end of our output

    setpgrp(0, 0);
    $SIG{$_} = 'IGNORE' for qw/ INT TERM HUP PIPE /;
    %ports = ();
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';

    while (my $line = <$pipe>) {
        chomp $line;
        $bye = 1 if $line eq 'bye';
        push @files, $line;
    }

    if (!$bye) {

        for my $file (map { ($_, "$_.oldbin") } @files) {
            my ($pid) = slurp($file) =~ /^(\d+)/ or next;
            kill 'KILL', $pid, keys %{{ children($pid) }};
        }

        kill 'KILL', strays($top);

        remove_tree($top, { safe => 0, error => \my $ignored })
            unless $ENV{TROVE_LEAVE} || $ENV{TEST_NGINX_LEAVE};
    }

    POSIX::_exit(0);
}


# a signal ends the test by way of END, too

for my $name (qw/ INT TERM HUP /) {
    $SIG{$name} = sub { exit 128 + { INT => 2, TERM => 15, HUP => 1 }->{$name} }
        unless defined $SIG{$name} && $SIG{$name} eq 'IGNORE';
}

$SIG{PIPE} = 'IGNORE';


=back

=cut

1;
