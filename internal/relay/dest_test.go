package relay

import (
	"strings"
	"testing"

	"paperpath/internal/smtpc"
)

// A greeting allows a session more, and so does an answer to EHLO; not while the
// destination complains.
func TestGreetingsAllowSessions(t *testing.T) {
	b := bounds{destination: 20}
	good := &smtpc.Result{Mail: smtpc.Reply{Code: 250}, Final: smtpc.Reply{Code: 250}}
	busy := &smtpc.Result{Mail: smtpc.Reply{Code: 250}, Rcpt: []smtpc.Reply{{Code: 450}}}
	full := &smtpc.Result{Words: smtpc.Reply{Code: 421}}
	for _, tt := range []struct {
		name string
		do   func(d *dest)
		want int
	}{
		{"a greeting", func(d *dest) { d.welcomed(b) }, 3},
		{"and EHLO", func(d *dest) { d.welcomed(b); d.welcomed(b) }, 4},
		{"a greeting and a message", func(d *dest) { d.welcomed(b); d.heard(good, b) }, 4},
		{"after a 450", func(d *dest) { d.heard(busy, b); d.welcomed(b) }, 2},
		{"after a 450 and a message", func(d *dest) { d.heard(busy, b); d.heard(good, b); d.welcomed(b) }, 4},
		{"after a 421", func(d *dest) { d.heard(full, b); d.welcomed(b) }, 1},
		{"after a refused connection", func(d *dest) { d.refused(); d.welcomed(b) }, 1},
		{"a destination that asked for less mail", func(d *dest) { d.slowly = true; d.welcomed(b) }, 2},
		{"many", func(d *dest) {
			for range 100 {
				d.welcomed(b)
			}
		}, 20},
	} {
		d := &dest{allowed: firstAllowed}
		if tt.do(d); d.allowed != tt.want {
			t.Errorf("%s: %d sessions are allowed, want %d", tt.name, d.allowed, tt.want)
		}
	}
}

// Three times as many sessions as are allowed may be calling besides, where the host has greeted before
// and does not complain; never more than the bound.
func TestCallersNeedNoRoom(t *testing.T) {
	b := bounds{destination: 20}
	for _, tt := range []struct {
		name string
		dest dest
		want int
	}{
		{"no greeting so far", dest{allowed: 2}, 2},
		{"greeted", dest{allowed: 4, greeted: true}, 16},
		{"the bound of all", dest{allowed: 15, greeted: true}, 20},
		{"its own bound", dest{allowed: 4, greeted: true, own: 5}, 5},
		{"one", dest{allowed: 4, greeted: true, own: 1}, 1},
		{"its last transaction had a 4xx", dest{allowed: 4, greeted: true, doubtful: true}, 4},
		{"it asked for less mail", dest{allowed: 4, greeted: true, slowly: true}, 4},
	} {
		for n := range 30 {
			if tt.dest.sessions = n; tt.dest.room(b) != (n < tt.want) {
				t.Errorf("%s: room for one besides %d: %v, want it for %d", tt.name, n, tt.dest.room(b), tt.want)
			}
		}
	}
}

// A session is not one too many because of those that are calling.
func TestCallersAreNoSurplus(t *testing.T) {
	for calling, want := range map[int]bool{4: false, 3: true, 8: false} {
		l := newLab(t)
		k := &kept{pool: l.pool, dest: &dest{allowed: 4, sessions: 8, calling: calling}}
		if k.surplus() != want {
			t.Errorf("8 sessions, 4 allowed, %d calling: one too many: %v", calling, !want)
		}
	}
}

// The answers to the first envelope of a session are a round, too, if none is a 4xx.
func TestFirstEnvelopeAllowsASession(t *testing.T) {
	for refused, want := range map[string]int{"": firstAllowed + 3, "RCPT TO:<b@": firstAllowed + 2} {
		l := newLab(t)
		at, name := make(chan int, 2), make(chan string, 1)
		p := newPeer(t, func(_ int, said string) string {
			switch {
			case said == ".": // behind greeting, EHLO and envelope
				at <- l.allowed(<-name)
			case refused != "" && strings.HasPrefix(said, refused):
				return "450 4.2.0 not now"
			}
			return ""
		})
		l.route("elsewhere.example", p)
		name <- p.addr
		l.send("a@elsewhere.example", "b@elsewhere.example")
		if n := <-at; n != want {
			t.Errorf("a 450 to %q: %d sessions are allowed at the end of the text, want %d", refused, n, want)
		}
	}
}
