package Trove::Plant;

# Files that somebody puts where the master is to open or make one of its own.

use strict;
use warnings;

use Exporter qw/ import /;
use POSIX ();

our @EXPORT = qw/ planted /;


=head1 FUNCTIONS

=over

=item planted($file, $directory)

Pairs of a name and [ sub, regex ]: the sub puts such a file at the path that is
its argument, the regex is of the message that refuses it.  Links lead to the
file and the directory that are given.

=back

=cut

sub planted {
    my ($file, $directory) = @_;

    my $link = qr/is a symbolic link, specify the file itself/;
    my $other = qr/is not a regular file, remove it/;

    return (
        'a link to a file' => [ sub { symlink $file, $_[0] }, $link ],
        'a link to nothing' =>
            [ sub { symlink "$directory/new", $_[0] }, $link ],
        'a link to a directory' =>
            [ sub { symlink $directory, $_[0] }, $link ],
        'a hard link' => [ sub { link $file, $_[0] },
            qr/has another hard link, remove it/ ],
        'a FIFO' => [ sub { POSIX::mkfifo($_[0], 0666) }, $other ],
        'a directory' => [ sub { mkdir $_[0] }, $other ],
        'a device' =>
            [ sub { 0 == system 'mknod', $_[0], 'c', 1, 3 }, $other ],
    );
}


1;
