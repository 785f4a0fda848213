package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// Where mail goes is found by the DNS alone; what cannot be delivered bounces or waits,
// with the reason.
func TestFinds(t *testing.T) {
	w := newWorld(t)
	w.postfix("")
	w.exim("")
	const relayed = "event=relayed to=user@DOMAIN.example addr="
	for _, c := range []struct{ domain, what, event string }{ // words of one line of the log
		{"postfix", "one MX", relayed + postfixAddr},
		{"exim", "no MX, an address", relayed + eximAddr},
		{"first", "the first MX refuses connections", relayed + postfixAddr},
		{"far", "the first MX has an address that no host has", relayed + postfixAddr},
		{"alias", "a domain that is a CNAME", relayed + postfixAddr},
		{"cnamemx", "an MX that is a CNAME", relayed + postfixAddr},
		{"six", "IPv6 refuses connections, IPv4 does not", relayed + postfixAddr},
		{"both", "IPv6 comes first", relayed + eximAddr6},
		{"only6", "no MX, an IPv6 address", relayed + postfixAddr6},
		{"null", "a null MX", "event=failed to=user@DOMAIN.example status=5.1.10"},
		{"nodomain", "no such domain", "event=failed to=user@DOMAIN.example status=5.1.2"},
		{"noaddress", "an MX without an address", "event=failed to=user@DOMAIN.example status=5.4.4"},
		{"txtonly", "neither MX nor address", "event=failed to=user@DOMAIN.example status=5.4.4"},
		{"x.broken", "the DNS fails", `event=deferred DNS MX x.broken.example SERVFAIL`},
		{"dead", "all hosts refuse connections", `event=deferred refusing.example [192.0.2.99]:25: connect`},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			address := "user@" + c.domain + ".example"
			w.forget()
			w.submit(harness.Letter(c.domain, "\nx\n"), address)
			w.run("mailcheck", "mailroute", "mailrelay")
			words := strings.Fields(strings.ReplaceAll(c.event, "DOMAIN", c.domain))
			if len(w.home.Events(words...)) != 1 {
				t.Errorf("%s (%s): no single line has %q\n%s", address, c.what, words,
					strings.Join(w.home.Events(c.domain+".example"), "\n"))
			}
		})
	}
	w.bounced(4)
	if t.Failed() {
		t.Log(w.home.Describe())
	}
}

// forget makes the next run try hosts that refused connections in an earlier one.
func (w *world) forget() {
	w.t.Helper()
	err := os.Remove(filepath.Join(w.home.Dir, "run", "hosts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
}

// bounced delivers the bounces to alice and compares their number.
func (w *world) bounced(want int) {
	w.t.Helper()
	w.run("mailroute", "maildeliver")
	got := w.mailbox()
	if len(got) != want {
		w.t.Errorf("alice has %d bounces, not %d", len(got), want)
	}
	for _, text := range got {
		for _, field := range []string{"Auto-Submitted: auto-replied", "Content-Type: multipart/report",
			"Action: failed", "Final-Recipient: rfc822;"} {
			if !strings.Contains(text, field) {
				w.t.Errorf("a bounce without %q:\n%s", field, text)
			}
		}
	}
}

// Of equal hosts each gets a part (RFC 5321 5.1).
func TestEqualHosts(t *testing.T) {
	w := newWorld(t)
	w.postfix("")
	w.exim("")
	const messages = 30
	for i := range messages {
		w.submit(harness.Letter(fmt.Sprint("equal ", i), "\nx\n"), fmt.Sprintf("user%d@equal.example", i))
	}
	w.run("mailcheck", "mailroute", "mailrelay")
	one, other := len(w.home.Events("event=relayed", postfixAddr)), len(w.home.Events("event=relayed", eximAddr))
	if one == 0 || other == 0 || one+other != messages {
		t.Errorf("of %d messages %d went to the one and %d to the other\n%s",
			messages, one, other, w.home.Describe())
	}
}
