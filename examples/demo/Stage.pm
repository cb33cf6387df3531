package Stage;

# Copyright (C) 2026 the ngx_trove_module authors
#
# The environment of the demo: NGINX with the configurations of examples/, and a
# process with test servers in place of the application and the targets.  All
# processes end when the program that uses this package ends, even if it is
# killed.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Digest::SHA qw/ hmac_sha256_hex /;
use Errno qw/ EADDRINUSE /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use File::Path qw/ remove_tree /;
use File::Spec;
use File::Temp qw/ tempdir /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw/ WNOHANG /;
use Time::HiRes qw/ sleep time /;

our @EXPORT_OK = qw/
    raise port secret address open_up let_go refuse received nginx_ended stays
    directory fail slurp
/;

my $PATIENCE = 10;                              # seconds for each operation
my $SLOW = 'evt-00005a1d5445';                  # the response is delayed

# the upstreams of the examples, and the secrets they verify with; the secret of
# "subscriber", the server of a customer, is not known in advance

my %stand_ins = (
    application => '', slack => '', pipeline => 'trove', agent_b => 'trove',
    offboarding => 'trove', acme => 'acme', bolt => 'bolt',
    warehouse => 'own', billing => 'own', alerts => 'own', subscriber => '',
);

# the names of the ports of each example

my %listens = (
    gate => [ 'gate' ], fanout => [ 'fanout' ], spool => [ 'spool', 'api' ],
    subscriptions => [ 'subscriptions', 'webhooks' ],
);

my $owner = $$;
my $top = abs_path(dirname(__FILE__) . '/../..');
my $json = JSON::PP->new->latin1->canonical;

my ($dir, $nginx, $crew, $control, $staying);
my ($received, $audited) = (0, 0);
my (%port, %secret, %listener);


# call END after these signals as well

my %signals = (HUP => 1, INT => 2, PIPE => 13, TERM => 15);

for my $name (keys %signals) {
    $SIG{$name} = sub { exit($staying ? 0 : 128 + $signals{$name}) };
}

END { clean() if $$ == $owner }


# Starts all processes.  @closed: the test servers that are down.  Returns the
# version of NGINX.

sub raise {
    my (@closed) = @_;

    # worker processes run as another user if NGINX is started by root

    $dir = tempdir('trove-demo-XXXXXXXX', TMPDIR => 1);
    chmod 0711, $dir;

    $secret{$_} = random_secret() for grep { length } values %stand_ins;
    $secret{$_} = random_secret() for qw/ trove-api trove-acme /;
    spew("$_.secret", "$secret{$_}\n", 0600) for keys %secret;
    spew('trove-subscriptions.key', random(32) . "\n", 0600);

    # a directory that worker processes can write to

    mkdir "$dir/spool";
    chmod 01777, "$dir/spool";

    start_crew(@closed);

    return start_nginx();
}


sub port { return $port{$_[0]} }                # "gate", "fanout", ..

sub secret { return $secret{$_[0]} }

# the address of a test server

sub address { return '127.0.0.1:' . $listener{$_[0]}->sockport }


sub directory { return $dir }

sub stays { $staying = 1 }                      # a signal is a normal exit


# makes a test server that was down listen; connections wait until it is ready

sub open_up {
    my ($name) = @_;

    listen $listener{$name}, 16 or fail("listen: $!\n");
    syswrite $control, "open $name\n";
}


# lets the application respond to the slow event

sub let_go { syswrite $control, "go\n" }


# makes a test server respond with 410, or accept events again

sub refuse {
    my ($name, $on) = @_;

    syswrite $control, ($on ? 'refuse' : 'accept') . " $name\n";
}


# Returns requests received since the last call: { who, type, id, body,
# signature, text }.  The audit log is written by NGINX itself; "text" is the
# message in Slack.

