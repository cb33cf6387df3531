package Trove::Nginx;

# A real nginx in a directory of its own.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use POSIX ();
use Time::HiRes qw/ time sleep /;

use Trove::Util qw/
    testdir reserve_port wait_until limit slurp spew alive children strays
    on_exit guard
/;

our @EXPORT = qw/
    nginx nginx_t conf_lines nginx_version configured sanitized
/;

my ($count, @all, %vars, %version, %options) = (0);

my $root = abs_path(dirname(__FILE__) . '/../../..');


=head1 FUNCTIONS

=over

=item nginx($conf, %options)

An nginx that is not started yet.  $conf is what stands inside http { }, or a
whole configuration where it has an "events" block: then %%GLOBALS%% has to
stand at its top, and %%HTTP%% inside http { }.

In both, %%PORT_0%% .. %%PORT_99%% become ports of this test, %%TESTDIR%% the
prefix, %%NAME%% the option NAME of "vars".  "listen ... http2;" is written
the new way where nginx wants that.

Options: workers => 1, main => "directives outside of http", vars => {},
files => { 'name' => 'content' } (in the prefix), env => { NAME => value },
log => 'info' (TROVE_LOG overrides), args => [] (more arguments),
modules => [] (names of t/modules; those in TROVE_LOAD as well),
unprivileged => 1 (root may not read what the mode of a file forbids).

=item nginx_t($conf, %options)

Runs "nginx -t" on such a configuration: (exit code, messages).

=item conf_lines($messages)

Of messages of nginx_t(), each with "in FILE:LINE" at its end: those lines.

=item nginx_version()

The version as a number, 1022001.

=item configured($option)

Whether it was configured with this option, as "--with-threads".

=item sanitized()

Whether this nginx is built with sanitizers: its memory says nothing then.

=cut

sub sanitized { return $ENV{TROVE_SAN} }


sub nginx {
    my ($conf, %opt) = @_;

    my $dir = testdir() . '/n' . $count++;

    my $self = bless {
        dir => $dir, conf => $conf, opt => \%opt, ports => {},
        expected => [], allowed => [], mark => 0,
    }, __PACKAGE__;

    mkdir $_ or die "mkdir $_: $!" for $dir, map { "$dir/$_" }
        qw/ logs san temp conf /;

    # the workers write to these as somebody else

    chmod 0755, $dir, "$dir/logs", "$dir/conf";
    chmod 01777, "$dir/san", "$dir/temp";

    $self->write($_, $opt{files}{$_}) for keys %{ $opt{files} || {} };

    push @all, $self;

    return $self;
}


# for the other parts: a placeholder of every configuration

sub set_var {
    my ($name, $value) = @_;

    $vars{$name} = $value;
}


sub nginx_t {
    my ($conf, %opt) = @_;

    my $self = nginx($conf, %opt);
    pop @all;

    my ($code, $text) = $self->test;
    $self->check_sanitizer;

    return ($code, $text);
}


sub conf_lines {
    my ($messages) = @_;

    return map {
        my ($file, $line) = @$_;
        (split /\n/, slurp($file))[$line - 1] // '';
    } map { / in (\S+):(\d+)$/ ? [ $1, $2 ] : () } split /\n/, $messages;
}


sub binary {
    return $ENV{TROVE_NGINX} if $ENV{TROVE_NGINX};
    return "$root/build/nginx" if -x "$root/build/nginx";

    # root's sbin directories are not in everybody's path

    for my $dir (split(/:/, $ENV{PATH}), qw{ /usr/sbin /usr/local/sbin }) {
        return "$dir/nginx" if -x "$dir/nginx";
    }

    die "no nginx found: set TROVE_NGINX";
}


sub module {
    return undef if $ENV{TROVE_STATIC};
    return $ENV{TROVE_MODULE} if $ENV{TROVE_MODULE};

    my $built = "$root/build/ngx_http_trove_module.so";

    # an nginx alone is one with the module linked in

    return -x "$root/build/nginx" && !-e $built ? undef : $built;
}


