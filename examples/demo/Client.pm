package Client;

# Copyright (C) 2026 the ngx_trove_module authors
#
# The clients of the demo: the sender of events, an application that calls the
# API, and a reader of the stream.

use strict;
use warnings;

use Digest::SHA qw/ hmac_sha256_hex /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw/ time /;

use Stage qw/ port secret fail /;

our @EXPORT_OK = qw/ post call response stream stream_to /;

my $PATIENCE = 10;                              # seconds for each response

my $json = JSON::PP->new->latin1->canonical;


# Sends an event.  Returns the connection.

sub post {
    my ($body, %how) = @_;

    my $port = $how{port} // port('gate');
    my $t = int(time()) - ($how{age} // 0);
    my $mac = hmac_sha256_hex("$t." . ($how{signed} // $body), secret('trove'));

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $PATIENCE,
    ) or fail("no connection to NGINX: $@\n");

    syswrite $socket, join "\r\n",
        'POST ' . ($how{path} // '/trove-events') . ' HTTP/1.1',
        "Host: 127.0.0.1:$port",
        'Connection: close',
        'Content-Type: application/json',
        'Content-Length: ' . length $body,
        $how{unsigned} ? () : "X-Trove-Signature: t=$t,v1=$mac",
        '', $body;

    return $socket;
}


sub response {
    my ($socket) = @_;

    my $text = '';
    my $select = IO::Select->new($socket);

    while ($select->can_read($PATIENCE)) {
        sysread($socket, $text, 65536, length $text) or last;
    }

    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($status) = ($head // '') =~ m{^HTTP/1\.1 (\d+)};
    my ($retry_after) = ($head // '') =~ /^Retry-After: (\d+)/mi;
    my $json_body = eval { $json->decode($body) } // {};

    return {
        status => $status // 'none', retry_after => $retry_after,
        verdict => $json_body->{error} // $json_body->{status} // '',
        targets => $json_body->{targets} // [], json => $json_body,
    };
}


# Makes a call of the API, by default with the token for everything.  Returns
# the connection.

sub call {
    my ($method, $path, $port, $token, $body) = @_;

    $token //= secret('trove-api');
    $body = defined $body ? $json->encode($body) : '';

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $PATIENCE,
    ) or fail("no connection to NGINX: $@\n");

    # the response to HTTP/1.0 is not chunked

    syswrite $socket, join "\r\n", "$method /trove/v1/$path HTTP/1.0",
        "Host: 127.0.0.1:$port", 'Content-Length: ' . length $body,
        "Authorization: Bearer $token", '', $body;

    return $socket;
}


# opens the stream of events of a path of the API

sub stream {
    my ($path, $port, $token) = @_;

    my $stream = {
        socket => call('GET', $path, $port, $token), text => '',
    };

    stream_to($stream, 0);

    return $stream;
}


# waits until $n events have come, and returns them

sub stream_to {
    my ($stream, $n) = @_;

    my $end = time() + $PATIENCE;
    my @blocks;

    while (1) {
        @blocks = $stream->{text} =~ /^((?:id: .*\n)?data: .*\n)\n/mg;

        last if @blocks > $n;
        last if !IO::Select->new($stream->{socket})->can_read($end - time());
        last if !sysread $stream->{socket}, $stream->{text}, 65536,
            length $stream->{text};
    }

    shift @blocks;                              # connected

    return @blocks;
}


1;
