package Trove::Docs;

# The configurations that the documentation shows, to be run.

use strict;
use warnings;

use Exporter qw/ import /;

use Trove::Util qw/ slurp /;

our @EXPORT = qw/ doc_blocks doc_conf doc_secret /;


=head1 FUNCTIONS

=over

=item doc_blocks($file)

The fenced blocks of the language "nginx" of a page, each { line, where, conf }.
The word after "nginx" says where it belongs: main, http, server or location.

=item doc_conf($block)

A block as a configuration for nginx(), with what it takes for granted around
it, and with ports and files of the test; and the options for nginx().  Ports
to listen on are %%PORT_0%% and so on, in their order.  Nothing where the block
belongs nowhere.

=item doc_secret($name)

What is in the file NAME.secret then.

=back

=cut

sub doc_blocks {
    my ($file) = @_;

    my $text = slurp($file);
    my @blocks;

    while ($text =~ /^([ ]*)```nginx[ ]*(.*)\n((?s:.*?))^\1```$/mg) {
        my ($indent, $where, $conf) = ($1, $2, $3);
        my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);

        $conf =~ s/^\Q$indent\E//mg;

        push @blocks, { line => $line, where => $where, conf => $conf };
    }

    return @blocks;
}


sub doc_secret { return "trove-whsec-of-$_[0]" }


sub doc_conf {
    my ($block) = @_;

    my ($conf, $where) = @{$block}{qw/ conf where /};
    my (%files, %env);
    my $server = "listen 127.0.0.1:%%PORT_99%%;\n";

    my %around = (
        main => sub {
            return "%%GLOBALS%%\n"
                . $_[0] =~ s/^load_module\s[^;]*;//mr
                        =~ s/^http\s*\{/http {\n%%HTTP%%\n/mr;
        },
        http => sub { $_[0] },
        server => sub { "server {\n$server\n$_[0]\n}\n" },
        location => sub { "server {\n$server\nlocation = /e {\n$_[0]\n}\n}\n" },
    );

    return unless $around{$where};

    # zones of other blocks

    my %declared = map { $_ => 1 } $conf =~ /trove_dedup_zone\s+zone=(\w+)/g;

    my $zones = join '', map { "trove_dedup_zone zone=$_:1m;\n" }
        grep { !$declared{$_}++ } $conf =~ /trove_dedup\s+zone=(\w+)/g;

    $conf = $zones . $around{$where}->($conf);

    # nobody asks a name server

    $conf =~ s/(?<=\bserver )[a-z][\w-]*(?:\.[\w-]+)+(?=:\d+;)/127.0.0.1/g;

    my $port = 0;

    $conf =~ s/^(\s*)listen\s+(?:127\.0\.0\.1:)?\d+;
              /"${1}listen 127.0.0.1:%%PORT_" . $port++ . '%%;'/xmge;

    $conf =~ s{(?<=[\s:])/(?:etc(?!/ssl)|var)/([\w./-]+)}{
        my $path = $1;
        my $file = $path =~ tr{/}{-}r;
        $files{$file} = "# a comment\n" . doc_secret($1) . "\n"
            if $path =~ m{([^/]+)\.secret$};
        $files{$file} = '0123456789abcdef' x 4 . "\n" if $path =~ /\.key$/;
        "%%TESTDIR%%/$file";
    }ge;

    $env{$_} = doc_secret($_) for $conf =~ /\benv:(\w+)/g;

    return ($conf, files => \%files, env => \%env);
}


1;