sub received {
    my @requests = split /\n/, slurp("$dir/received.log");
    my @audit = split /\n/, slurp("$dir/trove-audit.log");

    my @new = (
        map({ $json->decode($_) } @requests[$received .. $#requests]),
        map({ { %{ $json->decode($_) }, who => 'audit' } }
            @audit[$audited .. $#audit]),
    );

    ($received, $audited) = (scalar @requests, scalar @audit);

    return @new;
}


# The test servers, minimal HTTP applications.

sub start_crew {
    my (@closed) = @_;

    my %closed = map { $_ => 1 } @closed;

    for my $name (keys %stand_ins) {

        # a socket that is bound but does not listen refuses connections

        $listener{$name} = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', Proto => 'tcp',
            $closed{$name} ? (ReuseAddr => 1) : (Listen => 16),
        ) or fail("$@\n");
    }

    pipe my $commands, $control or fail("pipe: $!\n");
    defined($crew = fork) or fail("fork: $!\n");

    if ($crew == 0) {
        close $control;
        setpgrp;
        $SIG{$_} = 'IGNORE' for keys %signals;
        play($commands, grep { !$closed{$_} } keys %listener);
        POSIX::_exit(0);
    }
}


sub play {
    my ($commands, @open) = @_;

    my $select = IO::Select->new($commands, @listener{@open});
    my %name = map { $listener{$_} => $_ } keys %listener;
    my ($slow, %in, %who, %refuses, @held) = ($SLOW);

    while (1) {
        my @ready = $select->can_read;

        # commands are handled before requests

        for my $socket (grep({ $_ == $commands } @ready),
            grep { $_ != $commands } @ready)
        {
            if ($name{$socket}) {
                my $new = $socket->accept or next;
                $select->add($new);
                $in{$new} = '';
                $who{$new} = $name{$socket};
                next;
            }

            if ($socket == $commands) {
                sysread $commands, my $command, 100
                    or return abandoned();

                return if $command =~ /^bye$/m;
                $select->add($listener{$1}) if $command =~ /^open (\w+)$/m;
                $refuses{$1} = 1 if $command =~ /^refuse (\w+)$/m;
                delete $refuses{$1} if $command =~ /^accept (\w+)$/m;

                if ($command =~ /^go$/m) {
                    $slow = '';
                    respond(@$_) for splice @held;
                }

                next;
            }

            if (!sysread $socket, $in{$socket}, 65536, length $in{$socket}) {
                $select->remove($socket);
                delete $in{$socket};
                close $socket;
                next;
            }

            my $request = request(\$in{$socket}) // next;
            my $who = $who{$socket};
            my $wrong = $refuses{$who} ? 'gone' : objection($who, $request);

            record($who, $request) if !$wrong;

            if ($who eq 'application' && $request->{id} eq $slow) {
                push @held, [ $socket, $wrong ];

            } else {
                respond($socket, $wrong);
            }
        }
    }
}


# parses a request if it is complete

sub request {
    my ($in) = @_;

    my ($head, $body) = split /\r\n\r\n/, $$in, 2;
    my ($length) = $head =~ /^Content-Length: (\d+)/mi;

    return undef if !defined $body || length $body < ($length // 0);

    $$in = '';

    my %field = map { lc($_) => $head =~ /^\Q$_\E: ([^\r]*)/mi ? $1 : '' }
        qw/ Content-Type X-Trove-Event X-Trove-Event-Id X-Trove-Signature /;

    return {
        type => $field{'x-trove-event'}, id => $field{'x-trove-event-id'},
        content_type => $field{'content-type'}, body => $body,
        signature => $field{'x-trove-signature'},
    };
}


# Returns an error if a test server does not accept a request.  Slack accepts
# messages only.  Other servers verify the signature, if they have a secret.

sub objection {
    my ($who, $request) = @_;

    if ($who eq 'slack') {
        my $message = eval { $json->decode($request->{body}) };

        return 'invalid_payload' if $request->{content_type}
            ne 'application/json' || ref $message ne 'HASH';

        $request->{text} = $message->{text} // '';

        return length $request->{text} ? '' : 'no_text';
    }

    my $key = $secret{ $stand_ins{$who} } // return '';
    my ($t, $mac) = $request->{signature} =~ /^t=(\d+),v1=([0-9a-f]{64})$/
        or return 'signature';

    return abs(time - $t) <= 300
        && $mac eq hmac_sha256_hex("$t.$request->{body}", $key)
        ? '' : 'signature';
}


sub record {
    my ($who, $request) = @_;

    open my $log, '>>:raw', "$dir/received.log" or die "received.log: $!";
    print $log $json->encode({ who => $who,
        map { $_ => $request->{$_} } qw/ type id body signature text / }), "\n";
    close $log;
}


sub respond {
    my ($socket, $wrong) = @_;

    my $body = $wrong ? "$wrong\n" : "ok\n";

    syswrite $socket, join "\r\n",
        $wrong eq 'gone' ? 'HTTP/1.1 410 Gone' :
            $wrong ? 'HTTP/1.1 400 Bad Request' : 'HTTP/1.1 200 OK',
        'Content-Type: text/plain', 'Content-Length: ' . length $body,
        '', $body;
}


# Starts NGINX, which writes to $dir only.  Returns its version.

sub start_nginx {
    my ($binary, $module) = built();
    my $about = about($binary);

    for (1 .. 5) {

        # ports reserved in this way are still available to NGINX

        my @held = map {
            IO::Socket::INET->new(LocalAddr => '127.0.0.1', ReuseAddr => 1)
                or fail("$@\n")
        } map { @$_ } values %listens;

        @port{ map { @$_ } values %listens } = map { $_->sockport } @held;

        spew("$_.conf", example($_)) for keys %listens;
        spew('nginx.conf', wrapper($module, $about));

        $nginx = spawn($binary, '-p', "$dir/", '-c', "$dir/nginx.conf",
            '-e', "$dir/error.log");

        wait_for(sub { -s "$dir/nginx.pid" || nginx_ended() });

        return $about =~ m{nginx/(\S+)} ? $1 : '?' if -s "$dir/nginx.pid";

        my $in_use = sprintf 'bind\(\) .*\(%d: ', EADDRINUSE;

        fail("NGINX failed to start:\n", slurp("$dir/output"))
            if $nginx || slurp("$dir/output") !~ $in_use;
    }

    fail("no free ports are available\n");
}


sub nginx_ended {
    undef $nginx if $nginx && waitpid($nginx, WNOHANG) != 0;

    return !$nginx;
}


# NGINX and the module set by util/run, or those built by "make"

sub built {
    if (length($ENV{TROVE_NGINX} // '')) {
        my $module = $ENV{TROVE_MODULE} // '';

        return ($ENV{TROVE_NGINX},
            length $module ? File::Spec->rel2abs($module) : '');
    }

    my $module = "$top/build/ngx_http_trove_module.so";
    my ($binary) = grep { -x } "$top/build/nginx",
        map { "$_/nginx" } File::Spec->path, '/usr/sbin', '/usr/local/sbin';

    fail("NGINX is not found: set TROVE_NGINX\n") if !$binary;

    return ($binary, $module) if -e $module;
    return ($binary, '') if $binary eq "$top/build/nginx";

    fail("$module is not found: run make\n");
}


sub about {
    my ($binary) = @_;

    waitpid spawn($binary, '-V'), 0;

    return slurp("$dir/output");
}


# an example with its addresses and files replaced; the test server of Slack
# does not support TLS, and all examples use the spool of spool.conf

sub example {
    my ($name) = @_;

    my $conf = slurp("$top/examples/$name.conf");
    my $server = qr/^upstream (\w+) \{\n\s*server \K[^\s{;]+(?=;$)/m;

    my @ports = map { $port{$_} } @{ $listens{$name} };

    $conf =~ s/^(\s*listen) \S+;$/"$1 127.0.0.1:" . (shift(@ports) \/\/ 0) . ';'/gem
        && $conf =~ s/$server/address($1)/ge
        or fail("examples/$name.conf contains no addresses to replace\n");

    $conf =~ s{https://slack/}{http://slack/};
    $conf =~ s{/var/log/nginx/trove\.log}{access.log};
    $conf =~ s{/var/log/nginx/}{}g;
    $conf =~ s{/var/lib/nginx/}{spool/};
    $conf =~ s{^trove_spool .*\n}{}m if $name eq 'subscriptions';

    return $conf;
}


# the rest of the configuration; NGINX would write to /var without the paths,
# and would not connect to subscribers on this host

sub wrapper {
    my ($module, $about) = @_;

    my $load = length $module ? "load_module \"$module\";\n" : '';
    my $user = $> == 0 ? 'user ' . nobody() . ";\n" : '';
    my $paths = join '', map { "    $_ temp;\n" } map { s/-/_/gr }
        $about =~ /--http-([a-z-]+-temp-path)=/g;

    return <<EOF;
$load${user}daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log info;

events {
}

http {
    log_format demo '\$time_iso8601 \$status verify=\$trove_verify '
                    'dedup=\$trove_dedup \$trove_event_type \$trove_event_id';

    access_log access.log demo;
    trove_subscription_allow 127.0.0.1;
$paths
    include gate.conf;
    include fanout.conf;
    include spool.conf;
    include subscriptions.conf;
}
EOF
}


sub nobody {
    my $gid = (getpwnam 'nobody')[3];

    return defined $gid ? 'nobody ' . getgrgid $gid : 'root';
}


sub random_secret { return 'trove-whsec-' . random(8) }


# random bytes in hexadecimal form

sub random {
    my ($n) = @_;

    open my $fh, '<:raw', '/dev/urandom' or fail("/dev/urandom: $!\n");
    sysread($fh, my $bytes, $n);

    return unpack 'H*', $bytes;
}


# runs a command in its own process group: it does not receive the signal of
# Ctrl-C, and is stopped by clean()

sub spawn {
    my (@command) = @_;

    defined(my $pid = fork) or fail("fork: $!\n");

    if ($pid == 0) {
        setpgrp;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/output";
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec { $command[0] } @command or print "$command[0]: $!\n";
        POSIX::_exit(127);
    }

    return $pid;
}


# removes all processes and files

sub clean {
    local $?;                                   # keep the exit status

    $SIG{$_} = 'IGNORE' for keys %signals;

    if ($nginx) {
        kill 'TERM', $nginx;
        wait_for(\&nginx_ended) or kill 'KILL', -$nginx;
    }

    if ($crew) {
        syswrite $control, "bye\n";
        close $control;
        waitpid $crew, 0;
    }

    remove_tree($dir) if defined $dir;
}


# called by the test servers if the main process was killed before clean()

sub abandoned {
    my ($pid) = slurp("$dir/nginx.pid") =~ /^(\d+)$/;

    kill 'KILL', -$pid if $pid;
    remove_tree($dir);
}


sub wait_for {
    my ($condition) = @_;

    my $end = time() + $PATIENCE;
    my $result;

    sleep 0.01 until $result = $condition->() or time() > $end;

    return $result;
}


sub fail {
    print STDERR 'demo: ', @_;
    exit 1;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or return '';
    local $/;

    return <$fh> // '';
}


sub spew {
    my ($name, $text, $mode) = @_;

    open my $fh, '>:raw', "$dir/$name" or fail("$dir/$name: $!\n");
    chmod $mode // 0644, $fh;
    print $fh $text;
    close $fh or fail("$dir/$name: $!\n");
}


1;
