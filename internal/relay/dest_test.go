package relay

import (
	"testing"

	"paperpath/internal/smtpc"
)

// A session that was greeted allows two more; not while the destination complains.
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
		{"a greeting", func(d *dest) { d.greeted(b) }, 4},
		{"two", func(d *dest) { d.greeted(b); d.greeted(b) }, 6},
		{"a greeting and a message", func(d *dest) { d.greeted(b); d.heard(good, b) }, 5},
		{"after a 450", func(d *dest) { d.heard(busy, b); d.greeted(b) }, 2},
		{"after a 450 and a message", func(d *dest) { d.heard(busy, b); d.heard(good, b); d.greeted(b) }, 5},
		{"after a 421", func(d *dest) { d.heard(full, b); d.greeted(b) }, 1},
		{"after a refused connection", func(d *dest) { d.refused(); d.greeted(b) }, 1},
		{"a destination that asked for less mail", func(d *dest) { d.slowly = true; d.greeted(b) }, 2},
		{"many", func(d *dest) {
			for range 100 {
				d.greeted(b)
			}
		}, 20},
	} {
		d := &dest{allowed: firstAllowed}
		if tt.do(d); d.allowed != tt.want {
			t.Errorf("%s: %d sessions are allowed, want %d", tt.name, d.allowed, tt.want)
		}
	}
}
