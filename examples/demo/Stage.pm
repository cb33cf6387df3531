package Stage;

# Copyright (C) 2026 the ngx_trove_module authors
#
# What the demo plays on: an NGINX with the configurations of examples/, and
# stand-ins for all that is behind it, in a process of its own.  All of it ends
# with the program that uses this, whichever way that ends.

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
    raise port secret open_up let_go refuse received nginx_ended stays directory
    fail slurp
/;

my $PATIENCE = 10;                              # seconds, for any one thing
my $SLOW = 'evt-00005a1d5445';                  # takes the application its time

# the upstreams of the examples, and whose secret they check with

my %stand_ins = (
    application => '', slack => '', pipeline => 'trove', agent_b => 'trove',
    offboarding => 'trove', acme => 'acme', bolt => 'bolt',
    warehouse => 'own', billing => 'own',
);

# where each example listens

my %listens = (
    gate => [ 'gate' ], fanout => [ 'fanout' ], spool => [ 'spool', 'api' ],
);

my $owner = $$;
my $top = abs_path(dirname(__FILE__) . '/../..');
my $json = JSON::PP->new->latin1->canonical;

my ($dir, $nginx, $crew, $control, $staying);
my ($received, $audited) = (0, 0);
my (%port, %secret, %listener);


# whichever way this ends, it ends by way of END

my %signals = (HUP => 1, INT => 2, PIPE => 13, TERM => 15);

for my $name (keys %signals) {
    $SIG{$name} = sub { exit($staying ? 0 : 128 + $signals{$name}) };
}

END { clean() if $$ == $owner }


# Starts it all; @closed: the stand-ins that are down.  Returns NGINX's version.

sub raise {
    my (@closed) = @_;

    # the workers of an NGINX that root has started are somebody else

    $dir = tempdir('trove-demo-XXXXXXXX', TMPDIR => 1);
    chmod 0711, $dir;

    $secret{$_} = random_secret() for grep { length } values %stand_ins;
    $secret{'trove-api'} = random_secret();
    spew("$_.secret", "$secret{$_}\n", 0600) for keys %secret;

    # for the workers to write

    mkdir "$dir/spool";
    chmod 01777, "$dir/spool";

    start_crew(@closed);

    return start_nginx();
}


sub port { return $port{$_[0]} }                # "gate", "fanout", ..

sub secret { return $secret{$_[0]} }

sub directory { return $dir }

sub stays { $staying = 1 }                      # a signal is its proper end


# a stand-in that was down listens from now on; who connects waits for it

sub open_up {
    my ($name) = @_;

    listen $listener{$name}, 16 or fail("listen: $!\n");
    syswrite $control, "open $name\n";
}


# the slow event gets its answer

sub let_go { syswrite $control, "go\n" }


# what this one gets from now on is gone for ever, says it; or not, any more

sub refuse {
    my ($name, $on) = @_;

    syswrite $control, ($on ? 'refuse' : 'accept') . " $name\n";
}


# What has arrived since the last call: { who, type, id, body, text }.  NGINX
# itself writes the audit; text is what Slack shows.

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


# The stand-ins, applications in their simplest form.

sub start_crew {
    my (@closed) = @_;

    my %closed = map { $_ => 1 } @closed;

    for my $name (keys %stand_ins) {

        # one that is bound but does not listen refuses connections

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

        # what it is told comes before what it gets

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


# a request that is there as a whole

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


# What one of them would not take: Slack, what is no message; the others, what
# is not signed with the secret that they know, by the rules of TroveFiles.

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
        map { $_ => $request->{$_} } qw/ type id body text / }), "\n";
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


# NGINX, with all that it writes in a directory of ours; returns its version.

sub start_nginx {
    my ($binary, $module) = built();
    my $about = about($binary);

    for (1 .. 5) {

        # held like this they are given to nobody, but NGINX can listen on them

        my @held = map {
            IO::Socket::INET->new(LocalAddr => '127.0.0.1', ReuseAddr => 1)
                or fail("$@\n")
        } 1 .. 4;

        @port{ map { @$_ } values %listens } = map { $_->sockport } @held;

        spew("$_.conf", example($_)) for keys %listens;
        spew('nginx.conf', wrapper($module, $about));

        $nginx = spawn($binary, '-p', "$dir/", '-c', "$dir/nginx.conf",
            '-e', "$dir/error.log");

        wait_for(sub { -s "$dir/nginx.pid" || nginx_ended() });

        return $about =~ m{nginx/(\S+)} ? $1 : '?' if -s "$dir/nginx.pid";

        my $in_use = sprintf 'bind\(\) .*\(%d: ', EADDRINUSE;

        fail("NGINX does not start:\n", slurp("$dir/output"))
            if $nginx || slurp("$dir/output") !~ $in_use;
    }

    fail("no port to listen on\n");
}


sub nginx_ended {
    undef $nginx if $nginx && waitpid($nginx, WNOHANG) != 0;

    return !$nginx;
}


# the one of util/run, or what "make" has left in build/

sub built {
    if (length($ENV{TROVE_NGINX} // '')) {
        my $module = $ENV{TROVE_MODULE} // '';

        return ($ENV{TROVE_NGINX},
            length $module ? File::Spec->rel2abs($module) : '');
    }

    my $module = "$top/build/ngx_http_trove_module.so";
    my ($binary) = grep { -x } "$top/build/nginx",
        map { "$_/nginx" } File::Spec->path, '/usr/sbin', '/usr/local/sbin';

    fail("there is no NGINX: set TROVE_NGINX\n") if !$binary;

    return ($binary, $module) if -e $module;
    return ($binary, '') if $binary eq "$top/build/nginx";

    fail("there is no $module: run make\n");
}


sub about {
    my ($binary) = @_;

    waitpid spawn($binary, '-V'), 0;

    return slurp("$dir/output");
}


# an example, with the addresses and files of here in place of its own; the
# stand-in of Slack speaks no TLS

sub example {
    my ($name) = @_;

    my $conf = slurp("$top/examples/$name.conf");
    my $server = qr/^upstream (\w+) \{\n\s*server \K[^\s{;]+(?=;$)/m;

    my @ports = map { $port{$_} } @{ $listens{$name} };

    $conf =~ s/^(\s*listen) \S+;$/"$1 127.0.0.1:" . (shift(@ports) \/\/ 0) . ';'/gem
        && $conf =~ s/$server/'127.0.0.1:' . $listener{$1}->sockport/ge
        or fail("examples/$name.conf has no addresses to be replaced\n");

    $conf =~ s{https://slack/}{http://slack/};
    $conf =~ s{/var/log/nginx/trove\.log}{access.log};
    $conf =~ s{/var/log/nginx/}{}g;
    $conf =~ s{/var/lib/nginx/}{spool/};

    return $conf;
}


# all else that NGINX needs; without the paths it would write to /var

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
$paths
    include gate.conf;
    include fanout.conf;
    include spool.conf;
}
EOF
}


sub nobody {
    my $gid = (getpwnam 'nobody')[3];

    return defined $gid ? 'nobody ' . getgrgid $gid : 'root';
}


sub random_secret {
    open my $fh, '<:raw', '/dev/urandom' or fail("/dev/urandom: $!\n");
    sysread $fh, my $bytes, 8;

    return 'trove-whsec-' . unpack 'H*', $bytes;
}


# in a group of its own, which Ctrl-C does not reach: it is stopped by clean()

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


# Nothing stays behind.

sub clean {
    local $?;                                   # has been decided on

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


# the stand-ins outlive one who was killed and could not do that

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
