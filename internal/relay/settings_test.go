package relay

import (
	"context"
	"strings"
	"testing"

	"paperpath/internal/dns"
	"paperpath/internal/status"
)

// A host in control/routes that requires a login or TLS refuses our settings, not the
// message: the message waits, and an event says so. A reply about one recipient applies
// to that one alone.
func TestSmarthostWantsSettings(t *testing.T) {
	t.Parallel() // it waits
	for _, c := range []struct {
		verb, reply string
		waits       bool
	}{
		{"MAIL", "530 5.7.0 authentication required", true},
		{"MAIL", "530 5.7.0 must issue a STARTTLS command first", true},
		{"RCPT", "530 authentication required", true},
		{"DATA", "530 5.7.1 authentication required", true},
		{"MAIL", "535 5.7.8 authentication credentials invalid", true},
		{"RCPT", "538 5.7.11 encryption required", true},
		{"MAIL", "550 5.7.9 this mechanism is too weak", true},
		{"MAIL", "454 4.7.0 temporary authentication failure", true},
		{"RCPT", "550 5.1.1 no such user", false},
		{"RCPT", "550 5.7.1 relaying denied", false},
		{"MAIL", "550 5.1.8 no such sender", false},
		{"DATA", "554 5.6.0 no such text", false},
	} {
		s := newStage(t)
		s.t = t
		p := newPeer(t, always(c.verb, c.reply))
		s.route("elsewhere.example", p)
		s.accept(far, "near@elsewhere.example")
		s.run(context.Background())
		files := s.files()
		name := c.verb + " " + c.reply
		if want := "relay/cur relay/reason"; c.waits && places(files) != want {
			t.Errorf("%s: %s\n%s", name, places(files), s.log())
		}
		if !c.waits {
			if places(files) != "route/new" || !strings.Contains(files["route/new"], c.reply) {
				t.Errorf("%s: %s", name, places(files))
			}
			continue
		}
		match(t, files["relay/reason"], c.reply)
		if strings.HasPrefix(c.reply, "5") {
			match(t, s.log(), `op="settings for 127.0.0.1:\d+, mail is deferred" error=".*`+c.reply)
			if n := strings.Count(s.log(), "op=\"settings"); n != 1 {
				t.Errorf("%s: %d events", name, n)
			}
		}
	}
}

// From a host that the DNS names, the same replies are refusals like any other: a host
// that requires a login for its own mail gets none.
func TestMXWantsSettings(t *testing.T) {
	l := newLab(t)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
	l.host("a.example", "192.0.2.1", newPeer(t, always("MAIL", "530 5.7.0 authentication required")))
	if err := l.send(far)[0].Err; status.Exit(err) != status.Unavailable {
		t.Error(err)
	}
}
