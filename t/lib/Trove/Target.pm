package Trove::Target;

# Locations of targets that get events in both modes of the fan-out, for tests.

use strict;
use warnings;

use Exporter qw/ import /;
use Test::More ();

use Trove::Event qw/ event new_id post_event /;
use Trove::Nginx ();
use Trove::Spool qw/ spool_sql /;
use Trove::Util qw/ wait_until /;

our @EXPORT = qw/
    packaged_modules target_conf target_modes target_send target_outcome
    target_events
/;

my $secret = 'trove-whsec-target';


=head1 FUNCTIONS

=over

=item packaged_modules(@names)

The "load_module" lines of modules of the distribution: "js", "lua".  They fit
the packaged NGINX only.  With another one, all tests of the file are skipped.
With the packaged one they must be installed, which "make test" does.

=item target_conf(targets => [ name => 'directives', .. ], %options)

A configuration for nginx(): the locations /wait and /spool fan events out to
the targets, in the mode that their name says.  A target has a location of its
name and gets the events of the type "to.NAME"; the target "healthy", which is
added to the others and passes events on to the first backend, gets each event.
trove_sign is in effect.

Options: http, server, events => directives there; healthy => directives in the
location of "healthy"; retry => parameters of trove_retry.

=item target_modes()

The names of the modes: wait and spool.

=item target_send($nginx, $mode, $name, %over)

Sends an event to the target $name and to "healthy".  %over has members for
event(), and "port".  Returns the response.

=item target_outcome($nginx, $mode, $name, %over)

The same; then waits until there has been an attempt to deliver it to both.
Returns the outcome of both: "NAME=STATUS healthy=STATUS", with the error after
the status if there is one, and the number of attempts if it is not 1.  By
default an attempt that has failed is repeated after an hour.

=item target_events($nginx, $sql)

The columns of the view "deliveries" of the spool for this condition.

=back

=cut

sub packaged_modules {
    my (@names) = @_;

    my %files = (
        js => [ 'ngx_http_js_module.so' ],
        lua => [ 'ndk_http_module.so', 'ngx_http_lua_module.so' ],
    );

    Test::More::plan(skip_all => 'the modules fit the packaged NGINX only')
        if $ENV{TROVE_STATIC} || Trove::Nginx::binary() !~ m{^/usr/s?bin/};

    my @files = map { "/usr/lib/nginx/modules/$_" } map { @{ $files{$_} } }
        @names;

    for my $file (@files) {
        -e $file or die "$file does not exist: run \"make test\", which"
            . " installs it\n";
    }

    return map { "load_module $_;\n" } @files;
}


sub target_conf {
    my (%opt) = @_;

    my @targets = (@{ $opt{targets} }, healthy => $opt{healthy}
        // 'proxy_pass http://127.0.0.1:%%BACKEND%%;');
    my %more = map { $_ => $opt{$_} // '' } qw/ http server events /;
    my $retry = $opt{retry} // 'base=1h max=1h';
    my ($fanout, $locations) = ('', '');

    while (my ($name, $conf) = splice @targets, 0, 2) {
        $fanout .= "trove_fanout /$name name=$name"
            . ($name eq 'healthy' ? '' : " events=to.$name") . ";\n";
        $locations .= "location = /$name { internal; $conf }\n";
    }

    return <<"EOC";
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry $retry;
    trove_verify on;
    trove_secret $secret;
    trove_sign trove-whsec-onward;
    $more{http}

    server {
        listen 127.0.0.1:%%PORT_0%%;
        $more{server}

        location = /wait {
            $more{events}
            $fanout
        }

        location = /spool {
            trove_fanout_mode spool;
            $more{events}
            $fanout
        }

        $locations
    }

    %%API%%
EOC
}


sub target_modes { return qw/ wait spool / }


sub target_send {
    my ($nginx, $mode, $name, %over) = @_;

    my $port = delete $over{port} // $nginx->port;

    return post_event($port, "/$mode", event("to.$name", %over),
        secret => $secret);
}


sub target_outcome {
    my ($nginx, $mode, $name, %over) = @_;

    $over{id} //= new_id();

    my $r = target_send($nginx, $mode, $name, %over)
        or return 'no response';

    if ($mode eq 'wait') {
        return $r->targets // $r->status;
    }

    return $r->status if $r->status != 202;

    my @rows;

    wait_until {
        @rows = target_events($nginx, "event_id = '$over{id}'");
        @rows == 2 && !grep { $_->{state} !~ /^(delivered|failed|retry)$/ }
            @rows;
    };

    my %row = map { $_->{target} => $_ } @rows;

    return join ' ', map { outcome($row{$_}) } $name, 'healthy';
}


sub outcome {
    my ($row) = @_;

    return 'absent' unless $row;

    my $text = "$row->{target}=" . ($row->{status} || '-');

    $text .= " $row->{reason}" if length $row->{reason};
    $text .= " $row->{state}" unless $row->{state} =~ /^(delivered|retry)$/;

    $text .= " attempts=$row->{attempts}" if $row->{attempts} != 1;

    return $text;
}


sub target_events {
    my ($nginx, $where) = @_;

    my @names = qw/ target state attempts status reason /;

    return map {
        my %row;
        @row{@names} = split /\|/, $_, -1;
        \%row;
    } spool_sql($nginx->dir . '/trove.spool', 'SELECT target, state,'
        . ' attempts, last_status, last_reason FROM deliveries WHERE '
        . $where);
}


1;
