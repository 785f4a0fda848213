package dns

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/dns/dnstest"
)

// fixed is a control/resolver.
type fixed string

func (f fixed) Resolver() (string, bool, error) {
	if f == "broken" {
		return "", false, errors.New("control/resolver:1: broken")
	}
	server, trusted := strings.CutSuffix(string(f), " trust-ad")
	return server, trusted, nil
}

// newResolver returns a resolver that asks server and knows no system files.
func newResolver(t *testing.T, server string) *Resolver {
	t.Helper()
	r := New(fixed(server))
	r.hosts.path, r.system.path = filepath.Join(t.TempDir(), "hosts"), filepath.Join(t.TempDir(), "resolv.conf")
	r.tryTime = 2 * time.Second
	r.again, r.hosts.again = 0, 0 // changes are seen at once
	return r
}

// zones starts a DNS server for a resolver.
func zones(t *testing.T, zone string) (*Resolver, *dnstest.Server) {
	t.Helper()
	s := dnstest.New(t, zone)
	return newResolver(t, s.Addr), s
}

// kinds tells which kind an error is.
func kindOf(err error) string {
	for name, kind := range map[string]error{"NXDOMAIN": ErrNoDomain, "NODATA": ErrNoData, "name": ErrBadName, "temporary": ErrTemporary} {
		if errors.Is(err, kind) {
			return name
		}
	}
	if err == nil {
		return ""
	}
	return "unknown: " + err.Error()
}

func TestMX(t *testing.T) {
	r, _ := zones(t, `
		two.example           MX 20 B.example
		two.example           MX 10 a.example
		none.example          A  192.0.2.1
		null.example          MX 0  .
		mixed.example         MX 0  .
		mixed.example         MX 10 a.example
		odd.example           MX 0  a\032b.example
		odd.example           MX 10 a.example
		bad.example           MX 0  a\010b.example
		fail.example          !servfail
		xn--bcher-kva.example MX 1  a.example`)
	for domain, want := range map[string][]MX{
		"two.example":    {{"a.example", 10}, {"b.example", 20}},
		"TWO.Example.":   {{"a.example", 10}, {"b.example", 20}},
		"null.example":   {{"", 0}},
		"mixed.example":  {{"a.example", 10}},
		"odd.example":    {{"a.example", 10}},
		"Bücher.example": {{"a.example", 1}},
	} {
		got, err := r.MX(context.Background(), domain)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", domain, err, d)
		}
	}
	for domain, want := range map[string]string{
		"none.example": "NODATA", "gone.example": "NXDOMAIN", "bad.example": "temporary", "fail.example": "temporary",
		"a b": "name", "": "name", "a..b": "name", "a\x00b": "name", strings.Repeat("x", 64) + ".example": "name",
		strings.Repeat("a.", 127) + "b": "name", "\xff.example": "name",
	} {
		got, err := r.MX(context.Background(), domain)
		if kindOf(err) != want || len(got) > 0 {
			t.Errorf("%q: %v, %v; want %s", domain, got, err, want)
		}
	}
}

func TestAddrs(t *testing.T) {
	r, _ := zones(t, `
		both.example  A    192.0.2.1
		both.example  A    192.0.2.2
		both.example  AAAA 2001:db8::1
		four.example  A    192.0.2.1
		empty.example TXT  x
		fail.example  !servfail`)
	if err := os.WriteFile(r.hosts.path, []byte("# known here\n10.0.0.1 near Near.example # and here\nfe80::1%eth0 near\njunk\n::1 near\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"both.example":     "2001:db8::1 192.0.2.1 192.0.2.2",
		"four.example":     "192.0.2.1",
		"192.0.2.9":        "192.0.2.9",
		"::ffff:192.0.2.9": "192.0.2.9",
		"NEAR":             "10.0.0.1 ::1",
		"near.example":     "10.0.0.1",
		"localhost":        "127.0.0.1 ::1",
		"empty.example":    "NODATA",
		"gone.example":     "NXDOMAIN",
		"fail.example":     "temporary",
		"a;b":              "name",
	} {
		list, err := r.Addrs(context.Background(), host)
		got := kindOf(err)
		if err == nil {
			var words []string
			for _, ip := range list {
				words = append(words, ip.String())
			}
			got = strings.Join(words, " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestPTR(t *testing.T) {
	r, _ := zones(t, `
		1.2.0.192.in-addr.arpa PTR Mail.example
		1.2.0.192.in-addr.arpa PTR a\032b.example
		2.2.0.192.in-addr.arpa PTR a\013b`)
	got, err := r.PTR(context.Background(), netip.MustParseAddr("::ffff:192.0.2.1"))
	if d := cmp.Diff([]string{"mail.example"}, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if _, err := r.PTR(context.Background(), netip.MustParseAddr("192.0.2.2")); kindOf(err) != "temporary" {
		t.Error(err)
	}
	if _, err := r.PTR(context.Background(), netip.MustParseAddr("2001:db8::1")); kindOf(err) != "NXDOMAIN" {
		t.Error(err)
	}
}

// FuzzASCII: whatever comes out is a name that may stand in a log or command.
func FuzzASCII(f *testing.F) {
	for _, s := range []string{"example.org", "Bücher.example", "a..b", "xn--bcher-kva", "\xff", "a b", "_dmarc.x", "。"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ASCII(s)
		if err != nil {
			return
		}
		if checkName(name) != nil || strings.ToLower(name) != name {
			t.Fatalf("%q becomes %q", s, name)
		}
		if again, err := ASCII(name); err != nil || again != name {
			t.Fatalf("%q becomes %q, then %q (%v)", s, name, again, err)
		}
	})
}
