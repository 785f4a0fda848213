package addr

import (
	"net/netip"
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{"ABC": "abc", "ÄB": "Äb", "\xffA": "\xffa", "": ""} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q", in, got)
		}
	}
	for in, want := range map[string]string{"MX.Example": "mx.example", "BÜCHER.example": "xn--bcher-kva.example",
		"\xff.example": "\xff.example", "[IPv6:::1]": "[ipv6:::1]",
		"_dmarc.BÜCHER.example": "_dmarc.xn--bcher-kva.example", "\u202e.example": "\u202e.example", "": ""} {
		if got := FoldDomain(in); got != want {
			t.Errorf("FoldDomain(%q) = %q", in, got)
		}
	}
}

func TestFoldAddress(t *testing.T) {
	for in, want := range map[string]string{"Bob@MX.Example": "bob@mx.example", "A@B@BÜCHER.example": "a@b@xn--bcher-kva.example",
		"Postmaster": "postmaster", "@X": "@x", "": ""} {
		if got := FoldAddress(in); got != want {
			t.Errorf("FoldAddress(%q) = %q", in, got)
		}
	}
}

func TestIsASCII(t *testing.T) {
	for s, want := range map[string]bool{"": true, "a\x00\x7f": true, "\x80": false, "aé": false} {
		if IsASCII(s) != want {
			t.Errorf("IsASCII(%q) is not %v", s, want)
		}
	}
}

// What can be in a setting, and what is wrong with the rest.
func TestCheck(t *testing.T) {
	long := strings.Repeat("a", maxLabel)
	for domain, want := range map[string]string{
		"mx.example": "", "BÜCHER.example": "", "_dmarc.x": "", "[192.0.2.1]": "", "[IPv6:2001:db8::1]": "", long + ".x": "",
		"": "has an empty label", "a..b": "has an empty label", "a.": "has an empty label",
		"-a.b": "has a label with a hyphen at its end", long + "a": "has a label longer than 63 bytes",
		"a b": "has a character that no domain has", "a/b": "has a character that no domain has", "\xff": "has a character that no domain has",
		strings.Repeat(long+".", 4) + "x": "is longer than 253 bytes",
		"[192.0.2.1":                      "is no address in brackets", "[::1]": "is no address in brackets", "[IPv6:192.0.2.1]": "is no address in brackets",
	} {
		if got := textOf(CheckDomain(domain)); got != want {
			t.Errorf("domain %q: %q, want %q", domain, got, want)
		}
	}
	for address, want := range map[string]string{
		"a@x.example": "", "a+b.c@x": "", "\"a b\"@x": "", "a@[192.0.2.1]": "",
		"a": "has no @domain", "a@": "has no @domain", "@x": "has nothing before the @", "a b@x": "has a character that must be quoted",
		"a@b@x": "has a character that must be quoted", strings.Repeat("a", 129) + "@x": "is too long", "a@x..y": "has an empty label",
	} {
		if got := textOf(CheckAddress(address)); got != want {
			t.Errorf("address %q: %q, want %q", address, got, want)
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLiteral(t *testing.T) {
	for domain, want := range map[string]string{"[192.0.2.1]": "192.0.2.1", "[ipv6:2001:db8::1]": "2001:db8::1", "[IPv6:::1]": "::1",
		"": "", "mx.example": "", "192.0.2.1": "", "[192.0.2.1": "", "[2001:db8::1]": "", "[IPv6:192.0.2.1]": "", "[IPv6:fe80::1%eth0]": "", "[]": ""} {
		ip, ok := Literal(domain)
		if ok != (want != "") || ok && ip != netip.MustParseAddr(want) {
			t.Errorf("%q: %v, %v", domain, ip, ok)
		}
	}
}

func TestIsControl(t *testing.T) {
	for r, want := range map[rune]bool{0: true, '\t': true, 0x1f: true, ' ': false, '~': false, 0x7f: true, 0x80: false, '\u0085': false, 'x': false} {
		if IsControl(r) != want {
			t.Errorf("IsControl(%q) is not %v", r, want)
		}
	}
}
