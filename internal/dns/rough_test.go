package dns

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dns/dnstest"
)

// TestRoughServers: nothing that a server says can be taken for an answer that it is not.
func TestRoughServers(t *testing.T) {
	const good = "x.example MX 10 a.example\n"
	for _, c := range []struct {
		name, zone string
		want       string // "" is the good answer
		tcp        int
	}{
		{"good", "", "", 0},
		{"silence", "x.example !silent", "temporary", 0},
		{"garbage before it", "x.example !garbage", "", 0},
		{"wrong id before it", "x.example !wrongid", "", 0},
		{"wrong question before it", "x.example !wrongname", "", 0},
		{"wrong id only", "x.example !onlywrongid", "temporary", 0},
		{"cut, then by TCP", "x.example !cut", "", 1},
		{"cut, TCP closes", "x.example !cutclose", "temporary", 2},
		{"cut twice", "x.example !cuttwice", "temporary", 2},
		{"cut, another answer by TCP", "x.example !cut !onlywrongid", "temporary", 0},
		{"refused", "x.example !refused", "temporary", 0},
		{"not implemented", "x.example !notimp", "temporary", 0},
		{"no EDNS", "x.example !noedns", "", 0},
		{"no EDNS, and cut", "x.example !noedns !cut", "", 1},
		{"a referral is no answer", "x.example !referral", "temporary", 0},
		{"record of another name", "x.example !stray", "NODATA", 0},
		{"CNAMEs in a circle", "x.example CNAME y.example\ny.example CNAME x.example", "temporary", 0},
		{"CNAME of itself", "x.example CNAME x.example", "temporary", 0},
		{"CNAMEs in a circle, not followed", "x.example CNAME y.example\ny.example CNAME x.example\n" +
			"x.example !nofollow\ny.example !nofollow", "temporary", 0},
		{"CNAME followed in the answer", "X.example CNAME z.example\nZ.example CNAME Y.example\ny.example MX 10 a.example", "", 0},
		{"CNAME not followed", "x.example CNAME y.example\ny.example MX 10 a.example\nx.example !nofollow", "", 0},
		{"a long chain", chain(15) + "n15.example MX 10 a.example", "", 0},
		{"a longer chain", chain(17) + "n17.example MX 10 a.example", "temporary", 0},
		{"CNAME of nothing", "x.example CNAME y.example", "NXDOMAIN", 0},
		{"CNAME of a name without MX", "x.example CNAME y.example\ny.example A 192.0.2.1", "NODATA", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone := c.zone
			if !strings.Contains(zone, "CNAME") {
				zone += "\n" + good
			}
			r, s := zones(t, zone)
			if c.want == "temporary" {
				r.tryTime = 200 * time.Millisecond
			}
			got, err := r.MX(t.Context(), "x.example")
			if kindOf(err) != c.want || c.want == "" && !slices.Equal(got, []MX{{"a.example", 10}}) {
				t.Errorf("%v, %v; want %q", got, err, c.want)
			}
			if n := s.CountBy("tcp"); n != c.tcp {
				t.Errorf("%d questions by TCP, want %d", n, c.tcp)
			}
		})
	}
}

// An error says by name what the server answered.
func TestRefusalsAreNamed(t *testing.T) {
	for word, want := range map[string]string{"servfail": "answer SERVFAIL", "refused": "answer REFUSED"} {
		r, _ := zones(t, "x.example !"+word)
		if _, err := r.MX(t.Context(), "x.example"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if got := rcodeName(4000); got != "RCODE4000" {
		t.Error(got)
	}
}

// chain is n CNAMEs, from x.example to nN.example.
func chain(n int) string {
	var b strings.Builder
	from := "x"
	for i := 1; i <= n; i++ {
		to := "n" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		if i < 10 {
			to = "n" + string(rune('0'+i))
		}
		b.WriteString(from + ".example CNAME " + to + ".example\n")
		from = to
	}
	return b.String()
}

// Of an answer with thousands of records a hundred are used.
func TestManyRecords(t *testing.T) {
	r, _ := zones(t, strings.Repeat("x.example MX 10 a.example\n", 2000))
	got, err := r.MX(t.Context(), "x.example")
	if err != nil || len(got) != maxRecords {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// TestHalfAnAnswer: with one family unknown nothing is known, and one that exists is
// enough.
func TestHalfAnAnswer(t *testing.T) {
	for _, c := range []struct{ zone, want string }{
		{"x.example A 192.0.2.1\nx.example AAAA !servfail", ""},
		{"x.example A 192.0.2.1\nx.example AAAA !nxdomain", ""},
		{"x.example TXT x\nx.example AAAA !servfail", "temporary"},
		{"x.example AAAA !servfail", "temporary"},
		{"x.example A !servfail\nx.example AAAA !nxdomain", "temporary"},
		{"x.example TXT x\nx.example AAAA !nxdomain", "NODATA"},
		{"", "NXDOMAIN"},
	} {
		r, _ := zones(t, c.zone)
		for range 2 { // fresh, and remembered
			if _, err := r.Addrs(t.Context(), "x.example"); kindOf(err) != c.want {
				t.Errorf("%q: %v", c.zone, err)
			}
		}
	}
}

// TestTwoServers: the second is asked where the first does not answer, and the first again
// before it is given up.
func TestTwoServers(t *testing.T) {
	r := newResolver(t, "")
	conf := "# hello\nsearch example\nnameserver 127.0.0.1\nnameserver junk\n"
	if err := os.WriteFile(r.system.path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, trusted, err := r.servers(); err != nil || trusted || !slices.Equal(got, []string{"127.0.0.1:53"}) {
		t.Errorf("%v %v %v", got, trusted, err)
	}
	if err := os.WriteFile(r.system.path, []byte(conf+"nameserver ::1\noptions trust-ad\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, trusted, err := r.servers(); err != nil || trusted || !slices.Equal(got, []string{"127.0.0.1:53", "[::1]:53"}) {
		t.Errorf("changed: %v %v %v", got, trusted, err)
	}
	dead, good := dnstest.New(t, "x.example !servfail"), dnstest.New(t, "x.example MX 10 a.example")
	r.system.parse = func(string) ([]string, error) { return []string{dead.Addr, good.Addr}, nil }
	r.system.read = false
	if _, err := r.MX(t.Context(), "x.example"); err != nil || dead.Count("") != 1 || good.Count("") != 1 {
		t.Errorf("%v, %d and %d questions", err, dead.Count(""), good.Count(""))
	}
	r.system.parse = func(string) ([]string, error) { return []string{dead.Addr}, nil }
	r.system.read = false
	if _, err := r.MX(t.Context(), "x.example"); kindOf(err) != "temporary" || dead.Count("") != 3 {
		t.Errorf("%v, %d questions", err, dead.Count(""))
	}
}

// TestContext: the caller's time ends a lookup, whoever is silent.
func TestContext(t *testing.T) {
	r, s := zones(t, "x.example !silent")
	r.tryTime = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.Addrs(ctx, "x.example")
	if kindOf(err) != "temporary" || !strings.Contains(err.Error(), s.Addr+": no answer in time") {
		t.Error(err)
	}
	if _, err := newResolver(t, "broken").MX(t.Context(), "x.example"); kindOf(err) != "temporary" || !strings.Contains(err.Error(), "control/resolver:1") {
		t.Error(err)
	}
}
