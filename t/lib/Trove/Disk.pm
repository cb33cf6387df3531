package Trove::Disk;

# A small disk that can be full.

use strict;
use warnings;

use Exporter qw/ import /;

use Trove::Util qw/ spew /;

our @EXPORT = qw/ small_disk fill_disk empty_disk /;


=head1 FUNCTIONS

To be used before Trove: where it can, it runs the test once more in a mount
namespace of its own, so that no disk outlives it.

=over

=item small_disk($dir, $size)

Makes a directory that is a disk of this size, "16m", for everybody to write to.
False where that is not allowed; then it is a directory like any other.

=item fill_disk($dir), empty_disk($dir)

Takes all room that there is; gives it back.

=back

=cut

BEGIN {
    if ($> == 0 && !$^C && !$ENV{TROVE_NAMESPACE}
        && system('unshare --mount true 2>/dev/null') == 0)
    {
        $ENV{TROVE_NAMESPACE} = 1;
        exec 'unshare', '--mount', $^X, $0, @ARGV or die "unshare: $!";
    }
}


sub small_disk {
    my ($dir, $size) = @_;

    mkdir $dir or die "mkdir $dir: $!";
    chmod 01777, $dir;

    return $ENV{TROVE_NAMESPACE} && 0 == system('mount', '-t', 'tmpfs', '-o',
        "size=$size,mode=1777", 'tmpfs', $dir);
}


sub fill_disk {
    my ($dir) = @_;

    open my $fh, '>>', "$dir/filler" or die "$dir/filler: $!";

    for my $size (65536, 4096, 1) {
        1 while syswrite $fh, 'x' x $size;
    }
}


sub empty_disk {
    my ($dir) = @_;

    unlink "$dir/filler";
}


1;
