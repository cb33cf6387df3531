#!/usr/bin/perl

# trove_dedup_zone state=: links and other things that are no files, which
# somebody who may write the directory has put where the master, which is root,
# opens, makes and replaces files.

use lib 't/lib';
use Trove;
use Trove::Plant;

my $backend = backend();

my $http = <<'EOF';
    %%ZONE%%

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /gate {
            trove_verify on;
            trove_secret s3cret;
            %%DEDUP%%
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $root = $> == 0;
my $nginx = nginx($http, vars => {
    ZONE => 'trove_dedup_zone zone=events:1m state=theirs/events.state;',
    DEDUP => 'trove_dedup zone=events;',
});
my $vars = $nginx->{opt}{vars};
my $dir = $nginx->dir;
my ($nobody, $nogroup) = (getpwnam 'nobody')[2, 3];

# a directory that the workers may write, and a file that is none of it

mkdir "$dir/theirs" or die "mkdir: $!";
mkdir "$dir/elsewhere" or die "mkdir: $!";
chown $nobody, $nogroup, "$dir/theirs" if $root;

my $outside = "$dir/elsewhere/passwd";

spew($outside, "root:x:0:0:root:/root:/bin/bash\n" x 300);
chmod 0640, $outside;

sub deliver {
    my ($body) = @_;

    my $r = post_event($nginx->port, '/gate', $body, secret => 's3cret');

    return !$r ? 'nothing' : $r->status == 200 && $r->body =~ /"duplicate"/
        ? 'duplicate' : $r->status;
}


# all there is of it, and beside it

sub look {
    return join "\n", slurp($outside), map {
        join ' ', $_, (lstat $_)[0 .. 5, 7, 9]
    } $outside, sort glob "$dir/elsewhere/*";
}


sub in_the_way {
    return join "\n", map { join ' ', $_, (lstat $_)[1, 2, 4, 7] }
        sort glob "$dir/theirs/{.*,*}";
}


my $file = "$dir/theirs/events.state";

my %plant = (
    planted($outside, "$dir/elsewhere"),
);

for my $suffix ('', '.tmp') {
    my $name = "$file$suffix";

    for my $what (sort keys %plant) {
        my ($plant, $message) = @{ $plant{$what} };

        next if $what eq 'a device' && !$root;

        $plant->($name) or die "$what: $!";

        my ($before, $way) = (look(), in_the_way());

        my ($code, $text) = $nginx->try_start;

        isnt($code, 0, "$what at events.state$suffix: not started");
        like($text . $nginx->log, $message, 'and what to do');
        is(look(), $before, 'nothing outside has changed');
        is(in_the_way(), $way, 'and nothing in the way');

        if ($suffix eq '') {
            ($code, $text) = $nginx->test;
            is($code, 1, 'nginx -t');
            like($text, $message, 'says so, too');
        }

        # a reload brings the zone: in memory, until somebody has mended it

        my ($zone, $dedup) = @$vars{qw/ ZONE DEDUP /};

        @$vars{qw/ ZONE DEDUP /} = ('', '');
        $nginx->start;
        @$vars{qw/ ZONE DEDUP /} = ($zone, $dedup);

        $nginx->expect(qr/state file refused: "\S+" $message/);
        $nginx->mark;

        # an [emerg] is no refusal here

        my ($old) = $nginx->workers;
        $nginx->reload($http);
        ok(wait_until { my @now = $nginx->workers;
            @now == 1 && $now[0] != $old }, 'reload: a new worker');
        ok($nginx->log_lines(qr/is in memory until a restart/), 'an error');

        my $body = event();
        is(deliver($body), 200, 'it works');
        is(deliver($body), 'duplicate', 'in memory');
        is(look(), $before, 'nothing outside has changed');

        $nginx->stop;
        -d $name && !-l $name ? rmdir $name : unlink $name;
    }
}


# a table that has another name could be that of another instance

$nginx->start;
is(deliver(my $known = event()), 200, 'a file of our own');
$nginx->stop;

rename $file, "$dir/elsewhere/other.state" or die "rename: $!";
link "$dir/elsewhere/other.state", $file or die "link: $!";
{
    my $before = look();
    my ($code, $text) = $nginx->try_start;

    isnt($code, 0, 'a hard link to a state file: not started');
    is(look(), $before, 'which is left alone');
}

unlink "$dir/elsewhere/other.state";
$nginx->start;
is(deliver($known), 'duplicate', 'with one name it is used');
$nginx->stop;


# a link on the way to it: the operator's, or somebody else's

symlink "$dir/theirs", "$dir/link" or die "symlink: $!";
$vars->{ZONE} =~ s/theirs/link/;
$nginx->start;
is(deliver($known), 'duplicate', 'by a directory that is a link');
$nginx->stop;

symlink "../link/../theirs/.", "$dir/elsewhere/again" or die "symlink: $!";
$vars->{ZONE} =~ s/link/elsewhere\/again/;
$nginx->start;
is(deliver($known), 'duplicate', 'of several links, with dots');
$nginx->stop;

symlink "$dir/loop", "$dir/loop" or die "symlink: $!";
$vars->{ZONE} =~ s{state=.*/}{state=loop/};
isnt(($nginx->test)[0], 0, 'not by one that leads to itself');

if ($root) {
    system('chown', '-h', 'nobody', "$dir/link") == 0 or die 'chown';
    $vars->{ZONE} =~ s{state=.*/}{state=link/};

    my ($code, $text) = $nginx->try_start;

    isnt($code, 0, 'nor by one that another user has made');
    like($text, qr/is behind a symbolic link of another user/, 'and why');
}

done_testing();
