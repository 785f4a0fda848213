package srs

import (
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
)

func parse(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var day = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestThereAndBack(t *testing.T) {
	s := Scheme{Secrets: []string{"a secret of the test"}, Now: day}
	for _, sender := range []string{"alice@example.org", "a=b@example.org", "Bob+x@Sub.Example.ORG", "-a-@b.example"} {
		there, err := s.Forward(parse(t, sender), "fwd.example")
		if err != nil {
			t.Fatal(err)
		}
		if !Is(there.Local) || there.Domain != "fwd.example" {
			t.Errorf("%s became %s", sender, there)
		}
		for about, a := range map[string]addr.Address{"as it is": there, "folded": {Local: strings.ToLower(there.Local), Domain: "FWD.example"}} {
			if back, err := s.Back(a); err != nil || back.Key() != parse(t, sender).Key() {
				t.Errorf("%s, %s: %s, %v", there, about, back, err)
			}
		}
	}
}

// A second forwarder keeps the first one's address, however many there are.
func TestSecondForwarder(t *testing.T) {
	first, second, third := Scheme{[]string{"first forwarder"}, day}, Scheme{[]string{"second forwarder"}, day}, Scheme{[]string{"third forwarder"}, day}
	a, _ := first.Forward(parse(t, "alice@example.org"), "one.example")
	b, _ := second.Forward(a, "two.example")
	c, err := third.Forward(b, "three.example")
	if err != nil || !strings.HasPrefix(c.Local, "SRS1=") || !strings.Contains(c.Local, "=one.example==") {
		t.Fatalf("%s %s %s %v", a, b, c, err)
	}
	if back, err := third.Back(c); back != a || err != nil {
		t.Errorf("%s is %s, %v: not the first forwarder's %s", c, back, err, a)
	}
	if back, err := second.Back(b); back != a || err != nil {
		t.Errorf("%s, %v", back, err)
	}
}

func TestBackRefuses(t *testing.T) {
	s := Scheme{Secrets: []string{"new secret", "old secret"}, Now: day}
	made := func(secret string, at time.Time) string {
		a, err := Scheme{[]string{secret}, at}.Forward(parse(t, "alice@example.org"), "fwd.example")
		if err != nil {
			t.Fatal(err)
		}
		return a.String()
	}
	ok := made("new secret", day)
	for address, want := range map[string]string{
		ok:                      "",
		made("old secret", day): "",
		made("other", day):      "a wrong hash",
		made("new secret", day.AddDate(0, 0, -21)):           "",
		made("new secret", day.AddDate(0, 0, -22)):           "an expired address",
		made("new secret", day.AddDate(0, 0, 1)):             "",
		made("new secret", day.AddDate(0, 0, 2)):             "an expired address",
		made("new secret", day.AddDate(0, 0, -1024)):         "", // the scheme cannot tell
		strings.Replace(ok, "alice", "alicf", 1):             "a wrong hash",
		strings.Replace(ok, "example.org", "example.net", 1): "a wrong hash",
		"SRS0=" + ok[6:]:                       "a wrong hash",
		"SRS0==AA=example.org=x@fwd.example":   "a wrong hash",
		"SRS0=abcd=AA=example.org@fwd.example": "an incomplete SRS0 address",
		"SRS0=x@fwd.example":                   "an incomplete SRS0 address",
		"SRS1=abcd=one.example@fwd.example":    "an incomplete SRS1 address",
		"SRS1=abcd=one.example=x@fwd.example":  "an incomplete SRS1 address",
		"SRS1=abcd=one.example==x@fwd.example": "a wrong hash",
		"alice@fwd.example":                    "no address of the scheme",
	} {
		back, err := s.Back(parse(t, address))
		if err == nil && (want != "" || back.String() != "alice@example.org") || err != nil && err.Error() != want {
			t.Errorf("%s: %s, %v; want %q", address, back, err, want)
		}
	}
}

func TestTooLong(t *testing.T) {
	s := Scheme{Secrets: []string{"secret"}, Now: day}
	local := strings.Repeat("x", 64-len("SRS0=abcd=AA=example.org="))
	if a, err := s.Forward(parse(t, local+"@example.org"), "fwd.example"); err != nil || len(a.Local) != 64 {
		t.Errorf("%s %v", a, err)
	}
	if _, err := s.Forward(parse(t, local+"x@example.org"), "fwd.example"); err != ErrTooLong {
		t.Error(err)
	}
}

// Whatever comes back is an address, and nothing that we did not make is believed.
func FuzzBack(f *testing.F) {
	s := Scheme{Secrets: []string{"secret"}, Now: day}
	a, _ := s.Forward(addr.Address{Local: "alice", Domain: "example.org"}, "fwd.example")
	f.Add(a.Local)
	b, _ := s.Forward(addr.Address{Local: "SRS0=abcd=AA=x.example=y", Domain: "one.example"}, "fwd.example")
	f.Add(b.Local)
	f.Add("SRS1+abcd=one.example=-x")
	f.Fuzz(func(t *testing.T, local string) {
		back, err := s.Back(addr.Address{Local: local, Domain: "fwd.example"})
		if err != nil {
			return
		}
		if _, err := addr.Parse(back.String()); err != nil {
			t.Errorf("%q is %q: %v", local, back, err)
		}
		if !strings.EqualFold(local[5:], a.Local[5:]) && !strings.EqualFold(local[5:], b.Local[5:]) {
			t.Errorf("%q was believed: %s", local, back)
		}
	})
}
