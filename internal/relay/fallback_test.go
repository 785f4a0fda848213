package relay

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// Which of two targets gets the mail, and what becomes of it, by what the first does.
func TestFallback(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(int, string) string
		next  bool // the second one has it
		exit  int
	}{
		{"takes it", kind, false, 0},
		{"greeting closes", always("", hangUp), true, 0},
		{"greeting 4xx", always("", "421 4.3.2 not now"), true, 0},
		{"greeting 5xx", always("", "554 go away"), true, 0},
		{"greeting 521", always("", "521 no mail here"), true, 0},
		{"MAIL 4xx", always("MAIL", "450 4.1.8 busy"), true, 0},
		{"MAIL 5xx", always("MAIL", "550 5.1.8 no"), false, 69},
		{"RCPT 4xx", always("RCPT", "450 4.2.1 grey"), true, 0},
		{"RCPT 5xx", always("RCPT", "550 5.1.1 nobody"), false, 69},
		{"RCPT without a login", always("RCPT", "530 5.7.0 log in"), true, 0},
		{"DATA 4xx", always("DATA", "451 4.3.0 hm"), true, 0},
		{"cut in a text that was sent with its dot", always("DATA", cutText), false, 75},
		{"dot 4xx", always(".", "451 4.3.0 again"), true, 0},
		{"dot 5xx", always(".", "554 5.6.0 dislike"), false, 69},
		{"a loss between the dot and the answer", always(".", hangUp), false, 75},
	} {
		for _, by := range []string{"", "lmtp:"} {
			first := c.first
			if by != "" && strings.HasPrefix(c.name, "greeting 521") {
				continue
			}
			l, p, q := newLab(t), newPeer(t, first), newPeer(t, kind)
			l.set("routes", "elsewhere.example: "+by+p.addr+" "+q.addr)
			err := l.send(far)[0].Err
			_, _, texts := q.seen()
			if status.Exit(err) != c.exit || (len(texts) == 1) != c.next {
				t.Errorf("%s%s: %v, the next got %d messages", by, c.name, err, len(texts))
			}
		}
	}
}

// A target that cannot be reached or found costs nothing but a try.
func TestFallbackUnreachable(t *testing.T) {
	for name, first := range map[string]string{
		"refused": "192.0.2.7", "TLS that is none": "tls:PLAIN", "no such host": "gone.example",
		"no such domain": "mx", "no socket": "lmtp:/nonexistent",
	} {
		l, p := newLab(t), newPeer(t, kind)
		l.w.errs["MX elsewhere.example"] = &dns.Error{Kind: dns.ErrNoDomain, Name: "elsewhere.example", Type: "MX"}
		l.set("routes", "elsewhere.example: "+strings.ReplaceAll(first, "PLAIN", newPeer(t, kind).addr)+" "+p.addr)
		if err := l.send(far)[0].Err; err != nil || p.count("DATA") != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// After all targets the temporary failure counts, even if the domain does not exist.
func TestFallbackFails(t *testing.T) {
	l := newLab(t)
	l.w.errs["MX elsewhere.example"] = &dns.Error{Kind: dns.ErrNoDomain, Name: "elsewhere.example", Type: "MX"}
	l.set("routes", "elsewhere.example: 192.0.2.7 mx")
	if err := l.send(far)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "192.0.2.7:25: connect") {
		t.Error(err)
	}
}

// A domain that accepts no mail is not sent elsewhere.
func TestFallbackNullMX(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: ""}}
	l.set("routes", ".: mx "+p.addr)
	if err := l.send(far)[0].Err; status.Enhanced(err) != "5.1.10" || p.count("") != 0 {
		t.Error(err)
	}
}

// Each target has addresses and sessions of its own to try.
func TestFallbackBudget(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	busy := newPeer(t, always("RCPT", "450 4.2.1 grey"))
	for i := range 12 {
		name := string(rune('a'+i)) + ".example"
		l.w.mx["elsewhere.example"] = append(l.w.mx["elsewhere.example"], dns.MX{Host: name, Pref: uint16(i)})
		l.host(name, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String(), busy)
	}
	l.set("routes", ".: mx "+p.addr)
	if err := l.send(far)[0].Err; err != nil || p.count("DATA") != 1 {
		t.Error(err)
	}
	if n := busy.count("MAIL"); n != maxSessions {
		t.Errorf("%d sessions with the first target", n)
	}
}

