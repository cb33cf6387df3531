#!/usr/bin/perl

# What "nginx -t" says about the configuration of subscriptions: the directive, the
# place, and what to do.

use lib 't/lib';
use Trove;
use Trove::Subscription;

my $audit = backend();

# without() leaves out a directive of the location of subscribers

sub conf {
    my (%opt) = @_;

    return subscription_conf(targets => [ audit => { to => $audit } ], %opt);
}


sub without {
    my ($directive, $instead) = @_;

    my $conf = conf();

    $conf =~ s/^(\s*)\Q$directive\E\b[^;]*;/$1@{[ $instead \/\/ '' ]}/m
        or die "no $directive";

    return $conf;
}


my ($code, $text) = nginx_t(conf());
is($code, 0, 'valid') or diag $text;
unlike($text, qr/\[(?:warn|emerg)\]/, 'without a warning');

for my $case (
    [ 'no key', without('trove_subscription_key'),
        qr/requires a key .* add "trove_subscription_key file:PATH" to http in /,
        qr/^\s*trove_subscriptions / ],
    [ 'two keys', conf(http => 'trove_subscription_key file:x;'),
        qr/"trove_subscription_key" directive is duplicate/ ],
    [ 'a key in the configuration',
        without('trove_subscription_key', 'trove_subscription_key abc;'),
        qr/"trove_subscription_key" requires a file, specify "file:PATH"/ ],
    [ 'a missing file',
        without('trove_subscription_key', 'trove_subscription_key file:no;'),
        qr/no" in "trove_subscription_key" failed \(2: / ],
    [ 'no resolver', without('resolver'),
        qr/"\/deliver" .* requires a resolver, add "resolver ADDRESS;" to it/,
        qr/^\s*trove_subscriptions / ],
    [ 'certificates are not verified', without('proxy_ssl_verify'),
        qr/must be verified, add "proxy_ssl_verify on;" to location "\/deliver"/,
        qr/^\s*trove_subscriptions / ],
    [ 'nor on purpose',
        without('proxy_ssl_verify', 'proxy_ssl_verify off;'),
        qr/must be verified, add "proxy_ssl_verify on;"/ ],
    [ 'no name in TLS', without('proxy_ssl_server_name'),
        qr/must be verified, add "proxy_ssl_server_name on;"/ ],
    [ 'no location', without('trove_subscriptions',
        'trove_subscriptions /nowhere;'), qr/"\/nowhere"/ ],
    [ 'the sender waits', without('trove_fanout_mode', 'trove_fanout_mode wait;'),
        qr/"trove_subscriptions" in location "[^"]+" requires /,
        qr/trove_subscriptions / ],
    [ 'by default, too', without('trove_fanout_mode'),
        qr/"trove_subscriptions" in location "[^"]+" requires / ],
    [ 'twice', conf(events => 'trove_subscriptions /deliver;'),
        qr/"trove_subscriptions" directive is duplicate/ ],
    [ 'a location that is open', without('internal'), qr/"\/deliver".*internal/ ],
    map({ [ $_->[0], conf(parameters => $_->[0]), $_->[1],
        qr/trove_subscriptions / ] }
        map({ [ "max_inflight=$_",
            qr/invalid number "max_inflight=$_" .* must be from 1 to 1000/ ] }
            '', 0, -1, 1001, '1k', '99999999999999999999'),
        map({ [ "disable_after=$_",
            qr/invalid time "disable_after=$_" .* from 1s to 365d, or "off"/ ] }
            '', 0, '999ms', '366d', '-1s', 'on', '9999999999999999999d'),
        map({ [ $_, qr/unknown or duplicate parameter "[^"]+" .* expected "URI / ]
            } 'max_inflight=1 max_inflight=2', 'optional', 'events=file.written',
            'disable_after=1d disable_after=2d', 'disable_after=off disable_after=1d')
        ),
    [ 'nothing is allowed', conf(allow => '""'),
        qr/invalid value "" in "trove_subscription_allow", it must not be empty/ ],
    map({ [ "allow $_->[0]", conf(allow => $_->[0]),
        qr/invalid value "\Q$_->[0]\E" in "trove_subscription_allow", it $_->[1]/,
        qr/trove_subscription_allow / ] }
        [ '10.0.0.1/16', 'has bits set beyond the prefix' ],
        [ '10.0.0.0/33', 'has an invalid number of bits' ],
        [ '10.0.0.0/', 'has an invalid number of bits' ],
        [ '10.0.0.0/08', 'has an invalid number of bits' ],
        [ 'fc00::/129', 'has an invalid number of bits' ],
        [ '10.1', 'must be an address' ],
        [ '127.0.0.01', 'must be an address' ],
        [ '[::1]', 'must be' ],
        [ '::1%lo', 'must be' ],
        [ 'host:443', 'must be an address' ],
        [ 'https://host', 'must be an address' ],
        [ '*', 'must have a name after' ],
        [ '*.', 'must have a name after' ],
        [ '*host', 'must have a name after' ],
        [ 'a.*.b', 'must be a host name' ],
        [ '.host', 'must not begin or end with a dot' ],
        [ 'host.', 'must not begin or end with a dot' ],
        [ 'a..b', 'must be a host name' ],
        [ 'hóst', 'must be a host name' ]),
) {
    my ($name, $conf, $message, $place) = @$case;

    ($code, $text) = nginx_t($conf);

    isnt($code, 0, "$name: refused");
    like($text, qr/\[emerg\] .*$message/, "$name: the message");
    like(join("\n", conf_lines($text)), $place, "$name: the place") if $place;
}


# what is valid

for my $allow ('0.0.0.0/0', '::/0', '10.20.0.0/16 hooks.internal *.corp.example',
    'HOOKS.Internal', '10.0.0.1 fd00::/8 ::1')
{
    ($code, $text) = nginx_t(conf(allow => $allow));

    is($code, 0, "allow $allow") or diag $text;
}

($code, $text) = nginx_t(without('trove_subscription_allow'));
is($code, 0, 'nothing beyond the public Internet') or diag $text;

my $inherits = conf(http => 'resolver 127.0.0.1; proxy_ssl_verify on; '
    . 'proxy_ssl_server_name on;');

# in the location, each has a line of its own

$inherits =~ s/^\s*$_ [^;]*;\n//m or die "no $_"
    for qw/ resolver proxy_ssl_verify proxy_ssl_server_name /;

($code, $text) = nginx_t($inherits);
is($code, 0, 'directives of http are inherited') or diag $text;


for my $parameters ('max_inflight=1', 'max_inflight=1000', 'disable_after=off',
    'disable_after=1s', 'disable_after=365d max_inflight=2')
{
    ($code, $text) = nginx_t(conf(parameters => $parameters));

    is($code, 0, $parameters) or diag $text;
}


# what is worth a warning

($code, $text) = nginx_t(without('proxy_pass'));
is($code, 0, 'no handler in the location');
like($text, qr/\[warn\] .*"\/deliver" .*has no content handler/,
    'no handler: a warning');

my $conf = conf();

chmod 0644, testdir() . '/subscriptions.key' or die "chmod: $!";

($code, $text) = nginx_t($conf);
is($code, 0, 'keys that others may read');
like($text, qr/\[warn\] .*subscriptions\.key/, 'a warning');

done_testing;
