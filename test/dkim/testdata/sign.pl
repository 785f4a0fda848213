# Signs a message on standard input with Mail::DKIM: KEY DOMAIN SELECTOR FORM.
use strict;
use warnings;
use Mail::DKIM::Signer;
use Mail::DKIM::PrivateKey;

my ($key, $domain, $selector, $form) = @ARGV;
my $dkim = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $form, Domain => $domain,
	Selector => $selector, Key => Mail::DKIM::PrivateKey->load(File => $key));
binmode STDIN;
binmode STDOUT;
local $/;
my $text = <STDIN>;
$dkim->PRINT($text);
$dkim->CLOSE;
my $field = $dkim->signature->as_string;
$field =~ s/\r?\n/\r\n/g;
print $field, "\r\n", $text;
