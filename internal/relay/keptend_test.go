package relay

import (
	"testing"
	"time"
)

// TestIdleSessionEnds: a session without work says QUIT after idleTime, and so does one whose route
// has changed: the next message goes where the new one leads.
func TestIdleSessionEnds(t *testing.T) {
	t.Parallel() // it waits
	l, first, second := newLab(t), newPeer(t, kind), newPeer(t, kind)
	for _, p := range []*peer{first, second} {
		l.route("elsewhere.example", p)
		sent := time.Now()
		if err := l.send(far)[0].Err; err != nil {
			t.Fatal(err)
		}
		if p == first {
			continue
		}
		waitFor(t, func() bool { return first.count("QUIT") == 1 && second.count("QUIT") == 1 })
		if took := time.Since(sent); took < idleTime {
			t.Errorf("it ended after %v", took)
		}
	}
	if n, _, _ := second.seen(); n != 1 || first.count("MAIL") != 1 {
		t.Errorf("%d sessions with the second, %d messages to the first", n, first.count("MAIL"))
	}
}

// TestSessionTime: a session that has lasted for session-time ends with its message, and the next one has
// another.
func TestSessionTime(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", p)
	l.set("limits", "session-time: 3600")
	for n := range 3 {
		if err := l.send(far)[0].Err; err != nil {
			t.Fatal(err)
		}
		if sessions, _, _ := p.seen(); sessions != 1+n/2 {
			t.Errorf("message %d: %d sessions", n, sessions)
		}
		if n == 0 {
			l.age(time.Hour)
		}
	}
}

// age makes the idle sessions of a lab older.
func (l *lab) age(by time.Duration) {
	waitFor(l.t, func() bool {
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		for _, k := range l.pool.idle {
			k.until = k.until.Add(-by)
		}
		return len(l.pool.idle) > 0
	})
}
