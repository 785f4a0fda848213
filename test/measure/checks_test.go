package measure

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dkim"
	"paperpath/internal/dns/dnstest"
	"paperpath/test/harness"
)

// Accepting with all default checks, and with those that can be off: sessions of a stranger
// who signs, in turns. A pair of runs has one ratio.
func TestAcceptingWithChecks(t *testing.T) {
	const pairs, each = 11, 60
	h := newHome(t)
	mail := signedMail(t, h)
	start(t, h)
	var off strings.Builder
	for _, name := range []string{"from", "fields", "date", "message-id", "lines", "nul", "structure", "mime", "own-domain", "dnsbl", "filters",
		"iprev", "helo", "null-mx", "spf", "dkim", "dmarc"} {
		if known(t, h, name) {
			fmt.Fprintf(&off, "%s: off\n", name)
		}
	}
	var ratios []float64
	least := [2]time.Duration{time.Hour, time.Hour}
	for i := range pairs + 1 { // the first one warms up
		set(t, h, "checks", off.String())
		without := session(t, h, mail, each)
		set(t, h, "checks", "# the defaults\n")
		with := session(t, h, mail, each)
		if i > 0 {
			ratios = append(ratios, without.Seconds()/with.Seconds())
			least = [2]time.Duration{min(least[0], without), min(least[1], with)}
		}
	}
	events, err := os.ReadFile(filepath.Join(h.Dir, "log", "mail.log"))
	if err != nil || !strings.Contains(string(events), "date=off") || !strings.Contains(string(events), "date=pass") {
		t.Errorf("the checks were not both off and on: %v", err)
	}
	slices.Sort(ratios)
	middle := ratios[len(ratios)/2]
	fastest := least[0].Seconds() / least[1].Seconds() // of each kind: nobody disturbed them
	harness.Report("measured: accepting with all default checks: %.2f of the rate without (median of %d pairs, %.2f to %.2f; "+
		"the fastest runs %.2f, %v and %v a message; aim 0.90)", middle, pairs, ratios[0], ratios[len(ratios)-1],
		fastest, (least[0] / each).Round(10*time.Microsecond), (least[1] / each).Round(10*time.Microsecond))
	if max(middle, fastest) < 0.5 {
		t.Errorf("accepting with checks has %.2f of the rate without, the fastest runs %.2f: %.2f", middle, fastest, ratios)
	}
}

// signedMail returns a message of x.example, signed, and lets the home know a DNS in which
// it and the host that brings it are in order.
func signedMail(t *testing.T, h *harness.Home) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.Record(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	server := dnstest.New(t, strings.Join([]string{`x.example. TXT "v=spf1 ip4:192.0.2.0/24 -all"`,
		`_dmarc.x.example. TXT "v=DMARC1; p=reject"`, `mail.x.example. A 192.0.2.7`, `mail.x.example. TXT "v=spf1 a -all"`,
		`7.2.0.192.in-addr.arpa. PTR mail.x.example.`, `s._domainkey.x.example. TXT "` + record[:200] + `" "` + record[200:] + `"`}, "\n"))
	text := "From: bob@x.example\nTo: alice@example.net\nSubject: x\nDate: " + time.Now().UTC().Format(time.RFC1123Z) +
		"\nMessage-ID: <1@x.example>\n\n" + strings.Repeat(strings.Repeat("z", 63)+"\n", 60)
	s, err := dkim.Sign(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")),
		[]dkim.Key{{Domain: "x.example", Selector: "s", Signer: key}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	set(t, h, "resolver", server.Addr+"\n")
	set(t, h, "xclientfrom", "127.0.0.1\n")
	set(t, h, "rates", "client-messages: 1000000/1h\nclient-recipients: 1000000/1h\nclient-connections: 1000000/1h\n")
	return []byte(strings.ReplaceAll(s.Fields, "\r\n", "\n") + text)
}

// set writes a setting that nobody is still changing.
func set(t *testing.T, h *harness.Home, name, text string) {
	t.Helper()
	path := filepath.Join(h.Dir, "control", name)
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path+"~", old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

// known reports whether a check of that name can be off.
func known(t *testing.T, h *harness.Home, name string) bool {
	t.Helper()
	set(t, h, "checks", name+": off\n")
	r, err := programs.Run(h.Dir, strings.NewReader(""), "mailctl", "check")
	return err == nil && r.Status == 0
}

// session sends messages as a host outside, and returns how long that took.
func session(t *testing.T, h *harness.Home, mail []byte, n int) time.Duration {
	t.Helper()
	c := stranger(t, h)
	defer c.Close()
	began := time.Now()
	transfer(t, c, mail, n)
	return time.Since(began)
}

// stranger begins a session of a host outside.
func stranger(t *testing.T, h *harness.Home) *harness.Conversation {
	t.Helper()
	c, err := harness.Dial(h.Addr["mx"])
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{{"220", ""}, {"250", "EHLO mail.x.example"}, {"220", "XCLIENT ADDR=192.0.2.7 NAME=mail.x.example"},
		{"250", "EHLO mail.x.example"}} {
		if _, err := c.Expect(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// transfer sends a message n times.
func transfer(t *testing.T, c *harness.Conversation, mail []byte, n int) {
	t.Helper()
	for range n {
		if _, err := c.Transfer("bob@x.example", []string{"alice@example.net"}, mail); err != nil {
			t.Fatal(err)
		}
	}
}
