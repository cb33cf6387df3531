#!/usr/bin/perl

# A reload that brought a zone whose state file could not be opened made the
# master exit: NGINX takes an error there for fatal.

use lib 't/lib';
use Trove;

use Fcntl qw/ LOCK_EX /;

my $secret = 'trove-whsec-reload';
my $backend = backend();

my $http = <<'EOF';
    trove_dedup_zone zone=events:1m;
    %%MORE%%

    server {
        listen 127.0.0.1:%%PORT_0%%;

        trove_verify on;
        trove_secret trove-whsec-reload;

        location / {
            trove_dedup zone=events;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /more {
            trove_dedup zone=%%ZONE%%;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $nginx = nginx($http, vars => { MORE => '', ZONE => 'events' })->start;
my $pid = $nginx->pid;
my $file = $nginx->dir . '/more.state';

sub twice {
    my ($uri) = @_;

    my $body = event();

    return join ' ', map {
        my $r = post_event($nginx->port, $uri, $body, secret => $secret);

        $r->status . ($r->body =~ /duplicate/ ? ' duplicate' : '')
    } 1, 2;
}

# another instance has it

open my $fh, '>', $file or die "open $file: $!";
flock $fh, LOCK_EX or die "flock: $!";

$nginx->expect(qr/state file ".*more\.state" is in use by another nginx/);

$nginx->{opt}{vars} = {
    MORE => "trove_dedup_zone zone=more:1m state=$file;", ZONE => 'more',
};

for my $try (1, 2) {
    my ($old) = $nginx->workers;

    # an [emerg] is no refusal here

    $nginx->reload($http);

    ok(wait_until { my @now = $nginx->workers; @now == 1 && $now[0] != $old },
        "reload $try: a new worker");
    is($nginx->pid, $pid, "reload $try: of the same master");
    is(twice('/'), '200 200 duplicate', "reload $try: the old zone");
    is(twice('/more'), '200 200 duplicate', "reload $try: the new one");
}

is($nginx->log_lines(qr/zone "more" is in memory until a restart/), 1,
    'what became of it is logged');

close $fh;
unlink $file;

ok($nginx->restart, 'restart');
is(-s $file, 1048576, 'then it is a file');
is(twice('/more'), '200 200 duplicate', 'which serves');

done_testing();
