# The harness itself: that what must fail a test file does, that what a test
# leaves behind is cleared away, and that its parts do what they say.

use Trove;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use Trove::Util qw/ alive strays /;

my $lib = abs_path(dirname(__FILE__) . '/lib');
my $serial = 0;


# a test file of its own: (exit code, output)

sub test_file {
    my ($code, $end) = @_;

    my $file = testdir() . '/child' . $serial++ . '.t';
    my $out = "$file.out";

    spew($file, <<'EOT' . $code . ($end // "\npass('a test');\ndone_testing();\n"));
use Trove;
my $nginx = nginx(<<'CONF')->start;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 204; }
    }
CONF
$| = 1;
print "# dir ", testdir(), " pid ", $nginx->pid, "\n";
EOT

    my $status = system("'$^X' '-I$lib' '$file' >'$out' 2>&1");

    return ($status >> 8, slurp($out));
}


sub fails {
    my ($name, $code, $regex, $end) = @_;

    my ($status, $output) = test_file($code, $end);

    isnt($status, 0, "$name fails the test file");
    like($output, $regex, "$name is told");
}


sub gone {
    my ($output, $name) = @_;

    my ($dir, $pid) = $output =~ /^# dir (\S+) pid (\d+)/m;

    ok(wait_until { !alive($pid) && !strays($dir) }, "$name: nginx is gone");
    ok(wait_until { !-e $dir }, "$name: the directory is gone");
}


my ($status, $output) = test_file('is(get($nginx->port, "/")->status, 204);');
is($status, 0, 'a test file that is right passes');
gone($output, 'passed');


# crashes, as nginx itself tells them

fails('a killed worker', <<'EOT', qr/exited on signal 9/);
my ($worker) = $nginx->workers;
kill 'KILL', $worker;
$nginx->wait_log(qr/exited on signal 9/);
EOT

fails('a crashed worker', <<'EOT', qr/exited on signal 11|AddressSanitizer: SEGV/);
my ($worker) = $nginx->workers;
kill 'SEGV', $worker;
$nginx->wait_log(qr/exited on signal 11|AddressSanitizer: SEGV/);
EOT

($status) = test_file('ok($nginx->kill_worker);');
is($status, 0, 'kill_worker() expects what it does');

# the second request is half there, for sure, once the first is answered

($status, $output) = test_file(<<'EOT');
my $conn = conn($nginx->port);
$conn->send(build('GET', '/'), 'GET /');
is($conn->response->status, 204);
ok($nginx->reload);
$nginx->stop('TERM');
EOT
is($status, 0, 'what stop(\'TERM\') cuts off is no leak') or diag($output);

fails('a refused reload', <<'EOT', qr/unknown directive "nonsense"/);
ok(!$nginx->reload('nonsense;'));
EOT

($status) = test_file(<<'EOT');
ok(!$nginx->reload('nonsense;'));
$nginx->expect(qr/unknown directive "nonsense"/);
EOT
is($status, 0, 'a declared [emerg] is none');

fails('a declared line that does not come', <<'EOT', qr/not logged: .*never/);
$nginx->expect(qr/never/);
EOT


# what would be hard to provoke is written into the log

for my $line ('[alert] 1#1: *1 open socket #3 left in connection 2',
              '[alert] 1#1: zero size buf in output t:0 r:0 f:0',
              '[info] 1#1: ==1==ERROR: AddressSanitizer: heap-use-after-free')
{
    my ($what) = $line =~ /(open socket|zero size|Sanitizer)/;

    fails("\"$what\"", <<"EOT", qr/$what/);
Trove::Util::append(\$nginx->log_file, "2026/01/01 00:00:00 $line\\n");
EOT
}

my $alert = 'Trove::Util::append($nginx->log_file, '
    . '"2026/01/01 00:00:00 [alert] 1#1: bad\n");';

fails('a crashed master', <<'EOT', qr/master/);
kill 'KILL', $nginx->pid;
Trove::Util::wait_until { !Trove::Util::alive($nginx->pid) };
EOT

fails('a report of a sanitizer', <<'EOT', qr/heap-buffer-overflow/);
spew($nginx->dir . '/san/report.1', "ERROR: heap-buffer-overflow\n");
EOT

fails('an alert where the test has a plan', $alert, qr/\[alert\] 1#1: bad/,
    "plan(tests => 1); ok(1);");

fails('an alert where the test dies', $alert, qr/bad.*oops|oops.*bad/s,
    "die 'oops';");

fails('an alert where the test exits', $alert, qr/bad/, "exit 0;");

fails('a worker that does not stop', <<'EOT', qr/did not stop/);
my ($worker) = $nginx->workers;
kill 'STOP', $worker;
$ENV{TROVE_SLOW} = 0.05;
EOT


# whatever happens to the test, nothing stays behind

($status, $output) = test_file('', "die 'oops';");
isnt($status, 0, 'a test that dies fails');
gone($output, 'died');

