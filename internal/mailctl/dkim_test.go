package mailctl

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/dns"
)

// zone is what is published.
type zone map[string][]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	if z[name] == nil {
		return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "TXT"}
	}
	return z[name], nil
}

// publish puts the lines of a zone into it.
func (z zone) publish(lines string) {
	for _, m := range regexp.MustCompile(`(?m)^(\S+)\. IN TXT (.*)$`).FindAllStringSubmatch(lines, -1) {
		text := ""
		for _, part := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
			text += part[1]
		}
		z[m[1]] = []string{text}
	}
}

// bench is a DKIM with what it printed.
type bench struct {
	DKIM
	t          *testing.T
	home       string
	zone       zone
	out, notes strings.Builder
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, home: t.TempDir(), zone: zone{}}
	if err := os.Mkdir(filepath.Join(b.home, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.DKIM = DKIM{Control: control.Open(b.home, time.Now), DNS: b.zone, Out: &b.out, Notes: &b.notes,
		Now: time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC)}
	return b
}

// did returns what was printed since.
func (b *bench) did(err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	text := b.out.String() + b.notes.String()
	b.out.Reset()
	b.notes.Reset()
	return text
}

// From a first key to the second pair: records are printed, looked for, and a pair
// follows another.
func TestDKIMLife(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	first := b.did(b.New("example.org"))
	if lines := strings.Split(first, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "20261128-rsa._domainkey.example.org. IN TXT \"v=DKIM1; k=rsa; p=") ||
		!strings.HasPrefix(lines[1], "20261128-ed25519._domainkey.example.org. IN TXT \"v=DKIM1; k=ed25519; p=") {
		t.Fatalf("new: %s", first)
	}
	for _, s := range regexp.MustCompile(`"[^"]*"`).FindAllString(first, -1) {
		if len(s) > 255+2 {
			t.Errorf("a string of %d octets", len(s)-2)
		}
	}
	if got := b.did(b.Show(ctx, "example.org", "20261128-rsa")); !strings.HasPrefix(got,
		"; 20261128-rsa does not sign and is not published: DNS TXT 20261128-rsa._domainkey.example.org: no such domain\n20261128-rsa._domainkey") {
		t.Errorf("show: %s", got)
	}
	// Activated early: a warning, and it signs.
	got := b.did(b.Activate(ctx, "example.org", ""))
	if !strings.HasPrefix(got, "example.org: signed by 20261128-rsa 20261128-ed25519\n") ||
		strings.Count(got, "warning: receivers cannot verify 20261128-") != 2 {
		t.Errorf("activate: %s", got)
	}
	b.zone.publish(first)
	if got := b.did(b.Activate(ctx, "example.org", "")); got != "example.org: signed by 20261128-rsa 20261128-ed25519\n" {
		t.Errorf("activate again: %s", got)
	}
	if got := b.did(b.Show(ctx, "example.org", "")); strings.Count(got, " signs and is published\n") != 2 {
		t.Errorf("show: %s", got)
	}
	// Ten pairs later, also over the tenth of a day.
	for n := 2; n < 11; n++ {
		key, err := dkim.Generate(dkim.Ed25519)
		if err == nil {
			err = b.Control.AddDKIMKey("example.org", fmt.Sprintf("20261128-%d-ed25519", n), key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.did(b.New("example.org"))
	if got := b.did(b.Activate(ctx, "example.org", "")); !strings.Contains(got,
		"signed by 20261128-rsa 20261128-ed25519 20261128-11-rsa 20261128-11-ed25519\n") {
		t.Errorf("the newest: %s", got)
	}
	got = b.did(b.Retire("example.org", ""))
	if !strings.HasPrefix(got, "example.org: signed by 20261128-11-rsa 20261128-11-ed25519\n") ||
		!strings.Contains(got, "keep the record 20261128-rsa._domainkey.example.org until 2026-12-05") {
		t.Errorf("retire: %s", got)
	}
	b.did(b.Retire("example.org", "20261128-11-rsa"))
	if got := b.did(b.Retire("example.org", "20261128-11-ed25519")); !strings.HasPrefix(got, "example.org: signed by nothing\n") {
		t.Errorf("retire the last: %s", got)
	}
	if got := b.did(b.List()); strings.Count(got, "\nexample.org 20261128-") != 12 || strings.Contains(got, " signs") {
		t.Errorf("list: %s", got)
	}
}

// What cannot be done says why, and changes nothing.
func TestDKIMRefuses(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"example.org has no key (mailctl dkim new": func() error { return b.Activate(ctx, "example.org", "") },
		"example.org has no key (":                 func() error { return b.Show(ctx, "example.org", "") },
		"x does not sign mail of example.org":      func() error { return b.Retire("example.org", "x") },
		"no older key that signs":                  func() error { return b.Retire("example.org", "") },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	b.did(b.New("example.org"))
	dir := filepath.Join(b.home, "control", "dkim", "example.org")
	for name, text := range map[string]string{"own.pem": "hello\n", "active": "# ours\nother\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Activate(ctx, "example.org", "own"); err == nil || !strings.Contains(err.Error(), "control/dkim/example.org/own.pem: there is no key in PEM") {
		t.Errorf("a broken key: %v", err)
	}
	if err := b.Activate(ctx, "example.org", "nobody"); err == nil || !strings.Contains(err.Error(), "there is: 20261128-ed25519 20261128-rsa own") {
		t.Errorf("an unknown key: %v", err)
	}
	b.did(b.Activate(ctx, "example.org", "20261128-rsa"))
	if text, err := os.ReadFile(filepath.Join(dir, "active")); err != nil || string(text) != "# ours\nother\n20261128-rsa\n" {
		t.Errorf("active is %q, %v", text, err)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, "20261128-rsa.pem": 0o600, "../": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// Selectors of other programs have no place in the order of pairs.
func TestNewest(t *testing.T) {
	for all, want := range map[string]string{
		"20261128-rsa 20261128-ed25519":                                            "20261128-rsa 20261128-ed25519",
		"20261128-ed25519 20261128-9-rsa 20261128-10-rsa":                          "20261128-10-rsa",
		"20271128-rsa 20261128-2-rsa 20261128-2-ed25519":                           "20271128-rsa",
		"mail zzz 99999999-rsa 20261128 20261128-x 20261128-02-rsa 20261128-1-rsa": "",
		"": "",
	} {
		if got := strings.Join(newest(strings.Fields(all)), " "); got != want {
			t.Errorf("%s: %s, want %s", all, got, want)
		}
	}
	if !slices.Equal(newest([]string{"20261128-rsa"}), []string{"20261128-rsa"}) {
		t.Error("half a pair")
	}
}
