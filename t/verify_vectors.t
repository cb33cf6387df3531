#!/usr/bin/perl

# Every vector over a real request: first with the clock as it is, signed again
# relative to it, so that the verdict is the same.

use lib 't/lib';
use Trove;

use MIME::Base64 qw/ decode_base64 /;

my $vectors = vectors();

# a location per set of secrets and tolerance

my (%locations, $conf);

for my $v (@{ $vectors->{vectors} }) {
    my $key = join ' ', $v->{tolerance}, @{ $v->{secrets} };

    next if $locations{$key};

    my $uri = $locations{$key} = '/l' . keys %locations;

    $conf .= "location = $uri {\ntrove_verify on;\n"
        . join('', map { "trove_secret $_;\n" } @{ $v->{secrets} })
        . 'trove_tolerance ' . ($v->{tolerance} ? "$v->{tolerance}s" : 'off')
        . ";\nproxy_pass http://127.0.0.1:%%BACKEND%%;\n}\n";
}

my $backend = backend();
my $nginx = nginx(<<EOF, vars => { BACKEND => $backend->port });
    client_max_body_size 2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        large_client_header_buffers 4 32k;

        $conf
    }
EOF

$nginx->start;

for my $v (@{ $vectors->{vectors} }) {
    my $body = decode_base64($v->{body_base64});
    my $header = $v->{header};
    my $now = time();

    # vectors at the very edge of the tolerance would depend on the second

    my $age = 0;

    if (defined $header && $header =~ /(?:^|[ ,])t=([1-9]\d{8,9})(?!\d)/) {
        $age = $v->{now} - $1;
        my $t = $now - $age;
        $t -= 5 if $v->{tolerance} && $age == -$v->{tolerance};
        $t += 5 if $v->{tolerance} && $age == $v->{tolerance};
        $t += 5 if $v->{tolerance} && -$age == $v->{tolerance} + 1;
        my $old = $1;

        # what was right stays right: each MAC that was one is made again

        for my $secret (@{ $v->{secrets} }) {
            my $right = signature($secret, $body, $old);
            my $new = signature($secret, $body, $t);
            $header =~ s/$right/$new/g;
            $right = uc $right;
            $new = uc $new;
            $header =~ s/$right/$new/g;
        }

        $header =~ s/t=\Q$old\E/t=$t/g;
    }

    my $key = join ' ', $v->{tolerance}, @{ $v->{secrets} };
    my $before = $backend->count;
    my $response = post($nginx->port, $locations{$key}, $body,
        'Content-Type' => 'application/json',
        defined $header ? ('X-Trove-Signature' => $header) : ());

    if ($v->{expect} eq 'ok') {
        is($response->status, 200, "$v->{name}: passes");
        is($backend->count, $before + 1, "$v->{name}: reaches the application");
        ok($backend->last->{body} eq $body, "$v->{name}: byte for byte");

    } else {
        is($response->status, 400, "$v->{name}: refused");
        is($response->body, qq({"error":"$v->{expect}"}), "$v->{name}: why");
        is($backend->count, $before, "$v->{name}: goes no further");
    }
}

done_testing();
