#!/usr/bin/perl

# trove_dedup_zone state=: SIGKILL of everything while NGINX starts or changes
# the size, and disks that are full.

use lib 't/lib';
use Trove;

use POSIX ();
use Time::HiRes qw/ sleep time /;
use Trove::Util qw/ strays on_exit /;

my $backend = backend();
my $rounds = $ENV{TROVE_CHAOS} ? 200 : 10;

my $http = <<'EOF';
    trove_dedup_zone zone=events:%%SIZE%% state=%%STATE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            trove_dedup zone=events lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $nginx = nginx($http, vars => { SIZE => '1m', STATE => 'events.state' });
my $vars = $nginx->{opt}{vars};
my $dir = $nginx->dir;
my $file = "$dir/events.state";
my @done = map { event() } 1 .. 10;

sub deliver {
    my ($body) = @_;

    my $r = post_event($nginx->port, '/gate', $body, secret => 's3cret');

    return !$r ? 'nothing' : $r->status == 200 && $r->body =~ /"duplicate"/
        ? 'duplicate' : $r->status;
}


sub unknown { return grep { deliver($_) ne 'duplicate' } @done }
sub others { return grep { $_ ne $file } glob "$file*" }


# all processes of it, whoever is whose parent by now

sub kill_everything {
    wait_until { my @pids = strays($dir); kill 'KILL', @pids; !@pids }
        or die 'it cannot be killed';

    unlink "$dir/nginx.pid";
}


# starts it, and kills all of it after some time, wherever it is by then

sub killed_start {
    my ($after) = @_;

    spew($nginx->conf_file, $nginx->render);

    defined(my $pid = fork) or die "fork: $!";

    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec(Trove::Nginx::binary(), '-p', "$dir/", '-c', $nginx->conf_file,
            '-e', $nginx->log_file) or POSIX::_exit(127);
    }

    sleep($after);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    kill_everything();
}


# how long a start takes, to be killed somewhere in the middle

my $began = time();
$nginx->start;
my $took = time() - $began;

is(deliver($_), 200, 'new') for @done;
$nginx->stop;

my %wrong;

for my $round (1 .. $rounds) {

    # with another size it has more to do: a whole file

    $vars->{SIZE} = (qw/ 1m 2m 512k 3m /)[$round % 4];

    killed_start(rand($took)) for 1 .. 3;

    $nginx->start;
    $wrong{unknown} += unknown();
    $wrong{left}{$_} = 1 for others();
    $wrong{size} += -s $file != { '1m' => 1048576, '2m' => 2097152,
        '512k' => 524288, '3m' => 3145728 }->{ $vars->{SIZE} };

    # what is completed now has to be known in the next round

    push @done, my $body = event();
    $wrong{new} += deliver($body) ne '200';
    kill_everything();
}

is_deeply(\%wrong, { unknown => 0, size => 0, new => 0 },
    'killed while it starts: all is known, nothing is left over');


# the same while the size changes, with events that are being processed

%wrong = ();
$began = time();
$nginx->start;

for my $round (1 .. $rounds) {
    my @bodies = map { event() } 1 .. 5;

    $vars->{SIZE} = (qw/ 4m 2m 6m 1m /)[$round % 4];
    spew($nginx->conf_file, $nginx->render);

    my @conns = many_start($nginx->port,
        map { event_request('/gate', $_, secret => 's3cret') } @bodies);

    kill 'HUP', $nginx->pid;

    for my $i (0 .. $#bodies) {
        my $r = $conns[$i]->response;

        if ($r && $r->status == 200) {
            push @done, $bodies[$i];
        }

        $conns[$i]->close;
    }

    sleep(rand(0.2));
    kill_everything();

    $nginx->start;
    $wrong{unknown} += unknown();
    $wrong{left}{$_} = 1 for others();
}

is_deeply(\%wrong, { unknown => 0 },
    'killed while the size changes: all is known, nothing is left over');
cmp_ok(scalar @done, '>', 10 + 3 * $rounds, 'and enough was done');
$nginx->stop;


# No room: a limit for files, which can be had everywhere, and a full disk,
# where a file system in memory can be mounted.

sub no_room {
    my ($error) = @_;

    my $why = qr/posix_fallocate\(\) of state file ".*" failed \($error: /;

    my ($code, $text) = $nginx->try_start;
    isnt($code, 0, "no room ($error): it does not start");
    like($text . $nginx->log, $why, 'and why');
}


sub no_room_for_more {
    my ($error) = @_;

    my $size = -s $file;

    $vars->{SIZE} = '2m';
    $nginx->mark;
    ok($nginx->reload($http), 'reload with another size');
    ok($nginx->log_lines(
        qr/\[error\].*was not resized from 1048576 bytes, .* failed \($error: /),
        "which there is no room for ($error)");
    is(scalar(unknown()), 0, 'all is known');
    is(-s $file, $size, 'the file is as it was');
    push @done, my $late = event();
    is(deliver($late), 200, 'and works');

    $nginx->kill_all;
    no_room($error);
    is(join(' ', others()), '', 'and leaves nothing');

    $vars->{SIZE} = '1m';
    $nginx->start;
    is(scalar(unknown()), 0, 'with the old size all is known');
}


sub limit_files {
    my ($bytes) = @_;

    system('prlimit', '--pid', $$, "--fsize=$bytes:") == 0
        or die "prlimit failed";
}


$vars->{SIZE} = '1m';
$vars->{STATE} = 'limit.state';
$file = "$dir/limit.state";
@done = map { event() } 1 .. 10;

limit_files(1000000);
no_room(27);
is(join(' ', glob "$file*"), '', 'and leaves nothing');
limit_files(1048576 + 4096);
$nginx->start;
is(deliver($_), 200, 'new') for @done;
no_room_for_more(27);
limit_files('unlimited');
$nginx->stop;

my $disk = "$dir/disk";

mkdir $disk or die "mkdir: $!";

if ($> == 0 && system("mount -t tmpfs -o size=1536k trove '$disk' 2>/dev/null")
    == 0)
{
    on_exit { system("umount -l '$disk'") };
    full_disk();
}


sub fill {
    open my $fh, '>', "$disk/filler" or die "open: $!";
    1 while syswrite $fh, "\0" x 4096;
    close $fh;
}


sub full_disk {
    $vars->{STATE} = 'disk/events.state';
    $file = "$disk/events.state";
    @done = map { event() } 1 .. 10;

    $vars->{SIZE} = '4m';
    no_room(28);
    is(join(' ', glob "$disk/*"), '', 'and leaves nothing');

    $vars->{SIZE} = '1m';
    $nginx->start;
    is(deliver($_), 200, 'new') for @done;

    # to be filled up later does no harm

    fill();
    ok(-s "$disk/filler" > 0 && -s "$disk/filler" < 1048576, 'full');

    my $new = 0;

    for (1 .. 300) {
        push @done, my $body = event();
        $new += deliver($body) eq '200';
    }

    is($new, 300, 'it goes on');
    no_room_for_more(28);
    $nginx->stop;

    # a hole in it, as a copy may have, is filled before it is used

    system('fallocate', '-p', '-o', 8192, '-l', 65536, $file) == 0
        or die 'fallocate failed';
    fill();

    my $bytes = slurp($file);

    no_room(28);
    ok(slurp($file) eq $bytes, 'and changes nothing');

    unlink "$disk/filler";
    $nginx->start;
    cmp_ok(scalar(unknown()), '<', @done / 2, 'with room it starts');
    is((stat $file)[12] * 512, 1048576, 'without a hole now');
    $nginx->stop;
}

done_testing();
