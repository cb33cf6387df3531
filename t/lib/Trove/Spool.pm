package Trove::Spool;

# A gate with a spool, for tests: its configuration, events to it, its file.

use strict;
use warnings;

use Exporter qw/ import /;

use Trove::Event qw/ event event_request new_id post_event /;
use Trove::Http qw/ many /;

our @EXPORT = qw/
    spool_conf spool_secret spool_send spool_accepted spool_sql
/;

my $secret = 'trove-whsec-spool';


=head1 FUNCTIONS

=over

=item spool_conf(targets => [ name => { to => $backend, .. }, .. ], %options)

A configuration for nginx(): the location /events takes events of the secret of
spool_secret() into the spool %%TESTDIR%%/trove.spool, and delivers them to the
targets, each with a location of its name; the API is that of Trove::Api.

Of a target: to (a backend, or the URL for proxy_pass), fanout => parameters of
trove_fanout beside its name, conf => directives of its location.

Options: spool => 'PATH parameters' of trove_spool, retry => parameters of
trove_retry for all targets, dedup => 1 (by a zone), http, server, events =>
directives there.

=item spool_secret()

The secret of the senders.

=item spool_send($nginx, $id, $type, %over)

Sends an event with this id to /events; the rest is as in event().  Returns the
response.

=item spool_accepted($nginx, $n, $type)

Sends $n new events at the same time, and returns the ids of those that were
accepted.

=item spool_sql($file, $statement)

What the shell of SQLite reads in a spool: a line for each row, columns divided
by "|".  Dies where it cannot.

=back

=cut

sub spool_conf {
    my (%opt) = @_;

    my @targets = @{ $opt{targets} };
    my ($fanout, $locations) = ('', '');
    my %more = map { $_ => $opt{$_} // '' } qw/ http server events /;

    my $spool = $opt{spool} // '%%TESTDIR%%/trove.spool';

    $more{http} .= "trove_retry $opt{retry};\n" if defined $opt{retry};

    if ($opt{dedup}) {
        $more{http} .= "trove_dedup_zone zone=events:1m;\n";
        $more{events} .= "trove_dedup zone=events;\n";
    }

    while (my ($name, $target) = splice @targets, 0, 2) {
        my ($to, $conf) = ($target->{to}, $target->{conf} // '');

        $to = 'http://127.0.0.1:' . $to->port if ref $to;

        $fanout .= "trove_fanout /$name name=$name "
            . ($target->{fanout} // '') . ";\n";
        $locations .= "location = /$name { internal; $conf "
            . (defined $to ? "proxy_pass $to;" : '') . " }\n";
    }

    return <<"EOC";
    trove_spool $spool;
    trove_verify on;
    trove_secret $secret;
    trove_sign trove-whsec-onward;
    $more{http}

    server {
        listen 127.0.0.1:%%PORT_0%%;
        $more{server}

        location = /events {
            trove_fanout_mode spool;
            $more{events}
            $fanout
        }

        $locations
    }

    %%API%%
EOC
}


sub spool_secret { return $secret }


sub spool_send {
    my ($nginx, $id, $type, %over) = @_;

    return post_event($nginx->port, '/events', event($type, id => $id, %over),
        secret => $secret);
}


sub spool_accepted {
    my ($nginx, $n, $type) = @_;

    my @ids = map { new_id() } 1 .. $n;
    my @answers = many($nginx->port, map {
        event_request('/events', event($type, id => $_), secret => $secret)
    } @ids);

    return map { $answers[$_] && $answers[$_]->status == 202 ? $ids[$_] : () }
        0 .. $#ids;
}


sub spool_sql {
    my ($file, $sql) = @_;

    # whoever opens it as the only one has it for himself at first

    open my $shell, '-|', 'sqlite3', '-readonly', '-cmd', '.timeout 10000',
        $file, $sql or die "sqlite3: $!";

    my @lines = <$shell>;

    close $shell or die "sqlite3 $file: $sql: exit $?";
    chomp @lines;

    return wantarray ? @lines : $lines[0];
}


1;
