package Bench::Machine;

# The machine, and the versions of the software on it.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;

use Trove::Util qw/ slurp /;

our @EXPORT_OK = qw/ $root processors nginx_binary modules has_program facts /;

our $root = abs_path(dirname(__FILE__) . '/../../..');


=head1 FUNCTIONS

=over

=item processors()

Two processors on different cores: one for the measured process, and one for the
load and everything else.  On a machine with a single core they are undefined,
and nothing is pinned.

=cut

sub processors {
    my ($list) = slurp('/proc/self/status') =~ /^Cpus_allowed_list:\s*(\S+)/m;

    my (@cores, %seen);

    for my $cpu (map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list) {
        my $siblings = slurp("/sys/devices/system/cpu/cpu$cpu/topology/"
            . 'thread_siblings_list');

        push @cores, $cpu unless length $siblings && $seen{$siblings}++;
    }

    # the first one handles interrupts

    return @cores < 2 ? (undef, undef) : @cores[ 1, 0 ];
}


=item nginx_binary(), modules()

The NGINX that is measured, and the directory of the modules that the
distribution has for it.

=cut

sub nginx_binary {
    return $ENV{TROVE_NGINX} // die "TROVE_NGINX is not set: run make bench\n";
}


sub nginx_about {
    my $binary = nginx_binary();

    return scalar qx{"$binary" -V 2>&1};
}


sub modules {
    return nginx_about() =~ /--modules-path=(\S+)/ ? $1 : undef;
}


=item has_program($name)

Whether a program is installed.

=cut

sub has_program {
    my ($name) = @_;

    return scalar grep { -x "$_/$name" } split /:/, $ENV{PATH};
}


=item facts($placement)

The environment of the figures, as pairs of a name and a text.  A part that does
not use processors() passes a description of its placement.

=cut

sub facts {
    my ($placement) = @_;

    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
    my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s*(\d+)/;
    my ($nginx) = nginx_about() =~ m{nginx/(\S+)};
    my ($uname) = first_line('uname -srm');
    my ($os) = slurp('/etc/os-release') =~ /^PRETTY_NAME="(.*)"/m;
    my $count = () = slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
    my $virtual = slurp('/proc/cpuinfo') =~ /^flags\s*:.* hypervisor\b/m;

    return (
        [ 'Commit', commit() ],
        [ 'Date', first_line('date -u +%Y-%m-%d') ],
        [ 'Processor', join ', ', $cpu // '?', "$count processors",
            sprintf('%.0f GB of memory', ($memory // 0) / 1e6),
            $virtual ? 'a virtual machine' : () ],
        [ 'Placement', $placement // placement() ],
        [ 'System', join ', ', grep { defined } $os, $uname ],
        [ 'NGINX', $nginx // '?' ],
        [ 'OpenSSL', package_version('libssl3') // first_line('openssl version')
        ],
        [ 'yajl', package_version('libyajl2') ],
        [ 'Compiler', first_line(($ENV{CC} // 'gcc') . ' --version') ],
        defined modules() ? (
            [ 'lua-nginx', package_version('libnginx-mod-http-lua') ],
            [ 'njs', package_version('libnginx-mod-http-js') ],
        ) : (),
        [ 'FastAPI, uvicorn, Python', join ', ', map { $_ // '-' }
            package_version('python3-fastapi'),
            package_version('python3-uvicorn'),
            first_line('python3 --version') =~ s/^Python //r ],
    );
}


sub placement {
    my ($one, $two) = processors();

    return defined $one
        ? "the measured process on processor $one, the load on processor $two"
        : 'no process is pinned: there is a single core';
}


sub commit {
    my $commit = first_line("git -C '$root' rev-parse --short=12 HEAD");

    return 'none: not a Git checkout' unless length $commit;

    my $changed = first_line("git -C '$root' status --porcelain -uno -- "
        . 'ngx_trove_module config bench util');

    return length $changed ? "$commit, with local changes" : $commit;
}


sub package_version {
    my ($package) = @_;

    my $version = first_line("dpkg-query -W -f '\${Version}' $package");

    return length $version ? $version : undef;
}


sub first_line {
    my ($command) = @_;

    my ($line) = split /\n/, scalar(qx{$command 2>/dev/null}) // '';

    return $line // '';
}


=back

=cut

1;
