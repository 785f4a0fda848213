package relay

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/status"
)

// TestDeadHost: a queue of mail for a dead host costs one attempt a rest.
func TestDeadHost(t *testing.T) {
	l := newLab(t)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 10}}
	l.host("a.example", "192.0.2.1", nil)
	dials := 0
	l.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return l.w.dial(ctx, network, address)
	}
	step := func(after time.Duration, dialed int) error {
		t.Helper()
		l.now = l.now.Add(after)
		err := l.send(far)[0].Err
		if !status.IsTemporary(err) && err != nil || dials != dialed {
			t.Fatalf("after %v: %d dials, want %d: %v", after, dials, dialed, err)
		}
		return err
	}
	step(0, 1)
	if err := step(59*time.Second, 1); !strings.Contains(err.Error(), "is not tried again before") ||
		!strings.Contains(err.Error(), "a.example [192.0.2.1]:25: connect:") {
		t.Errorf("%v", err)
	}
	step(time.Second, 2)
	step(119*time.Second, 2)
	step(time.Second, 3)
	l.host("a.example", "192.0.2.1", newPeer(t, kind))
	l.w.addrs["a.example"] = l.w.addrs["a.example"][:1]
	if err := step(4*time.Minute, 4); err != nil {
		t.Error(err)
	}
	if err := step(0, 5); err != nil {
		t.Error(err)
	}
}

// TestStop: the signal to stop lets a session under way finish, and no longer
// than the grace.
func TestStop(t *testing.T) {
	l := newLab(t)
	l.Times.Grace = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	p := newPeer(t, func(_ int, command string) string {
		if command == "." {
			cancel()
			return sayNone
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.Times.Answer = time.Minute
	err := l.Send(ctx, l.message(letter, far), []int{0})[0].Err
	if !status.IsTemporary(err) || !strings.Contains(err.Error(), "final dot: no answer in time") {
		t.Errorf("%v", err)
	}
	if err := l.Send(ctx, l.message(letter, far), []int{0})[0].Err; !status.IsTemporary(err) {
		t.Errorf("%v", err)
	}
}
