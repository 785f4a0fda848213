package relay

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/settle"
	"paperpath/internal/status"
)

// dual makes a domain whose one host has an IPv6 and an IPv4 address, each with its own
// peer, in this order.
func dual(t *testing.T, first, second func(int, string) string) (l *lab, six, four *peer) {
	t.Helper()
	l = newLab(t)
	six, four = newPeerAt(t, "[::1]:0", first), newPeer(t, second)
	l.mx("dual.example", "mx.dual.example")
	l.host("mx.dual.example", "2001:db8::25", six)
	l.host("mx.dual.example", "192.0.2.25", four)
	return l, six, four
}

const noPTR = "550-5.7.25 [2001:db8::1] The IP address sending this message does not\r\n550 5.7.25 have a PTR record"

// TestOtherFamily: a refusal for the address that we come from is followed by an
// attempt from the other one; the last failure counts.
func TestOtherFamily(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second func(int, string) string
		exit          int
		text          string
		texts         int // that the second took
	}{
		{"MAIL refused, the other takes it", always("MAIL", noPTR), kind, 0, "", 1},
		{"RCPT refused", always("RCPT", "550 5.7.23 SPF check failed"), kind, 0, "", 1},
		{"end of text refused", always(".", "554 5.7.1 Client host blocked using zen.spamhaus.org"), kind, 0, "", 1},
		{"greeting refused", always("", "554 bad DNS PTR resource record"), kind, 0, "", 1},
		{"both refuse for the address", always("RCPT", noPTR), always("RCPT", "550 5.7.25 no PTR for four"), 69, "no PTR for four", 0},
		{"the other knows no such mailbox", always("MAIL", noPTR), always("RCPT", "550 5.1.1 nobody"), 69, "550 5.1.1 nobody", 0},
		{"the other defers", always("MAIL", noPTR), always("RCPT", "451 4.3.0 later"), 75, "451 4.3.0 later", 0},
		{"another refusal is final", always("RCPT", "550 5.1.1 nobody"), kind, 69, "nobody", 0},
		{"a refusal of the content is final", always(".", "550 5.7.1 this is spam"), kind, 69, "this is spam", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, six, four := dual(t, c.first, c.second)
			res := l.send("bob@dual.example")[0]
			if got := status.Exit(res.Err); got != c.exit {
				t.Fatalf("exit %d, want %d: %v", got, c.exit, res.Err)
			}
			if c.text != "" && !strings.Contains(res.Err.Error(), c.text) {
				t.Errorf("%v, want %q in it", res.Err, c.text)
			}
			if n, _, _ := six.seen(); n != 1 {
				t.Errorf("%d sessions over IPv6", n)
			}
			_, _, texts := four.seen()
			n := len(slices.DeleteFunc(texts, func(s string) bool { return s == ".\r\n" })) // for the 354 to nobody
			if n != c.texts {
				t.Errorf("%d texts over IPv4, want %d", n, c.texts)
			}
		})
	}
}

// TestOtherFamilyReversed: the same from IPv4 to IPv6, past further addresses of the
// family that refused.
func TestOtherFamilyReversed(t *testing.T) {
	l := newLab(t)
	four, more, six := newPeer(t, always("RCPT", noPTR)), newPeer(t, kind), newPeerAt(t, "[::1]:0", kind)
	l.mx("dual.example", "a.example", "b.example")
	l.host("a.example", "192.0.2.25", four)
	l.host("b.example", "192.0.2.26", more)
	l.host("b.example", "2001:db8::26", six)
	if res := l.send("bob@dual.example")[0]; res.Err != nil {
		t.Fatal(res.Err)
	}
	if n, _, _ := more.seen(); n != 0 {
		t.Error("another address of the family that refused was tried")
	}
	if _, _, texts := six.seen(); len(texts) != 1 {
		t.Errorf("%d texts over IPv6", len(texts))
	}
}

// TestOtherFamilyOfOne: only the recipient that was refused goes to the other family.
func TestOtherFamilyOfOne(t *testing.T) {
	l, six, four := dual(t, always("RCPT TO:<carol@", noPTR), kind)
	for _, res := range l.send("bob@dual.example", "carol@dual.example") {
		if res.Err != nil {
			t.Error(res.Err)
		}
	}
	_, _, a := six.seen()
	_, _, b := four.seen()
	if len(a) != 1 || len(b) != 1 || four.count("RCPT TO:<bob@") != 0 {
		t.Errorf("%d texts over IPv6, %d over IPv4", len(a), len(b))
	}
}

