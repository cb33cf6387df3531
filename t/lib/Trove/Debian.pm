package Trove::Debian;

# An nginx whose configuration lies as that of Debian's package: nginx.conf and
# the default site of the package, which listens on port 80 for all names, and
# files of the test in modules-enabled/ and conf.d/.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;

use Trove::Nginx;
use Trove::Util qw/ slurp /;

our @EXPORT = qw/ debian port_of /;

my $data = abs_path(dirname(__FILE__) . '/../../data/debian');


=head1 FUNCTIONS

=over

=item debian($conf, %options)

Such an nginx, not started yet.  The prefix stands for /etc/nginx, and "logs"
and "temp" in it for /var/log/nginx and /var/lib/nginx.  $conf becomes
conf.d/trove.conf; or it takes the place of Debian's nginx.conf where it is a
whole one.

Options: files => { 'trove.secret' => .. }, addresses => { '127.0.0.1:3000' =>
'127.0.0.1:..' }, which replaces addresses in $conf.

=item port_of($nginx, $n)

The port of the test that stands for $n.

=back

=cut

sub debian {
    my ($conf, %opt) = @_;

    my $whole = $conf =~ /^events\b/m;
    my $main = $whole ? $conf : slurp("$data/nginx.conf");

    my $module = Trove::Nginx::module();
    my $nginx = nginx('', files => $opt{files});

    my $dir = $nginx->dir;

    mkdir "$dir/$_" or die "mkdir $dir/$_: $!"
        for qw/ modules modules-enabled conf.d sites-enabled html tls /;

    if ($module) {
        symlink $module, "$dir/modules/ngx_http_trove_module.so"
            or die "symlink: $!";
        $nginx->write('modules-enabled/60-trove.conf',
            "load_module modules/ngx_http_trove_module.so;\n") if !$whole;
    }

    $main =~ s/^load_module .*\n//m if !$module;

    # NGINX would put these where only root may write

    my $temp = join '', map { "    ${_}_temp_path $dir/temp/$_;\n" }
        qw/ client_body proxy fastcgi scgi uwsgi /;

    $main =~ s/^http \{\n\K/$temp/m or die "nginx.conf has no http\n";

    $nginx->{conf} = moved($nginx, $main, %opt);

    $nginx->write('conf.d/trove.conf', moved($nginx, $conf, %opt)) if !$whole;
    $nginx->write('sites-enabled/default',
        moved($nginx, slurp("$data/default")));
    $nginx->write('mime.types', slurp("$data/mime.types"));
    $nginx->write('html/index.html', "the default site\n");

    return $nginx;
}


sub port_of {
    my ($nginx, $port) = @_;

    my $ports = $nginx->{debian} //= {};

    return $nginx->port($ports->{$port} //= keys %$ports);
}


# a file with the paths and ports of the test

sub moved {
    my ($nginx, $conf, %opt) = @_;

    my $dir = $nginx->dir;
    my $addresses = $opt{addresses} || {};

    $conf =~ s{(?<![\w.])/etc/nginx/}{$dir/}g;
    $conf =~ s{(?<![\w.])/var/log/nginx/}{$dir/logs/}g;
    $conf =~ s{(?<![\w.])/var/lib/nginx/}{$dir/temp/}g;
    $conf =~ s{(?<![\w.])/var/www/html}{$dir/html}g;
    $conf =~ s{(?<![\w.])/run/}{$dir/}g;

    # not every machine has IPv6, or somebody called www-data

    $conf =~ s/^\s*listen \[::\]:.*\n//mg;
    $conf =~ s/^user www-data;/user nobody nogroup;/m;
    $conf =~ s/^user .*\n//m if $> != 0;

    $conf =~ s{(\blisten )(?:127\.0\.0\.1:)?(\d+)}
              {$1 . '127.0.0.1:' . port_of($nginx, $2)}ge;
    $conf =~ s/(?<![\w.])\Q$_\E(?!\w)/$addresses->{$_}/g
        for keys %$addresses;

    return $conf;
}


1;