($status, $output) = test_file('my $b = backend(); print "# backend ",
    $b->{pid}, "\n";', 'kill KILL => $$;');
isnt($status, 0, 'a test that is killed fails');
gone($output, 'killed');
my ($backend_pid) = $output =~ /# backend (\d+)/;
ok(wait_until { !alive($backend_pid) }, 'killed: the backend is gone');

($status, $output) = test_file('', 'kill TERM => $$; sleep 10;');
isnt($status, 0, 'a test that is terminated fails');
gone($output, 'terminated');


# the parts, against one another

my $backend = backend();
my $nginx = nginx(<<'EOF', workers => 2)->start;
    client_max_body_size 10m;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location / { proxy_pass http://127.0.0.1:%%BACKEND%%; }
        location = /status { stub_status; }
    }
EOF

my $port = $nginx->port;
my $response = get($port, '/?status=503&body=no');

is($response->status, 503, 'status by the query');
is($response->body, 'no', 'body by the query');
is(get($port, '/', 'X-Backend' => 'status=404')->status, 404, 'by a header');

$backend->on('/two', status => 500, times => 2);
is(join(' ', map { get($port, '/two')->status } 1 .. 3), '500 500 200',
    'by on(), for a time');

my $body = event('exec.completed', remove => [ 'namespace' ]);
my ($id) = $body =~ /"id":"([^"]+)"/;

is(post_event($port, '/e', $body, secret => 's', t => 1700000000,
    chunked => 7)->status, 200, 'an event, chunked');
is($backend->last->{body}, $body, 'its body');
is($backend->count($id), 1, 'counted by its id');
is($backend->header($backend->last, 'x-trove-signature'),
    sign('s', $body, 1700000000), 'its signature');

is(get($port, '/?size=200000&chunked=1&pieces=7&pause=0.01')->body,
    'x' x 200000, 'an answer in pieces');
is(get($port, '/?drop=before')->status, 502, 'no answer');
ok(!get($port, '/?drop=half&size=1000')->complete, 'half an answer');

$backend->forget;
my @conns = many_start($port, map { build('GET', "/$_?gate=a") } 1 .. 60);
ok($backend->wait_count(60), '60 requests at once');
cmp_ok(stub_status($port)->{writing}, '>', 60, 'all in flight');
$backend->open_gate('a');
is_deeply([ map { $_->status } many_finish(@conns) ], [ (200) x 60 ],
    'answered when the gate opens');

$backend->forget;
my $conn = conn($port);
$conn->send(build('GET', '/1?gate=b'));
$backend->wait_count(1);
$conn->reset;
ok(wait_until { ($backend->aborted)[0] }, 'a client that left is recorded');

$conn = conn($port);
$conn->send(build('POST', '/', body => 'xx',
    headers => [ Expect => '100-continue' ]));
is($conn->response->status, 100, '100 Continue');
is($conn->response->status, 200, 'and the answer');
$conn->send(build('GET', '/1'), build('GET', '/2'));
is($conn->response->status, 200, 'pipelined');
is($conn->response->status, 200, 'pipelined, second');
$conn->send(build('GET', '/3', headers => [ Connection => 'close' ]));
is($conn->response->status, 200, 'the last');
ok($conn->wait_closed, 'closed by nginx');

my $h2 = h2($nginx->port(1));
$response = $h2->post('/?size=100000', 'y' x 300000, 'X-Foo' => 'bar');
is($response->status, 200, 'HTTP/2');
is(length $response->body, 100000, 'body over HTTP/2');
is($response->header('Content-Length'), 100000, 'header over HTTP/2');
is(length $backend->last->{body}, 300000, 'request body over HTTP/2');

$backend->forget;
my $stream = $h2->headers('POST', '/h2');
$h2->data($stream, 'abc');
$h2->send_rst($stream);
is($h2->response($h2->headers('GET', '/after', end => 1))->status, 200,
    'the connection goes on after RST_STREAM');
is($backend->count('/h2'), 0, 'nothing came of the stream that was reset');
$h2->drop;

ok($nginx->reload, 'reload');
ok($nginx->wait_old, 'the old workers go');
ok($nginx->kill_worker, 'a worker is replaced');
ok($nginx->upgrade, 'upgrade of the binary');
is(get($port, '/')->status, 200, 'answers afterwards');
cmp_ok($nginx->rss, '>', 500_000, 'memory of a worker');
cmp_ok($nginx->sockets, '>', 1, 'sockets of a worker');

$nginx->restart;
is(get($port, '/')->status, 200, 'answers after a restart, on the same port');

$nginx->kill_all;
$nginx->start;
is(get($port, '/')->status, 200, 'answers after SIGKILL and a start');

$nginx->mark;
$backend->stop;
is(get($port, '/')->status, 502, 'a backend that is down');
ok($nginx->wait_log(qr/\[error\] .*Connection refused/), 'is logged');
$backend->start;
is(get($port, '/')->status, 200, 'and up again');
$nginx->no_errors(qr/Connection refused/);

my ($code, $messages) = nginx_t('server { nonsense; }');
is($code, 1, 'nginx -t fails');
like($messages, qr/unknown directive "nonsense"/, 'and says why');
($code) = nginx_t('server { listen 127.0.0.1:%%PORT_0%%; }');
is($code, 0, 'nginx -t passes');


# a thread keeps the files of its process open when the main one is gone

my %exit = (x86_64 => 60, aarch64 => 93);
my $number = $exit{ (POSIX::uname())[4] } or die 'the number of exit()?';

my $pid = open my $half, '-|', $^X, '-Mthreads', '-e',
    "threads->create(sub { sleep 60 }); syscall($number, 0)"
    or die "perl: $!";

ok((wait_until { slurp("/proc/$pid/stat") =~ /\) Z / }), 'a thread is left');
ok(alive($pid), 'it is alive');
kill 'KILL', $pid;
ok((wait_until { !alive($pid) }), 'killed: it is not');

done_testing();
