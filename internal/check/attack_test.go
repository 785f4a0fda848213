package check

import (
	"strings"
	"testing"
)

// Nobody who is neither in the DNS of reject.example nor has its key makes people see it as
// the author: p=reject is applied, or From is refused for what it is. From an address that
// may not send for it, in the name of a stranger whose DNS answers or does not.
func TestForgedAuthors(t *testing.T) {
	s := newStrangers(t)
	const policy, form = "refuse 5.7.26 5xx", "refuse 5.6.0 5xx"
	for _, x := range []struct{ name, from, want string }{
		{"alone", "a@reject.example", policy},
		{"beside an address that no policy is for", "a@reject.example, x@[192.0.2.1]\nSender: x@other.example", policy},
		{"behind one", "x@[192.0.2.1], a@reject.example\nSender: x@other.example", policy},
		{"beside a domain that cannot be", "a@reject.example, x@a..b\nSender: x@other.example", form},
		{"with a dot of another script", "a@reject\u3002example", policy},
		{"with a wide dot", "a@reject\uff0eexample", policy},
		{"with a wide letter", "a@\uff52eject.example", policy},
		{"with a soft hyphen", "a@re\u00adject.example", policy},
		{"with a blank of no width", "a@re\u200bject.example", policy},
		{"with a byte order mark", "a@\ufeffreject.example", policy},
		{"with a joiner", "a@re\u200dject.example", form},
		{"with a turn of the line", "a@reject.example\u202e", form},
		{"in two directions", "a@\u05d0a.reject.example", form},
		{"with an A-label that is none", "a@xn--\u00e4.reject.example", form},
		{"in Latin-1", "a@\xe4.reject.example", form},
		{"with a blank of Latin-1", "a@reject.example\xa0", form},
		{"with a dot at the end", "a@reject.example.", form},
		{"with a dot at the start", "a@.reject.example", form},
		{"with too long a label", "a@" + strings.Repeat("a", 64) + ".reject.example", form},
		{"too long", "a@" + strings.Repeat("a.", 130) + "reject.example", form},
		{"with an asterisk", "a@*.reject.example", form},
		{"with a comment in it", "a@reject(other.example).example", policy},
		{"with a comment behind it", "a@reject.example (x@other.example)", policy},
		{"as a name", "a@reject.example <x@other.example>", form},
		{"behind the address", "<x@other.example> a@reject.example", form},
		{"with two pairs of brackets", "<x@other.example> <a@reject.example>", form},
		{"as the name of a group", "a@reject.example: x@other.example;", form},
		{"as the quoted name of an empty group", "\"a@reject.example\":;", form},
		{"in a group", "g: a@reject.example;", policy},
		{"with a route", "<@other.example:a@reject.example>", form},
		{"as a local part", "\"a@reject.example\"", form},
		{"as an encoded word", "=?utf-8?q?a=40reject.example?=", form},
		{"as an encoded word in the local part", "=?utf-8?q?a=40reject.example=3e=00?=x@other.example", form},
		{"behind an encoded NUL", "=?utf-8?q?<a=40reject.example>=00?= <x@other.example>", form},
		{"behind 5,000 others", strings.Repeat("x@other.example, ", 5000) + "a@reject.example\nSender: x@other.example", form},
		{"in a second field", "x@other.example\nFROM\t: a@reject.example", form},
		{"in a second field of two lines", "x@other.example\nFrom\n : a@reject.example", form},
		{"below a line that is no field", "x@other.example\nhello\nFrom: a@reject.example", form},
		{"behind a NUL", "x@other.example\x00a@reject.example", form},
		{"behind an escape in a comment", "x@other.example (\x1b[2J a@reject.example)", form},
		{"behind a DEL", "x@other.example (\x7f)", form},
		{"behind a CR", "x@other.example\rFrom: a@reject.example", form},
	} {
		for _, path := range []string{"x@other.example", "x@away.example", "x@[192.0.2.9]", ""} {
			row := identityRow{client: "192.0.2.9", from: path, author: "From: " + x.from + "\n", signed: "keyless.example"}
			v := s.checker("", "", nil).Message(t.Context(), row.subject(t), nil)
			if got := outcome(v); got != x.want {
				t.Errorf("%s, from <%s>: %s (%s), want %s", x.name, path, got, v, x.want)
			}
		}
	}
}

// Where control/limits allows more header than DKIM reads, the policy counts all the same.
func TestPolicyBelowAGiantHeader(t *testing.T) {
	k := checkerOf(settings(t, "limits", "headerbytes: 3000000\nfields: 10000\n"), nil)
	k.DNS = newStrangers(t).dns
	for _, pad := range []string{"X: " + strings.Repeat("y", 1200000) + "\n", strings.Repeat("X: y\n", 6000)} {
		x := identityRow{client: "192.0.2.9", from: "x@other.example", author: pad + "From: a@reject.example\n"}
		v := k.Message(t.Context(), x.subject(t), nil)
		if got := outcome(v); got != "refuse 5.7.26 5xx" || len(hasResults(v, "dkim=permerror ; dmarc=fail")) > 0 {
			t.Errorf("%d octets: %s %v", len(pad), got, v.Results)
		}
		x = identityRow{from: "x@reject.example", author: pad + "From: a@reject.example\n"}
		if v = k.Message(t.Context(), x.subject(t), nil); outcome(v) != "pass" || len(hasResults(v, "dmarc=pass")) > 0 {
			t.Errorf("%d octets, proven by SPF: %s %v", len(pad), v, v.Results)
		}
	}
}
