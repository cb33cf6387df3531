#!/usr/bin/perl

# The order of the folders, as "make check" holds the sources to it.

use lib 't/lib';
use Trove;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;

my $root = abs_path(dirname(__FILE__) . '/..');
my $copy = testdir() . '/tree';

mkdir $copy or die "mkdir: $!";
system('cp', '-R', "$root/ngx_trove_module", $copy) == 0 or die 'cp';


# what lint-order says of a tree in which lines are added to files

sub order {
    my (%add) = @_;

    my %was;

    for my $file (keys %add) {
        my $path = "$copy/ngx_trove_module/$file";

        $was{$path} = slurp($path);
        spew($path, "$was{$path}\n$add{$file}\n");
    }

    my $out = qx{cd "$copy" && "$^X" "$root/util/lint-order" 2>&1};
    my $code = $? >> 8;

    spew($_, $was{$_}) for keys %was;

    return ($code, $out);
}

sub refused {
    my ($name, $file, $header, $message) = @_;

    my ($code, $out) = order($file => qq(#include "$header"));

    is($code, 1, "$name: refused");
    like($out, qr{^ngx_trove_module/\Q$file\E:\d+: .*\Q$header\E.*$message}m,
        "$name: the line is named");
}

my ($code, $out) = order();

is($out, '', 'nothing is against the order');
is($code, 0, 'it passes');

refused('core, upwards', 'core/zone/ngx_trove_zone.c',
    'ngx_http_trove_module.h', qr/http/);
refused('http, upwards', 'http/verify/ngx_http_trove_verify_module.c',
    'ngx_http_trove_delivery.h', qr/delivery/);
refused('a header, upwards', 'http/ngx_http_trove_ctx.h',
    'ngx_http_trove_dedup.h', qr/dedup/);
refused('dedup and verify', 'http/dedup/ngx_http_trove_dedup_module.c',
    'ngx_http_trove_verify_guard.h', qr/verify/);
refused('a private header', 'http/spool/ngx_http_trove_spool_module.c',
    'ngx_trove_sqlite_db.h', qr/private/);
refused('a header that does not exist', 'http/api/ngx_http_trove_api_args.c',
    'ngx_http_trove_nothing.h', qr//);

mkdir "$copy/ngx_trove_module/http/new" or die "mkdir: $!";
spew("$copy/ngx_trove_module/http/new/ngx_http_trove_new.c", '');

($code, $out) = order();
is($code, 1, 'a folder that is not in the list: refused');
like($out, qr{http/new/ngx_http_trove_new\.c}, 'the file is named');


# circles, by what objects need of one another

{
    my $c = testdir() . '/c';
    mkdir $c or die "mkdir: $!";

    my %source = (
        one => 'int two(void); int one(void) { return two(); }',
        two => 'int three(void); int two(void) { return three(); }',
        three => 'int three(void) { return 3; }',
    );

    my $compile = sub {
        for my $name (keys %source) {
            spew("$c/$name.c", $source{$name});
            system('cc', '-c', '-o', "$c/$name.o", "$c/$name.c") == 0
                or die 'cc';
        }

        my $out = qx{"$^X" "$root/util/lint-order" "$c"/*.o 2>&1};
        return ($? >> 8, $out);
    };

    ($code, $out) = $compile->();
    is($code, 0, 'no circle');
    is($out, '', 'nothing is said');

    $source{three} = 'int one(void); int three(void) { return one(); }';

    ($code, $out) = $compile->();
    is($code, 1, 'a circle of three: refused');
    like($out, qr/^3 files/m, 'it says how many');
    like($out, qr/\bthree -> one: one\b/, 'and which symbols');
}

done_testing();
