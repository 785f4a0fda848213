# Verifies the signatures of a message on standard input with Mail::DKIM, with the keys
# in the file that is the first operand: a name and a text on each line.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Net::DNS::RR;

my %zone;
open my $keys, '<', $ARGV[0] or die "$ARGV[0]: $!";
while (<$keys>) { chomp; my ($name, $text) = split ' ', $_, 2; $zone{$name} = $text; }
{
	no warnings 'redefine';
	*Mail::DKIM::DNS::query = sub {
		my ($name, $type) = @_;
		$@ = 'NXDOMAIN';
		return unless exists $zone{$name};
		my $rr = Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [unpack '(A255)*', $zone{$name}]);
		$@ = 'NOERROR';
		return $rr;
	};
}
my $dkim = Mail::DKIM::Verifier->new;
binmode STDIN;
while (read STDIN, my $buf, 65536) { $dkim->PRINT($buf); }
$dkim->CLOSE;
print $_->selector, ' ', $_->result_detail, "\n" for $dkim->signatures;
