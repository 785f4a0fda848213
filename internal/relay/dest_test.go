package relay

import (
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
