#!/usr/bin/perl

# The stream beside other directives of NGINX in its location: what changes or
# delays responses, what counts requests, and what uses a request once more.

use IO::Select;
use IO::Socket::INET;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Metrics;
use Trove::Stream;

# they never respond

my ($mirror, $post) = map {
    IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1')
        or die "listen: $!"
} 1 .. 2;

my ($mirror_port, $post_port) = map { $_->sockport } $mirror, $post;

my $stream = '/plain/v1/workspaces/ws-test/webhooks/stream';
my $api = 'trove_api a-token-of-some-length;';

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    server => 'client_body_buffer_size 2m; client_max_body_size 4m;',
    http => <<"EOC"), workers => 2)->start;
    limit_conn_zone \$uri zone=conns:1m;

    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k;
        trove_verify off;

        location /plain/ { $api }

        location /sub/ {
            sub_filter_types *;
            sub_filter_once off;
            sub_filter '"workspace_id"' '"workspace_id"';
            sub_filter 'file.written"}' 'none';
            $api
        }

        location /ssi/ { ssi on; ssi_types *; $api }

        location /rate/ { limit_rate 400k; limit_rate_after 1k; $api }

        location /socket/ {
            sendfile on;
            tcp_nopush on;
            tcp_nodelay off;
            postpone_output 8k;
            aio threads;
            output_buffers 1 4k;
            chunked_transfer_encoding off;
            reset_timedout_connection on;
            $api
        }

        location /header/ {
            expires 1h;
            add_header X-Test yes always;
            add_trailer X-Trailer yes;
            etag on;
            if_modified_since before;
            charset utf-8;
            charset_types *;
            $api
        }

        location /mirror/ {
            mirror /copy;
            $api
        }

        location = /copy {
            internal;
            proxy_pass http://127.0.0.1:$mirror_port;
        }

        location /conn/ { limit_conn conns 1; $api }

        location /post/ { post_action /action; $api }

        # in a subrequest

        location = /include {
            ssi on;
            ssi_types *;
            return 200 '<!--#include virtual="$stream" -->';
        }

        location = /copied { mirror $stream; return 204; }

        location = /action {
            internal;
            proxy_pass http://127.0.0.1:$post_port;
        }
    }
EOC


sub accepted {
    my ($id, %over) = @_;

    my $r = spool_send($nginx, $id, 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}

sub narrow {
    my ($stream) = @_;

    setsockopt $stream->connection->{socket}, SOL_SOCKET, SO_RCVBUF, 65536;

    return $stream;
}

my @names = qw/ plain sub ssi rate socket header mirror conn post /;

# small ones, large ones that fill the socket, and small ones again

my %streams = map {
    $_ => narrow(stream($nginx, undef, port => 1, base => "/$_"))
} @names;

my @ids = map { accepted("evt-a$_") } 1 .. 3;
for my $name (@names) {
    is_deeply($streams{$name}->ids(3), \@ids, "$name: small events");
}

push @ids, map { accepted("evt-b$_", data => { x => 'x' x 300_000 }) } 1 .. 4;
push @ids, map { accepted("evt-c$_") } 1 .. 3;

for my $name (@names) {
    is_deeply($streams{$name}->ids(10, 60), \@ids, "$name: large ones");
}

is(stream($nginx, undef, port => 1, base => '/conn', open => 0)->status, 503,
    'conn: one is open already');


# it cannot be a part of another response

my @token = (Authorization => 'Bearer a-token-of-some-length');

is(get($nginx->port(1), $_, @token)->status, $_ eq '/include' ? 200 : 204, $_)
    for qw( /include /copied );


# a request behind it

my $head = conn($nginx->port(1));

$head->send(build('HEAD', $stream, headers => \@token),
    build('GET', '/copied', headers => \@token));
is($head->response(head => 1)->status, 200, 'HEAD');
is($head->response->status, 204, 'and another request');


# a body that comes later is discarded, and then the client goes

my $body = stream($nginx, undef, port => 1, base => '/plain',
    headers => [ 'Content-Length' => 5 ]);

$body->connection->send('12345');
$body->connection->wait_read;
push @ids, accepted('evt-body');
is_deeply($body->ids(1), [ 'evt-body' ], 'a request with a body');

# which is noticed before two comments could not be sent

$body->connection->close;
ok((wait_until {
    metric($nginx, 'trove_stream_readers', {}, 99) == keys %streams
}), 'its client goes');


# a client goes, and its request is used once more

sub connected {
    my ($listener, $seconds) = @_;

    my $select = IO::Select->new($listener);

    return (wait_until { $select->can_read(0.05) } $seconds)
        && $listener->accept;
}

delete($streams{post})->connection->close;

my $action = connected($post, 10);
ok($action, 'post: the action is under way');

push @ids, map { accepted("evt-d$_") } 1 .. 3;
is_deeply($streams{plain}->ids(14), \@ids, 'others go on');

ok(metric_wait($nginx, 'trove_stream_readers', {}, scalar keys %streams, 99),
    'post: the stream has ended');

sysread $action, my $request, 65536;
ok(!IO::Select->new($action)->can_read(0), 'post: the action goes on');
ok(!connected($post, 0.1), 'post: there is no other one');


# the end

close $_ for $action, connected($mirror, 10);

$_->connection->close for values %streams;
ok(metric_wait($nginx, 'trove_stream_readers', {}, 0, 99), 'all have ended');

$nginx->stop;

done_testing();