sub nginx_version {
    my $binary = binary();

    return $version{$binary} if $version{$binary};

    # a fork has a version of its own, and may print that of NGINX as well

    my $text = qx{"$binary" -V 2>&1};
    my ($major, $minor, $patch) = $text =~ m{\bnginx/(\d+)\.(\d+)\.(\d+)};

    if (!defined $major) {
        ($major, $minor, $patch) = $text =~ m{/(\d+)\.(\d+)\.(\d+)}
            or die "no version from $binary: $text";
    }

    return $version{$binary} = $major * 1000000 + $minor * 1000 + $patch;
}


sub configured {
    my ($option) = @_;

    my $binary = binary();

    $options{$binary} //= qx{"$binary" -V 2>&1};

    return $options{$binary} =~ /(?<!\S)\Q$option\E(?![\w-])/;
}


=back

=head1 METHODS

=over

=item dir(), port($n = 0), conf_file(), pid()

The prefix, the port that %%PORT_n%% stands for, the configuration file, the
pid of the master.

=item write($name, $content, $mode)

Writes a file in the prefix and returns its path.  Its mode is 0644, or 0600
where the name says that it holds a secret: nginx warns of what others may read.

=cut

sub dir { return $_[0]{dir} }
sub conf_file { return "$_[0]{dir}/nginx.conf" }


