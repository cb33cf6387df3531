#!/usr/bin/perl

# The variables of NGINX that a delivery sees, by mode, as docs/operations.md
# says: with "wait" those of the request of the sender, with "spool" those that
# are stored with the event.

use lib 't/lib';
use Trove;

my $backend = backend();

# of the sender: in "wait", in "spool"; undef: there is no header field

my $id = new_id();
my $body = event(undef, id => $id);
my $port;

my %expected = (
    # what a rewrite of the server or of the location has set
    server_set => [ 'of the server', undef ],
    location_set => [ 'of the location', undef ],
    saved_agent => [ 'A sender', undef ],

    # the connection
    remote_addr => [ '192.0.2.7', 'unix:' ],
    realip_remote_addr => [ '192.0.2.7', 'unix:' ],
    place => [ 'there', 'elsewhere' ],
    server_addr => [ '127.0.0.1', 'unix:' ],
    server_port => [ \&port, undef ],
    scheme => [ 'http', 'http' ],
    https => [ undef, undef ],

    # the request
    host => [ 'hooks.example', 'hooks.example' ],
    http_host => [ 'hooks.example', 'hooks.example' ],
    server_name => [ 'named', 'named' ],
    request_method => [ 'POST', 'POST' ],
    request_uri => [ '/MODE?a=outer', '/MODE?a=outer' ],
    request => [ 'POST /MODE?a=outer HTTP/1.1', 'POST /MODE?a=outer HTTP/1.1' ],
    server_protocol => [ 'HTTP/1.1', 'HTTP/1.1' ],
    uri => [ '/see', '/see' ],
    args => [ 'b=inner', 'b=inner' ],
    arg_a => [ undef, undef ],
    arg_b => [ 'inner', 'inner' ],

    # the header and the body
    content_type => [ 'application/json', 'application/json' ],
    content_length => [ length $body, length $body ],
    request_body => [ $body, $body ],
    http_user_agent => [ undef, undef ],
    http_authorization => [ undef, undef ],
    http_cookie => [ undef, undef ],
    http_x_real_ip => [ undef, undef ],

    # used by the request of the sender before
    http_x_sender => [ 'A sender', undef ],

    http_x_trove_event_id => [ $id, $id ],
    cookie_session => [ undef, undef ],
    remote_user => [ undef, undef ],

    # evaluated for the delivery
    mapped => [ 'none', 'none' ],
    mapped_uri => [ 'target', 'target' ],

    trove_event_id => [ $id, $id ],
    trove_target => [ 'see', 'see' ],
    trove_attempt => [ 1, 1 ],
);

my @names = sort keys %expected;
my $headers = join '', map { 'proxy_set_header ' . field($_) . " \"\$$_\";\n" }
    @names;

sub field { return 'X-V-' . $_[0] =~ tr/_/-/r }

my $nginx = nginx(<<"EOC")->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry base=1h max=1h;
    trove_sign trove-whsec-onward;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;

    geo \$place { default elsewhere; 192.0.2.0/24 there; }
    map \$http_user_agent \$mapped { '' none; default some; }
    map \$uri \$mapped_uri { volatile; /see target; default sender; }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name named;

        set \$server_set 'of the server';

        location = /wait {
            set \$location_set 'of the location';
            set \$saved_agent \$http_x_sender;
            trove_fanout /see?b=inner name=see;
        }

        location = /spool {
            set \$location_set 'of the location';
            set \$saved_agent \$http_x_sender;
            trove_fanout_mode spool;
            trove_fanout /see?b=inner name=see;
        }

        location = /see {
            internal;
            $headers
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOC

$port = $nginx->port;

sub port { return $port }

my $column = 0;

for my $mode (target_modes()) {
    $backend->forget;

    post_event($port, "/$mode?a=outer", $body, headers => [
        Host => 'hooks.example', 'User-Agent' => 'An-Agent/1',
        'X-Sender' => 'A sender',
        'X-Real-IP' => '192.0.2.7', Authorization => 'Basic dTpw',
        Cookie => 'session=1' ]);

    ok($backend->wait_count(1), "$mode: delivered");

    my $request = $backend->last;

    for my $name (@names) {
        my $value = $expected{$name}[$column];

        $value = $value->() if ref $value;
        $value =~ s/MODE/$mode/ if defined $value;

        is($backend->header($request, field($name)), $value,
            "$mode: \$$name");
    }

    $column++;
}

# each of them is in the table

my ($table) = slurp('docs/operations.md')
    =~ /^### Variables in the location of a target\n(.*?)^##/ms;

my %own = (server_set => 'set', location_set => 'set', saved_agent => 'set',
    mapped => 'map', mapped_uri => 'map', place => 'geo');

for my $name (@names) {
    my ($family) = $name =~ /^(http|arg|cookie|trove)_/;
    my $shown = $own{$name} // "\$$name";

    ok(index($table, "`$shown`") >= 0
        || defined $family && index($table, "`\$${family}_...`") >= 0,
        "$shown is in the table");
}

done_testing();
