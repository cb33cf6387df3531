package Trove::Raw;

# A server that says what no HTTP server says: other protocols, answers without
# an end.

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use POSIX ();

use Trove::Util qw/ reserve_port on_exit /;

our @EXPORT = qw/ raw raw_read /;


=head1 FUNCTIONS

=over

=item raw { my ($socket) = @_; .. }

Starts a server that runs the block for each connection, in a process of its
own, and closes the connection at its end; returns the port.

=item raw_read($socket, \$buffer)

For the block: reads more; false at the end.

=back

=cut

sub raw (&) {
    my ($serve) = @_;

    my $port = reserve_port();

    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp',
        Listen => 1024, ReuseAddr => 1,
    ) or die "listen on $port: $!";

    # its end of this pipe closes with the test, however that ends

    pipe my $read, my $write or die "pipe: $!";

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        close $write;
        setpgrp 0, 0;
        $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
        $SIG{CHLD} = 'IGNORE';
        eval { accept_all($listener, $read, $serve); 1 } or warn "raw: $@";
        kill 'KILL', -getpgrp(0);
        POSIX::_exit(0);
    }

    setpgrp $pid, $pid;
    close $listener;
    close $read;

    on_exit {
        kill 'KILL', -$pid;
        waitpid $pid, 0;
        close $write;
    };

    return $port;
}


sub accept_all {
    my ($listener, $pipe, $serve) = @_;

    my $select = IO::Select->new($pipe, $listener);

    while (1) {

        for my $socket ($select->can_read) {

            return if $socket == $pipe;

            my $new = $listener->accept or next;

            defined(my $pid = fork) or die "fork: $!";

            if ($pid == 0) {
                eval { $serve->($new); 1 } or warn "raw: $@";
                close $new;
                POSIX::_exit(0);
            }

            close $new;
        }
    }
}


sub raw_read {
    my ($socket, $buffer) = @_;

    return sysread $socket, $$buffer, 65536, length($$buffer // '');
}


1;
