#!/usr/bin/perl

# A subrequest that a script in a target makes, and that ends so that NGINX
# closes the connection of the client, took the worker with it: there is no such
# connection where events come out of the spool.  The event stayed leased, so
# that the next worker crashed as well.

use lib 't/lib';
use Trove;

my $module = '/usr/lib/nginx/modules/ngx_http_js_module.so';

# it fits the packaged NGINX only

Test::More::plan(skip_all => 'no njs for this NGINX')
    if $ENV{TROVE_STATIC} || Trove::Nginx::binary() !~ m{^/usr/};

-e $module or die "$module does not exist: run \"make test\"\n";

my $slow = backend(gate => 'slow');

my $nginx = nginx(spool_conf(
    retry => 'base=100ms max=100ms',
    http => 'js_import main from %%TESTDIR%%/main.js;',
    targets => [
        script => { conf => 'js_content main.target;' },
        slow => { to => $slow },
    ],
    server => 'location = /close { return 444; }',
), main => "load_module $module;", files => { 'main.js' => <<'EOJ' })->start;
function target(r) {
    r.subrequest('/close', () => { r.return(200) });
}

export default { target };
EOJ

my ($worker) = $nginx->workers;

sub deliveries {
    my ($what, $where) = @_;

    return join ' ', spool_sql($nginx->dir . '/trove.spool',
        "SELECT $what FROM deliveries WHERE $where");
}

my ($id) = spool_accepted($nginx, 1);

ok($id, 'accepted');
ok((wait_until { deliveries('attempts', "target = 'script'") >= 3 }),
    'the target is tried again');
is(deliveries('DISTINCT last_reason', "attempts > 0"), 'aborted',
    'what became of it, and of the other one that was under way');

my $said = spool_api($nginx, POST => 'test?target=script')->json;
is($said->{targets}[0]{error}, 'aborted', 'likewise of a test event');

$slow->open_gate('slow');
spool_api($nginx, POST => 'targets/pause?target=script');

ok((wait_until { deliveries('state', "target = 'slow'") eq 'delivered' }),
    'the other one gets it');
is(join(' ', $nginx->workers), $worker, 'the worker is still there');
ok($nginx->reload && $nginx->wait_old, 'and nothing keeps it from leaving');

done_testing();
