package Trove::Api;

# The management API of a spool, for tests.

use strict;
use warnings;

use Exporter qw/ import /;
use Time::Local qw/ timegm /;

use Trove::Http qw/ request /;
use Trove::Nginx ();

our @EXPORT = qw/ spool_api spool_deliveries spool_delivery milliseconds /;

my $token = 'a-token-of-some-length';


=head1 FUNCTIONS

=over

=item %%API%%

In a configuration: a server, on port 99, with the API in /trove/ and the
metrics in /metrics.

=item spool_api($nginx, $method, $path)

A call of it; $path is what comes after "/trove/v1/".  Returns the response.

=item spool_deliveries($nginx, $query)

The deliveries that match, newest first, a page of them.

=item spool_delivery($nginx, $id, $target)

The one of the event $id to this target, with all its attempts, and with the
members "opened", "received" and, in "history", "started" in milliseconds; undef
if there is none.

=item milliseconds($time)

Of a time in an answer: milliseconds since 1970.

=back

=cut

Trove::Nginx::set_var(API => <<"EOC");
    server {
        listen 127.0.0.1:%%PORT_99%%;

        location = /metrics { trove_metrics; }
        location /trove/    { trove_api $token; }
    }
EOC


sub spool_api {
    my ($nginx, $method, $path) = @_;

    return request($nginx->port(99), $method, "/trove/v1/$path",
        headers => [ Authorization => "Bearer $token" ],
        $method eq 'POST' ? (body => '') : ());
}


sub spool_deliveries {
    my ($nginx, $query) = @_;

    return @{ spool_api($nginx, GET => "deliveries?$query")->json->{deliveries}
        || [] };
}


sub spool_delivery {
    my ($nginx, $id, $target) = @_;

    my ($one) = spool_deliveries($nginx, "event=$id&target=$target")
        or return undef;
    my $all = spool_api($nginx, GET => "deliveries/$one->{id}")->json;

    $all->{$_} = milliseconds($all->{"${_}_at"}) for qw/ opened received /;
    $_->{started} = milliseconds($_->{started_at}) for @{ $all->{history} };

    return $all;
}


sub milliseconds {
    my ($time) = @_;

    my ($y, $mon, $d, $h, $min, $s, $ms) = $time
        =~ /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z$/
        or die "no time: $time";

    return timegm($s, $min, $h, $d, $mon - 1, $y) * 1000 + $ms;
}


1;
