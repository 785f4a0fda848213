package dns

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// everything asks a resolver for something of everything, and says what came.
func everything(t *testing.T, r *Resolver) string {
	var b strings.Builder
	for _, name := range []string{"x.example", "gone.example", "empty.example", "broken.example", "silent.example", "near", "a b", "localhost"} {
		mx, err := r.MX(t.Context(), name)
		fmt.Fprintln(&b, name, mx, err)
		txt, err := r.TXT(t.Context(), name)
		fmt.Fprintf(&b, "%s %q %v\n", name, txt, err)
		ips, err := r.Addrs(t.Context(), name)
		fmt.Fprintln(&b, name, ips, err)
		a, err := r.A(t.Context(), name)
		fmt.Fprintln(&b, name, a, err)
	}
	ptr, err := r.PTR(t.Context(), netip.MustParseAddr("192.0.2.1"))
	fmt.Fprintln(&b, ptr, err)
	secure, err := r.Ask(t.Context(), "signed.example", TypeTXT)
	fmt.Fprintln(&b, secure.Secure, err)
	return b.String()
}

// A replayed tape says the same without a server, also after a way through its text.
func TestTape(t *testing.T) {
	r, s := zones(t, `
		x.example MX 20 b.example
		x.example MX 10 a\032b.example
		x.example A 192.0.2.1
		x.example AAAA 2001:db8::1
		x.example TXT "quote\"d \\ \010\255" "more"
		x.example TXT ""
		empty.example TXT "secure"
		broken.example !servfail
		silent.example !silent
		1.2.0.192.in-addr.arpa PTR mail.example
		signed.example TXT x
		signed.example !ad`)
	r.settings = fixed(s.Addr + " trust-ad")
	r.tryTime = 50 * time.Millisecond
	if err := os.WriteFile(r.hosts.path, []byte("10.0.0.1 near\n::1 near\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tape := r.Record()
	want := everything(t, r)
	var text bytes.Buffer
	if err := tape.Write(&text); err != nil {
		t.Fatal(err)
	}
	s.Close()
	again, err := ReadTape(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if got := everything(t, Replay(again)); got != want {
		t.Errorf("%s\nwant\n%s\nfrom\n%s", got, want, text.String())
	}
	var twice bytes.Buffer
	if again.Write(&twice); twice.String() != text.String() {
		t.Errorf("%s\nwant %s", twice.String(), text.String())
	}
	if _, err := Replay(again).TXT(t.Context(), "other.example"); kindOf(err) != "temporary" || !strings.Contains(err.Error(), "the record has no answer") {
		t.Error(err)
	}
}

// A question that was answered in two ways is answered in these two ways.
func TestTapeOfTwoAnswers(t *testing.T) {
	const text = "x.example TXT failed \"no answer in time\"\nx.example TXT 60\n\t\"v=spf1 -all\"\n"
	tape, err := ReadTape(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r := Replay(tape)
	for i, want := range []string{"temporary", "", ""} {
		if _, err := r.TXT(t.Context(), "x.example"); kindOf(err) != want {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// What is no tape is refused with its line.
func TestBrokenTape(t *testing.T) {
	for text, want := range map[string]string{
		"x.example\n":                                "line 1: \"\" is not a type",
		"# hello\n\nx.example AXFR 1\n":              "line 3: \"AXFR\" is not a type",
		"x.example A much\n":                         "line 1: \"much\" is not a TTL",
		"x.example A 60\n":                           "has a TTL but no record",
		"x.example A 60\n\tx\n":                      "line 2: \"x\" is not a record of the type A",
		"x.example MX 60\n\t70000 \"a.\"\n":          "line 2: ",
		"x.example TXT 60\n\tunquoted\n":             "line 2: ",
		"x.example TXT NXDOMAIN\n\t\"x\"\n":          "line 2: a record that belongs to no answer",
		"\t\"x\"\n":                                  "line 1: a record that belongs to no answer",
		"x.example TXT NXDOMAIN maybe\n":             "line 1: \" maybe\" behind the answer",
		"x.example TXT failed why\n":                 "line 1: \"why\" is not the reason in quotes",
		"a\x00b TXT NXDOMAIN\n":                      "line 1: ",
		strings.Repeat("\n", maxTape+1):              "more than 100000 lines",
		"x " + strings.Repeat("x", maxTapeLine) + "": "line 1: ",
	} {
		if _, err := ReadTape(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

// FuzzTape: whatever a tape says, it is refused or says the same after a way through its
// text.
func FuzzTape(f *testing.F) {
	f.Add("x.example TXT 60 secure\n\t\"v=spf1 \\xff\"\ny.example MX 1\n\t10 \"a.\"\nz HOSTS 0\n\t::1\nq A failed \"x\"\nr PTR NODATA secure\n")
	f.Fuzz(func(t *testing.T, text string) {
		tape, err := ReadTape(strings.NewReader(text))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		tape.Write(&once)
		again, err := ReadTape(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatalf("%v:\n%s", err, once.String())
		}
		if again.Write(&twice); once.String() != twice.String() {
			t.Errorf("%q becomes %q", once.String(), twice.String())
		}
	})
}