// Mail goes by the row for the domain, else by that of the sender, else by `.`; with --via
// by none of them.
func TestSenderRoutes(t *testing.T) {
	l, own, domain, rest, via := newLab(t), newPeer(t, kind), newPeer(t, kind), newPeer(t, kind), newPeer(t, kind)
	l.set("routes", "near.example: "+domain.addr+"\n.: "+rest.addr)
	l.set("sender-routes", "alice@example.net: "+own.addr)
	m := l.message(letter, "a@near.example", "b@far.example", "c@else.example")
	l.sendMessage(m)
	if len(l.done) != 3 || own.count("MAIL") != 1 || own.count("RCPT") != 2 || domain.count("RCPT") != 1 || rest.count("RCPT") != 0 {
		t.Errorf("%v: %d to the sender's, %d to the domain's, %d to the rest", l.done, own.count("RCPT"), domain.count("RCPT"), rest.count("RCPT"))
	}
	m = l.message(letter, far)
	m.From.Addr = "bob@example.net"
	l.sendMessage(m)
	if rest.count("RCPT") != 1 {
		t.Error("not by the row for every domain")
	}
	var err error
	if l.Via, err = ParseVia("192.0.2.7 " + via.addr); err != nil {
		t.Fatal(err)
	}
	l.send("a@near.example")
	if via.count("RCPT") != 1 {
		t.Error("not by --via")
	}
}

// Targets are explained in order, with the line that names them.
func TestExplainTargets(t *testing.T) {
	l := newLab(t)
	for row, want := range map[string]string{
		"192.0.2.7 tls:192.0.2.8 lmtp:192.0.2.9:24": "route: 192.0.2.7:25 (control/routes:1)\nroute: tls:192.0.2.8:465 (control/routes:1)\n" +
			"route: lmtp:192.0.2.9:24 (control/routes:1)\n.*=> relay to 192.0.2.7:25\n",
		"lmtp:192.0.2.9:24":    "=> relay to 192.0.2.9:24\n",
		"lmtp:/nonexistent h":  "=> relay to h ",
		"lmtp:/nonexistent":    "=> defer: control/routes:1: /nonexistent: no such file or directory\n",
		"lmtp:/etc/passwd":     "=> defer: control/routes:1: /etc/passwd: is not a socket\n",
		"program:/bin/sh -c x": "route: program:/bin/sh -c x (control/routes:1)\n.*=> relay to program:/bin/sh -c x\n",
		"program:/etc/passwd":  "=> defer: control/routes:1: /etc/passwd: permission denied\n",
		"program:/":            "=> defer: control/routes:1: /: is not a program\n",
		"hold":                 "=> hold (control/routes:1)\n",
		"local":                "=> local (control/routes:1): mailroute delivers it\n",
		"error: it moved":      "=> fail: it moved\n",
	} {
		l.set("routes", "elsewhere.example: "+row)
		l.w.addrs["h"] = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		var trail explain.Trail
		_ = l.Explain(context.Background(), "alice@example.net", far, &trail)
		var b strings.Builder
		if err := trail.Write(&b, false); err != nil {
			t.Fatal(err)
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(want), `\.\*`, "(?s:.*)")
		if !regexp.MustCompile(pattern).MatchString(b.String()) {
			t.Errorf("%s:\n%s\nwant\n%s", row, &b, want)
		}
	}
}

// Rows that mailroute has seen otherwise.
func TestChangedRows(t *testing.T) {
	for row, want := range map[string]struct {
		temporary, hold bool
		text            string
	}{
		"hold":                  {false, true, "mail for elsewhere.example is held now"},
		"local":                 {true, false, "control/routes:1 says local now (mailctl queue reroute KEY)"},
		"error: 5.1.6 it moved": {false, false, "it moved"},
	} {
		l := newLab(t)
		l.set("routes", "elsewhere.example: "+row)
		res := l.send(far)[0]
		if res.Err == nil || status.IsTemporary(res.Err) != want.temporary || res.Hold != want.hold ||
			!strings.Contains(res.Err.Error(), want.text) {
			t.Errorf("%s: %+v", row, res)
		}
		if want.hold && res.Rule != "control/routes:1" {
			t.Errorf("%s: rule %q", row, res.Rule)
		}
	}
}
