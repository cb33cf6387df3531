package Bench::Event;

# Events of a given size.  The same arguments give the same event.

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT_OK = qw/ event styles /;

my %fill = (prose => \&prose, log => \&log_lines, members => \&members);

my @words = qw/
    the report of a new customer was written by an agent that reads what others
    have left in this workspace and says so in plain words because nobody wants
    to look at numbers without knowing where they come from or why there should
    be more next week than there were before
/;

my @levels = qw/ INFO WARN ERROR DEBUG /;


=head1 FUNCTIONS

=over

=item styles()

The kinds of content: "prose", words with a few characters outside of ASCII;
"log", lines with many escapes; "members", many small members of all types.

=cut

sub styles { return qw/ prose log members / }


=item event($style, $size)

An event of that many bytes, with the id "evt-000000000000".

=cut

sub event {
    my ($style, $size) = @_;

    my ($before, $after) = style_is_text($style)
        ? ('{"command":"pytest -q","exit_code":1,"duration_ms":4213,'
            . '"stdout":"', '"}}')
        : ('{', '}}');

    $before = '{"id":"evt-000000000000","type":"exec.completed",'
        . '"api_version":"2026-04-30","workspace_id":"ws-abc",'
        . '"namespace":"acme","created_at":"2026-11-23T06:02:11Z","data":'
        . $before;

    my $room = $size - length($before) - length $after;

    die "an event of $size bytes is too small\n" if $room < 20;

    my $body = $before . $fill{$style}->($room) . $after;

    die "the event does not have $size bytes\n" if length $body != $size;

    return $body;
}


sub style_is_text { return $_[0] ne 'members' }


# a pseudo random sequence, which is the same on all machines

sub sequence {
    my $state = 1;

    return sub {
        $state = ($state * 1103515245 + 12345) & 0x7fffffff;
        return ($state >> 8) % $_[0];
    };
}


# appends the results of $piece up to $room bytes, and fills the rest with "x"

sub fill {
    my ($room, $piece) = @_;

    my $text = '';

    while (1) {
        my $next = $piece->();

        last if length($text) + length $next > $room;
        $text .= $next;
    }

    return $text . 'x' x ($room - length $text);
}


sub prose {
    my ($room) = @_;

    my $random = sequence();

    return fill($room, sub {
        my $word = $words[ $random->(scalar @words) ];

        return "$word. \\n" if $random->(60) == 0;
        return "caf\xc3\xa9 " if $random->(60) == 0;
        return "$word ";
    });
}


sub log_lines {
    my ($room) = @_;

    my $random = sequence();
    my $n = 0;

    return fill($room, sub {
        return sprintf '\u001b[32m%s\u001b[0m\t\"C:\\\\build\\\\%s\"\t%d\n',
            $levels[ $random->(4) ], $words[ $random->(scalar @words) ], $n++;
    });
}


# the last member is a string, whose length is variable

sub members {
    my ($room) = @_;

    my $random = sequence();
    my $n = 0;

    my @values = (
        sub { $random->(100000) },
        sub { qw/ true false null /[ $random->(3) ] },
        sub { '"' . $words[ $random->(scalar @words) ] . '"' },
        sub { '[' . $random->(10) . ',' . $random->(10) . ']' },
        sub { '{"x":' . $random->(10) . '}' },
    );

    my $last = '"last":"';

    my $text = fill_members($room - length($last) - 1, sub {
        return sprintf '"k%d":%s,', $n++, $values[ $random->(5) ]->();
    });

    return $text . $last . 'x' x ($room - length($text) - length($last) - 1)
        . '"';
}


sub fill_members {
    return fill(@_) =~ s/x+\z//r;
}


=back

=cut

1;
