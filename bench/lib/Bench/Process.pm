package Bench::Process;

# The measured processes: NGINX and other servers.  All of them are ended when
# the benchmark ends, also after an error.

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Socket::INET;
use POSIX ();

use Bench::Machine qw/ nginx_binary /;
use Trove::Util qw/
    testdir reserve_port wait_until slurp spew children on_exit guard
/;

our @EXPORT_OK = qw/ start_nginx start_server stop /;

my ($count, $hooked, %running) = (0);


=head1 FUNCTIONS

Functions that start a server return a hash: "pid" of the measured process,
"port", "dir", and "stop", the pid of the process to end.

=over

=item start_nginx(conf => $text, modules => [], cpu => $cpu, workers => 1,
connections => 1024, vars => {}, returns => 0, under => [])

Starts NGINX.  $text is put into http { }.  In it %%PORT%%, %%DIR%% and the
names of "vars" are replaced.  "pids" are those of all workers, "pid" is the
first one.  With "returns", free memory is returned to the kernel, as it is by
default.  "under" is a command that runs NGINX, which is a single process then.

=cut

sub start_nginx {
    my (%opt) = @_;

    my $dir = directory();
    my %self = (dir => $dir, port => reserve_port());
    my @under = @{ $opt{under} || [] };

    my $conf = join '', map { "load_module $_;\n" } @{ $opt{modules} };

    my $workers = $opt{workers} // 1;
    my $connections = $opt{connections} // 1024;

    $conf .= "daemon off;\nworker_processes $workers;\npid $dir/pid;\n";
    $conf .= 'worker_cpu_affinity ' . sprintf("%b", 1 << $opt{cpu}) . ";\n"
        if defined $opt{cpu};
    $conf .= "master_process off;\n" if @under;
    $conf .= "user root root;\n" if $> == 0;
    $conf .= "error_log $dir/error.log error;\n"
        . "events { worker_connections $connections; }\nhttp {\n$opt{conf}\n}\n";

    spew("$dir/nginx.conf", replace($conf, %{ $opt{vars} || {} }, DIR => $dir,
        PORT => $self{port}));

    guard("$dir/pid");

    local %ENV = (%ENV, $opt{returns} ? (MALLOC_TRIM_THRESHOLD_ => 128 * 1024,
        MALLOC_MMAP_THRESHOLD_ => 128 * 1024) : ());

    $self{stop} = spawn("$dir/output", @under, nginx_binary(), '-p', "$dir/",
        '-c', "$dir/nginx.conf", '-e', "$dir/error.log");

    wait_until {
        slurp("$dir/pid")
            && (@under || keys %{{ children($self{stop}) }} >= $workers)
            || !running(\%self)
    } 30;

    $self{pids} = [ @under ? $self{stop}
        : sort { $a <=> $b } keys %{{ children($self{stop}) }} ];

    ($self{pid}) = @{ $self{pids} };

    die "NGINX does not start:\n", slurp("$dir/output"),
        slurp("$dir/error.log")
        unless $self{pid} && running(\%self);

    return \%self;
}


sub replace {
    my ($text, %vars) = @_;

    $text =~ s/%%(\w+)%%/$vars{$1} \/\/ die "%%$1%% is unknown\n"/ge;

    return $text;
}


=item start_server($command, env => {}, cpu => $cpu)

Starts another server.  %%PORT%% is replaced in the words of $command.

=cut

sub start_server {
    my ($command, %opt) = @_;

    my $dir = directory();
    my $port = reserve_port();
    my @command = map { replace($_, DIR => $dir, PORT => $port) } @$command;

    unshift @command, 'taskset', '-c', $opt{cpu} if defined $opt{cpu};

    guard("$dir/pid");

    local %ENV = (%ENV, %{ $opt{env} || {} });

    my $pid = spawn("$dir/output", @command);

    spew("$dir/pid", "$pid\n");

    my %self = (dir => $dir, port => $port, pid => $pid, stop => $pid);

    wait_until {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
            || !running(\%self)
    } 30;

    die "@command does not start:\n", slurp("$dir/output")
        unless running(\%self);

    return \%self;
}


=item stop(@servers)

=cut

sub stop {
    my @all = @_;
    my @servers = grep { running($_) } @all;

    kill 'TERM', map { $_->{stop} } @servers;

    for my $server (@servers) {
        next if wait_until { !running($server) } 10;

        kill 'KILL', $server->{stop}, keys %{{ children($server->{stop}) }};
        waitpid $server->{stop}, 0;
        delete $running{ $server->{stop} };
    }

    # the pids may be reused by other processes

    unlink map { "$_->{dir}/pid" } @all;
}


sub directory {
    my $dir = testdir() . '/' . $count++;

    mkdir $dir or die "mkdir $dir: $!";

    return $dir;
}


sub spawn {
    my ($output, @command) = @_;

    on_exit { stop(values %running) } unless $hooked++;

    # If the end of the heap is free, glibc returns it to the kernel, and soon
    # requests it again.  Whether this happens is a matter of chance, and it
    # costs more than what is measured.  So free memory is not returned.

    local %ENV = (
        (map { ("MALLOC_${_}_" => 32 * 1024 * 1024) }
            qw/ TRIM_THRESHOLD MMAP_THRESHOLD /),
        %ENV,
    );

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $output;
        open STDERR, '>&', \*STDOUT;

        exec { $command[0] } @command or POSIX::_exit(127);
    }

    $running{$pid} = { stop => $pid, dir => $output =~ s{/[^/]*\z}{}r };

    return $pid;
}


sub running {
    my ($server) = @_;

    my $pid = $server->{stop};

    return 0 unless $running{$pid};
    return 1 if waitpid($pid, POSIX::WNOHANG()) == 0;

    delete $running{$pid};

    return 0;
}


=back

=cut

1;