sub port {
    my ($self, $n) = @_;

    return $self->{ports}{ $n // 0 } //= reserve_port();
}


sub pid {
    my ($self) = @_;

    my ($pid) = slurp("$self->{dir}/nginx.pid") =~ /^(\d+)/;

    return $pid;
}


sub write {
    my ($self, $name, $content, $mode) = @_;

    my $path = "$self->{dir}/$name";

    spew($path, $content);
    chmod $mode // ($name =~ /secret|\.key$/ ? 0600 : 0644), $path;

    return $path;
}


# tests have their secrets in it

sub configure {
    my ($self, $text) = @_;

    my $umask = umask 077;
    spew($self->conf_file, $text);
    umask $umask;
}


sub render {
    my ($self) = @_;

    my ($conf, $opt, $dir) = @{$self}{qw/ conf opt dir /};

    if ($conf !~ /^\s*events\s*\{/m) {
        $conf = "%%GLOBALS%%\n" . ($opt->{main} // '') . "\n"
            . "events { worker_connections 4096; }\n"
            . "http {\n%%HTTP%%\n$conf\n}\n";
    }

    my $level = $ENV{TROVE_LOG} || $opt->{log} || 'info';
    my $workers = $opt->{workers} || 1;
    my $globals = "worker_processes $workers;\npid $dir/nginx.pid;\n"
        . "error_log $dir/logs/error.log $level;\n";

    if (my $module = module()) {
        $globals = "load_module $module;\n$globals";
    }

    # see t/modules

    for my $name (@{ $opt->{modules} || [] }, split / /, $ENV{TROVE_LOAD} // '')
    {
        my $dir = $ENV{TROVE_TEST_MODULES}
            or die "TROVE_TEST_MODULES is set by util/test\n";

        my ($ours, @rest) = split /(?<=\n)/, $globals;
        $globals = $ours =~ /^load_module/
            ? join '', $ours, "load_module $dir/$name.so;\n", @rest
            : "load_module $dir/$name.so;\n$globals";
    }

    if ($> == 0) {
        $globals .= reachable($dir) ? "user nobody nogroup;\n"
                                    : "user root root;\n";
    }

    # a new binary gets only those variables that are named here

    $globals .= "env $_;\n"
        for grep { exists $ENV{$_} } qw/ LD_PRELOAD LD_LIBRARY_PATH /;

    $globals .= "env $_;\n"
        for qw/ ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS /;

    my $http = join '', map { "${_}_temp_path $dir/temp/$_;\n" }
        'client_body', grep { !configured("--without-http_${_}_module") }
        qw/ proxy fastcgi scgi uwsgi /;

    $http .= "access_log $dir/logs/access.log;\n"
        unless $conf =~ /^\s{0,4}access_log\s/m;

    my %known = (
        GLOBALS => $globals, HTTP => $http, TESTDIR => $dir, %vars,
        %{ $opt->{vars} || {} },
    );

    $conf =~ s{%%(?:PORT_(\d+)|(\w+))%%}
              { defined $1 ? $self->port($1)
                           : $known{$2} // die "%%$2%% is unknown\n" }ge
        for 1 .. 2;

    $conf =~ s/(\blisten\s[^;]*?)\s+http2\b([^;]*;)/$1$2 http2 on;/g
        if nginx_version() >= 1025001;

    return $conf;
}


sub reachable {
    my ($dir) = @_;

    while ($dir ne '/') {
        return 0 unless (stat $dir)[2] & 01;
        $dir = dirname($dir);
    }

    return 1;
}


sub environment {
    my ($self) = @_;

    my $dir = $self->{dir};
    my %common = (log_path => "$dir/san/report", log_exe_name => 0);
    my %leaks = $self->{leaks} ? (detect_leaks => 0) : ();
    my $join = sub {
        my ($own, %more) = @_;
        return join ':', grep { length } $own // '',
            map { "$_=$more{$_}" } sort keys %more;
    };

    return (
        %ENV,
        ASAN_OPTIONS => $join->($ENV{ASAN_OPTIONS}, %common,
            detect_stack_use_after_return => 1, %leaks),
        UBSAN_OPTIONS => $join->($ENV{UBSAN_OPTIONS}, %common,
            print_stacktrace => 1),
        LSAN_OPTIONS => $join->($ENV{LSAN_OPTIONS},
            suppressions => "$root/util/lsan.supp", print_suppressions => 0),
        %{ $self->{opt}{env} || {} },
    );
}


# runs nginx with more arguments: (exit code, what it printed); as a daemon it
# returns when its sockets listen

sub run {
    my ($self, @args) = @_;

    my %env = $self->environment;
    my @command = (binary(), '-p', "$self->{dir}/", '-c', $self->conf_file,
        @{ $self->{opt}{args} || [] }, @args);

    unshift @command, 'setpriv', '--bounding-set',
        '-dac_override,-dac_read_search'
        if $self->{opt}{unprivileged} && $> == 0;

    my $out = "$self->{dir}/logs/output";

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        %ENV = ();
        $ENV{$_} = $env{$_} for grep { defined $env{$_} } keys %env;

        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>&', \*STDOUT;

        # lock sockets and pipes of the test have close-on-exec set by Perl

        exec { $command[0] } @command or POSIX::_exit(127);
    }

    my $done = wait_until { waitpid($pid, POSIX::WNOHANG()) == $pid } 30;
    my $status = $?;

    if (!$done) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
        return (-1, "nginx did not come back\n" . slurp($out));
    }

    my $text = slurp($out);

    # where it fails, NGINX leaves the pool of main() to the end of the process

    if ($status != 0 && $text =~ /\[emerg\]/) {
        unlink grep { slurp($_) =~ /ERROR: LeakSanitizer/ }
            glob "$self->{dir}/san/report.$pid";
    }

    return ($status & 127 ? 128 + ($status & 127) : $status >> 8, $text);
}


=item start(), try_start()

Starts; it listens when start() returns, and its workers run.  start() dies
with nginx's messages where that fails; try_start() returns (exit code,
messages) and expects no [emerg] in error.log to be declared.

=cut

sub start {
    my ($self) = @_;

    my ($code, $text) = $self->launch;

    die "nginx did not start ($code):\n$text" if $code != 0;

    return $self;
}


sub try_start {
    my ($self) = @_;

    my ($code, $text) = $self->launch;

    # the very lines that the caller gets to see

    if ($code != 0) {
        push @{ $self->{allowed} }, map { qr/\Q$_\E/ }
            map { s/^nginx: \[\w+\] //r } split /\n/, $text;
    }

    return ($code, $text);
}


sub launch {
    my ($self) = @_;

    my ($code, $text);

    guard("$self->{dir}/nginx.pid");
    on_exit { $self->destroy } unless $self->{hooked}++;

    for my $try (1 .. 10) {
        my $log = -s $self->log_file // 0;

        $self->configure($self->render);

        ($code, $text) = $self->run('-e', $self->log_file);

        last unless $code != 0 && $text =~ /bind\(\).*98: .*in use/
            && !$self->{started};

        # somebody outside of the tests has taken it: others, and a clean log

        $self->{ports} = {};
        truncate $self->log_file, $log;
    }

    return ($code, $text) if $code != 0;

    wait_until { $self->pid && alive($self->pid) } 10
        or return (-1, "no pid file\n" . $self->log);

    my $workers = $self->expected_workers;

    wait_until { $self->workers >= $workers || !alive($self->pid) } 20;

    $self->workers >= $workers
        or return (-1, "the workers do not run\n" . $self->log);

    $self->{started} = 1;

    return (0, $text);
}


sub expected_workers {
    my ($self) = @_;

    my $conf = slurp($self->conf_file);

    return 0 if $conf =~ /^\s*master_process\s+off/m;

    my ($workers) = $conf =~ /^\s*worker_processes\s+(\d+)/m;

    return $workers // 1;
}


=item test($conf)

Runs "nginx -t" on this or another configuration in this prefix: (exit code,
messages).  Leaves error.log alone.

=cut

sub test {
    my ($self, $conf) = @_;

    my $old = slurp($self->conf_file);

    local $self->{conf} = $conf // $self->{conf};

    my $text = $self->render;
    $text =~ s{\Q$self->{dir}/nginx.pid}{$self->{dir}/test.pid}g;
    $text =~ s{\Q@{[ $self->log_file ]}}{$self->{dir}/logs/test.log}g;
    $self->configure($text);

    # nginx -t leaves its cycle to the end of the process

    local $self->{leaks} = 1;

    my @result = $self->run('-t', '-e', "$self->{dir}/logs/test.log");

    $self->configure($old) if length $old;

    return @result;
}


=item stop($signal = 'QUIT')

Stops and waits for the end of the master and all workers; by force, and with
a failure of the test file, where that takes more than 20 seconds.

=item kill_all()

SIGKILL to the master and all its children, at once.

=item restart()

Stops, and starts again on the same prefix and ports.

=cut

sub stop {
    my ($self, $signal) = @_;

    my $pid = $self->pid or return $self;

    # it takes its pid file along where it ends by itself

    if (!alive($pid)) {
        push @{ $self->{problems} }, "the master $pid has crashed";
        kill 'KILL', strays($self->{dir});
        unlink "$self->{dir}/nginx.pid";
        return $self;
    }

    my %all = (children($pid), $pid => 'master');

    # before 1.25, workers that leave already say so of what TERM cuts off

    push @{ $self->{allowed} },
        map { qr/\[alert\] $_#\d+: .*(open socket #|aborting)/ } keys %all
        if ($signal // '') eq 'TERM';

    # the master waits for 3 seconds, in which a slow machine may do nothing

    push @{ $self->{allowed} },
        map { qr/worker process $_ exited on signal 9/ } keys %all
        if ($signal // '') =~ /^(TERM|INT)$/ && limit(1) > 1;

    kill $signal // 'QUIT', $pid;

    return $self if wait_until { !grep { alive($_) } keys %all } 20;

    my @left = grep { alive($_) } keys %all;

    push @{ $self->{problems} }, "did not stop by "
        . ($signal // 'QUIT') . ": " . join(', ', map { "$_ $all{$_}" } @left);

    kill 'TERM', $pid;
    wait_until { !grep { alive($_) } keys %all } 3;
    kill 'KILL', grep { alive($_) } keys %all;
    wait_until { !grep { alive($_) } keys %all } 5;

    return $self;
}


sub kill_all {
    my ($self) = @_;

    my $pid = $self->pid or return;

    # the master first: it must not start workers in place of those killed

    kill 'STOP', $pid;
    my @pids = ($pid, keys %{{ children($pid) }});
    kill 'KILL', @pids;

    wait_until { !grep { alive($_) } @pids } 10
        or die "could not kill @pids";

    unlink "$self->{dir}/nginx.pid";
}


sub restart {
    my ($self) = @_;

    return $self->stop->start;
}


=item reload($conf, main => "directives outside of http")

Has this or another configuration read.  True when new workers have taken over:
the old ones accept no more, but may still be at work (see old_workers(),
wait_old()).  False where nginx refused: then [emerg] has to be declared.

=cut

sub reload {
    my ($self, $conf, %opt) = @_;

    $self->{conf} = $conf if defined $conf;
    $self->{opt} = { %{ $self->{opt} }, %opt };
    $self->configure($self->render);

    my $master = $self->pid;
    my %old = map { $_ => 1 } keys %{{ children($master) }};
    my $log = -s $self->log_file // 0;
    my $expected = $self->expected_workers;
    my $done;

    kill 'HUP', $master;

    wait_until {
        return 1 if !alive($master);

        {
            local $self->{mark} = $log;
            return 1 if $self->lines_now(qr/ \[emerg\] /);
        }

        my %now = children($master);
        my @new = grep { !$old{$_} && is_worker($now{$_}) }
            keys %now;
        my @old = grep { $old{$_} && is_worker($now{$_}) }
            keys %now;

        return $done = @new >= $expected && !@old;
    } 20;

    return $done;
}


=item upgrade()

Replaces the binary on the fly: USR2, then QUIT to the old master.  True when
only the new one is left.

=cut

sub upgrade {
    my ($self) = @_;

    my $old = $self->pid;
    my %old = (children($old), $old => 'master');

    kill 'USR2', $old;

    wait_until {
        my $pid = $self->pid;
        $pid && $pid != $old && $self->workers >= $self->expected_workers;
    } 20 or return 0;

    kill 'QUIT', $old;

    return wait_until { !grep { alive($_) } keys %old } 20;
}


=item workers(), old_workers(), wait_old($seconds = 20)

The pids of the workers that accept connections, and of those that are shutting
down; waits until there are none of the latter.

=item kill_worker($pid)

SIGKILL to a worker (the first), waits until another took its place; the
[alert] about it is expected by that.

=cut

# by the title of its process; Angie adds the number of the configuration

sub is_worker { return $_[0] =~ /^(?:nginx|angie): worker process(?: #\d+)?$/ }


sub workers {
    my ($self) = @_;

    my $pid = $self->pid or return ();
    my %now = children($pid);

    my @pids = sort { $a <=> $b }
        grep { is_worker($now{$_}) } keys %now;

    return @pids;
}


sub old_workers {
    my ($self) = @_;

    my $pid = $self->pid or return ();
    my %now = children($pid);

    my @pids = sort { $a <=> $b }
        grep { $now{$_} =~ /worker process is shutting down/ } keys %now;

    return @pids;
}


sub wait_old {
    my ($self, $seconds) = @_;

    return wait_until { !$self->old_workers } $seconds // 20;
}


sub kill_worker {
    my ($self, $pid) = @_;

    my @workers = $self->workers;

    $pid //= $workers[0];
    push @{ $self->{allowed} },
        qr/worker process $pid exited on signal 9/;

    kill 'KILL', $pid or die "kill $pid: $!";

    return wait_until {
        my @now = $self->workers;
        !alive($pid) && @now >= @workers && !grep { $_ == $pid } @now;
    } 10;
}


=item log_file(), log(), log_lines($regex), wait_log($regex, $seconds = 10)

error.log, its lines that match, and the first such line as soon as there is
one.

=item mark()

log(), log_lines() and wait_log() look only at what is logged from here on.
The checks at the end of the test still see everything.

=item access_log(), read_log($name)

The content of access.log, of another file in the directory of the server.

log_lines() and these wait until all workers are asleep, or stopped: a client has
its answer before the request is logged.  What is done by threads is not waited
for.

=cut

sub log_file { return "$_[0]{dir}/logs/error.log" }
sub access_log { return $_[0]->read_log('logs/access.log') }


sub read_log {
    my ($self, $name) = @_;

    $self->settle;

    return slurp("$self->{dir}/$name");
}


sub settle {
    my ($self) = @_;

    my $master = $self->pid or return;

    wait_until {
        my %now = children($master);

        !grep { slurp("/proc/$_/stat") =~ /^\d+ \(.*\) [^STt] /s }
            keys %now, $master;
    } or Test::More::diag('the workers are busy, their logs may lack a line');
}


sub log {
    my ($self) = @_;

    open my $fh, '<:raw', $self->log_file or return '';
    seek $fh, $self->{mark}, 0;
    local $/;

    return <$fh> // '';
}


sub mark {
    my ($self) = @_;

    $self->{mark} = -s $self->log_file // 0;

    return $self;
}


sub log_lines {
    my ($self, $regex) = @_;

    $self->settle;

    return $self->lines_now($regex);
}


sub lines_now {
    my ($self, $regex) = @_;

    return grep { $_ =~ $regex } split /\n/, $self->log;
}


sub wait_log {
    my ($self, $regex, $seconds) = @_;

    return wait_until { ($self->lines_now($regex))[0] } $seconds;
}


=item expect($regex, ...)

Declares lines of [alert] or [emerg] that the test provokes.  Each must occur.

=item no_errors($regex, ...)

A test: neither [error] nor [crit] in error.log but for lines that match.

=cut

sub expect {
    my ($self, @regex) = @_;

    push @{ $self->{expected} }, @regex;

    return $self;
}


sub no_errors {
    my ($self, @but) = @_;

    my @lines = grep { my $line = $_; !grep { $line =~ $_ } @but }
        $self->log_lines(qr/ \[(?:error|crit)\] /);

    my $test = Test::More->builder;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $test->ok(!@lines, 'no errors logged')
        or $test->diag(map { "$_\n" } @lines[0 .. ($#lines > 20 ? 20
                                                                : $#lines)]);

    return !@lines;
}


=item rss($pid), pss($pid), sockets($pid)

Of a worker, the first by default: its memory in bytes (pss counts a shared
page only in part), and its open sockets.

=cut

sub rss {
    my ($self, $pid) = @_;

    return $self->memory('Rss', $pid);
}


sub pss {
    my ($self, $pid) = @_;

    return $self->memory('Pss', $pid);
}


sub memory {
    my ($self, $what, $pid) = @_;

    $pid //= ($self->workers)[0];

    my ($kb) = slurp("/proc/$pid/smaps_rollup") =~ /^$what:\s+(\d+) kB/m
        or die "no $what of $pid";

    return $kb * 1024;
}


sub sockets {
    my ($self, $pid) = @_;

    $pid //= ($self->workers)[0];

    opendir my $dh, "/proc/$pid/fd" or die "opendir /proc/$pid/fd: $!";

    return scalar grep { (readlink("/proc/$pid/fd/$_") // '') =~ /^socket:/ }
        readdir $dh;
}


=item problems()

Stops, and lists what must fail the test: alerts, crashes, open sockets,
reports of sanitizers, declared lines that did not occur.  done_testing() of
Trove makes tests of them; where a test does not come that far, its end does.

=cut

sub problems {
    my ($self) = @_;

    return if $self->{checked}++;

    $self->stop;

    local $self->{mark} = 0;

    my @lines = split /\n/, $self->log;
    my @problems = @{ $self->{problems} || [] };
    my (%seen, %said);

    for my $line (@lines) {
        next unless $line =~ / \[(?:alert|emerg)\] /
            || $line =~ /exited on signal|open socket #|zero size buf/
            || $line =~ /Sanitizer|runtime error:|\bleaked\b/;

        my ($expected) = grep { $line =~ $_ } @{ $self->{expected} };

        $seen{$expected} = 1 if defined $expected;

        next if defined $expected;
        next if grep { $line =~ $_ } @{ $self->{allowed} };
        next if $said{ $line =~ s/^\S+ \S+ //r }++;

        push @problems, $line;
    }

    push @problems, map { "declared, but not logged: $_" }
        grep { !$seen{$_} } @{ $self->{expected} };

    push @problems, $self->sanitizer;

    if (@problems > 30) {
        my $more = @problems - 30;
        @problems = (@problems[0 .. 29], "and $more more");
    }

    return @problems;
}


sub sanitizer {
    my ($self) = @_;

    return map { "$_:\n" . substr slurp($_), 0, 8000 }
        grep { -s $_ } glob "$self->{dir}/san/* $self->{dir}/logs/*Sanitizer*";
}


sub check_sanitizer {
    my ($self) = @_;

    my @reports = $self->sanitizer or return;

    my $test = Test::More->builder;
    $test->ok(0, 'no report of a sanitizer');
    $test->diag(@reports);
}


# all that were made, for the checks at the end

sub all { return @all }


sub destroy {
    my ($self) = @_;

    my $pid = $self->pid;

    return unless $pid && alive($pid);

    kill 'STOP', $pid;

    my @pids = ($pid, keys %{{ children($pid) }});

    kill 'KILL', @pids;
    wait_until { !grep { alive($_) } @pids } 5;
}


=back

=cut

1;