// TestRuleActions: what a row of control/reply-rules does.
func TestRuleActions(t *testing.T) {
	for _, c := range []struct {
		rule, reply string
		exit        int
		enhanced    string
		second      int // sessions with the second host
		check       func(l *lab, r settle.Result) bool
	}{
		{"550 5.7.1: retry", "550 5.7.1 go away", 75, "4.7.1", 1, nil},
		{"550 5.7.1: retry 20m", "550 5.7.1 go away", 75, "4.7.1", 1,
			func(_ *lab, r settle.Result) bool { return r.Again == 20*time.Minute }},
		{"450: retry 1m", "450 try again in 600 seconds", 75, "4.0.0", 1,
			func(_ *lab, r settle.Result) bool { return r.Again == 10*time.Minute }},
		{"450 4.7.1: bounce", "450 4.7.1 never", 69, "5.7.1", 0, nil},
		{"550: hold", "550 5.7.1 look", 69, "5.7.1", 0, func(_ *lab, r settle.Result) bool { return r.Hold }},
		{"450: hold", "450 4.7.1 look", 69, "5.7.1", 0, func(_ *lab, r settle.Result) bool { return r.Hold }},
		{"550: other-route", "550 5.1.1 not here", 69, "5.1.1", 1, nil},
		{"*: standard", noPTR, 69, "5.7.25", 0, func(_ *lab, r settle.Result) bool { return r.Rule == "" }},
		{"550 host=elsewhere.example: retry", "550 5.1.1 no", 69, "5.1.1", 0, nil},
		{"550 to=.example: retry", "550 5.1.1 no", 75, "4.1.1", 1, nil},
		{"(broken: hold", "550 5.1.1 no", 75, "4.1.1", 0, nil},
		{"550 5.7.1: slow 20m", "550 5.7.1 too much", 75, "4.7.1", 1, func(l *lab, _ settle.Result) bool {
			rests := l.send("bob@two.example")[0].Err
			l.now = l.now.Add(21 * time.Minute)
			later := l.send("bob@two.example")[0].Err
			return strings.Contains(rests.Error(), "two.example asked for less mail at ") &&
				strings.Contains(later.Error(), "550 5.7.1 too much")
		}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			l := newLab(t)
			l.set("reply-rules", c.rule)
			l.pool.slowPause = time.Millisecond
			one, two := newPeer(t, always("RCPT", c.reply)), newPeer(t, always("RCPT", c.reply))
			l.mx("two.example", "a.two.example", "b.two.example")
			l.host("a.two.example", "192.0.2.25", one)
			l.host("b.two.example", "192.0.2.26", two)
			res := l.send("bob@two.example")[0]
			if got := status.Exit(res.Err); got != c.exit || status.Enhanced(res.Err) != c.enhanced {
				t.Fatalf("exit %d, %s, want %d, %s: %v", got, status.Enhanced(res.Err), c.exit, c.enhanced, res.Err)
			}
			if n, _, _ := two.seen(); n != c.second {
				t.Errorf("%d sessions with the second host, want %d", n, c.second)
			}
			if c.check != nil && !c.check(l, res) {
				t.Errorf("%+v", res)
			}
		})
	}
}

// TestRestLasts: replies that come while a destination rests do not end its rest, and a
// person does.
func TestRestLasts(t *testing.T) {
	var r reachability
	now := time.Now()
	r.rest("x.example", outage{since: now, pause: time.Hour, noted: time.Now(), asked: true})
	r.reached("x.example")
	if _, paused := r.paused("x.example", now.Add(time.Minute), time.Time{}); !paused {
		t.Error("a reply ended the rest")
	}
	if _, paused := r.paused("x.example", now.Add(time.Minute), time.Now().Add(time.Second)); paused {
		t.Error("a person did not end the rest")
	}
	if _, paused := r.paused("x.example", now.Add(61*time.Minute), time.Time{}); paused {
		t.Error("the rest does not end")
	}
	r.failed("x.example", "silent", now.Add(2*time.Hour), now.Add(2*time.Hour))
	if o := r.unreachable["x.example"]; o.pause != firstPause || o.asked {
		t.Errorf("%+v after the first failure", o)
	}
}

func TestExplainReply(t *testing.T) {
	l := newLab(t)
	l.set("reply-rules", "550 \"never mind\": hold\n421 host=.example.org: slow 3m")
	for _, c := range []struct{ reply, host, want string }{
		{"550 5.1.1 never mind", "", "rule 550 \"never mind\": hold (control/reply-rules:1) => hold"},
		{"421 busy", "mx.example.org", "rule 421 host=.example.org: slow 3m (control/reply-rules:2) => try the next host, then defer, with no mail for the destination for 3m0s and little after that"},
		{"421 busy", "", "rule none, so the first digit decides (RFC 5321 4.2.1) => try the next host, then defer"},
		{"550 5.1.1 nobody", "", "rule none, so the first digit decides (RFC 5321 4.2.1) => bounce"},
		{"550 5.7.25 PTR", "", "=> try addresses of the other family, then bounce"},
	} {
		text := ""
		end, err := l.ExplainReply(c.reply, c.host, "", func(decision, value, source string) {
			text = decision + " " + value + " (" + source + ")"
		})
		if err != nil || !strings.HasSuffix(text+" => "+end, c.want) {
			t.Errorf("%s: %s => %s, %v; want %s", c.reply, text, end, err, c.want)
		}
	}
	for _, bad := range []string{"", "hello", "250 ok", "55", "5500 x"} {
		if _, err := l.ExplainReply(bad, "", "", func(_, _, _ string) {}); status.Exit(err) != status.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestHint(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"451 4.7.1 Greylisted, try again in 300 seconds":                           5 * time.Minute,
		"450 4.2.0 Greylisted for 60 seconds (see http://example.org/a300seconds)": time.Minute,
		"450 please retry after 5 minutes":                                         5 * time.Minute,
		"450 come back in 2 hours":                                                 2 * time.Hour,
		"450 try again in 99999 hours":                                             longestHint,
		"451 Greylisting in action, please come back in 00:04:59":                  4*time.Minute + 59*time.Second,
		"451 later":                         0,
		"450 5 seconds":                     0,
		"450 in 123456 seconds":             0,
		"450 found in 3 messages":           0,
		"450 reputation for 192.0.2.1 is 3": 0,
	} {
		if got := hint(text); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// newPeerAt is newPeer at an address of its own; a machine without it skips the test.
func newPeerAt(t *testing.T, address string, reply func(int, string) string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("MISSING %s: %v", address, err)
		}
		t.Skipf("MISSING %s: %v", address, err)
	}
	return peerOn(t, l, reply)
}

// mx makes hosts the MX of a domain, the first one first.
func (l *lab) mx(domain string, hosts ...string) {
	for i, h := range hosts {
		l.w.mx[domain] = append(l.w.mx[domain], dns.MX{Host: h, Pref: uint16(i)})
	}
}
