package relay

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// TestDeadHost: a queue of mail for a dead host costs one attempt a pause.
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
	if err := step(59*time.Second, 1); !strings.Contains(err.Error(), "next attempt after") ||
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
	if err := step(0, 4); err != nil { // in the same session
		t.Error(err)
	}
}

// TestStop: the signal to stop lets a session under way finish, but not beyond the
// grace period.
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

// TestAskedEndsARest: a person's request ends the pauses that began before it, once.
func TestAskedEndsARest(t *testing.T) {
	var m reachability
	now := time.Now()
	m.failed("x", "down", now, now)
	noted := m.unreachable["x"].noted
	for asked, want := range map[time.Time]bool{{}: true, noted.Add(-time.Second): true, noted.Add(time.Second): false} {
		if _, paused := m.paused("x", now, asked); paused != want {
			t.Errorf("asked %v after the failure: paused is %v", asked.Sub(noted), paused)
		}
	}
	m.failed("x", "still down", now.Add(time.Second), now.Add(time.Second))
	if pause := m.unreachable["x"].pause; pause != firstPause {
		t.Errorf("an attempt that was asked for makes the pause %v", pause)
	}
	m.failed("x", "still down", now.Add(2*time.Minute), now.Add(2*time.Minute))
	if pause := m.unreachable["x"].pause; pause != 2*firstPause {
		t.Errorf("the attempt after the pause makes it %v", pause)
	}
}

// TestRetryTriesARestingDestination: an entry that a person makes due is tried although
// its destination is paused, and then all mail goes there again.
func TestRetryTriesARestingDestination(t *testing.T) {
	s := newStage(t)
	var up atomic.Bool
	p := newPeer(t, func(n int, command string) string {
		if !up.Load() {
			return hangUp
		}
		return kind(n, command)
	})
	s.set("routes", "elsewhere.example: "+p.addr)
	for range 3 {
		s.accept(far)
	}
	s.run(context.Background())
	list, err := s.spool.List(spool.InboxRelay)
	if err != nil || len(list) != 3 || list[0].State != "deferred" {
		t.Fatalf("%+v, %v", list, err)
	}
	up.Store(true)
	e, err := s.spool.Find(list[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.spool.Retry(e); err != nil {
		t.Fatal(err)
	}
	e.Close()
	s.run(context.Background()) // by the same relay, which remembers, at the same time
	if n := p.count("DATA"); n != 1 {
		t.Errorf("sent %d times\n%+v", n, s.files())
	}
	if left, err := s.spool.List(spool.InboxRelay); err != nil || len(left) != 2 {
		t.Errorf("left are %+v, %v", left, err)
	}
}
