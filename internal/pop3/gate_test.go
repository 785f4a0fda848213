package pop3

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGateDelay(t *testing.T) {
	clock := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	dir := filepath.Join(t.TempDir(), "pop3")
	g := NewGate(dir, now)
	const delay = time.Minute
	if err := g.enter("alice@example.net", delay, 0); err != nil {
		t.Fatal(err)
	}
	g.entered("alice@example.net", delay)
	clock = clock.Add(59 * time.Second)
	// Another process knows it too, whatever the case of the name; bob is unknown.
	for name, other := range map[string]*Gate{"the same": g, "another": NewGate(dir, now)} {
		if err := other.enter("Alice@Example.net", delay, 0); err != errTooSoon {
			t.Errorf("%s process: %v", name, err)
		}
		if err := other.enter("bob@example.net", delay, 0); err != nil {
			t.Errorf("%s process, bob: %v", name, err)
		}
	}
	// A refused login does not count.
	clock = clock.Add(time.Second)
	if err := NewGate(dir, now).enter("alice@example.net", delay, 0); err != nil {
		t.Errorf("after the delay: %v", err)
	}
	// A clock that is set back locks nobody out.
	clock = clock.Add(-time.Hour)
	if err := g.enter("alice@example.net", delay, 0); err != nil {
		t.Errorf("after the clock was set back: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 || strings.Contains(files[0].Name(), "alice") {
		t.Errorf("files %v", files)
	}
}

// If nothing can be written, the times are kept in memory.
func TestGateWithoutDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := NewGate(filepath.Join(file, "pop3"), time.Now)
	for i, want := range []error{nil, errTooSoon} {
		if err := g.enter("alice@example.net", time.Hour, 0); err != want {
			t.Errorf("login %d: %v, want %v", i+1, err, want)
		}
		g.entered("alice@example.net", time.Hour)
	}
}

func TestGateSessions(t *testing.T) {
	g := NewGate(t.TempDir(), time.Now)
	for i, want := range []error{nil, nil, errTooMany} {
		if err := g.enter("alice@example.net", 0, 2); err != want {
			t.Errorf("session %d: %v", i+1, err)
		}
	}
	g.leave("alice@example.net")
	if err := g.enter("alice@example.net", 0, 2); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	g.leave("alice@example.net")
	g.leave("alice@example.net")
	if len(g.open) != 0 {
		t.Errorf("sessions left: %v", g.open)
	}
}

// The replies of RFC 2449 8.1.1 and 8.1.2; and a session makes room for another one
// however it ends.
func TestGateReplies(t *testing.T) {
	for _, row := range []struct {
		delay          time.Duration
		most           int
		second, fourth string
	}{
		{time.Hour, 0, "-ERR [LOGIN-DELAY] ", "-ERR [LOGIN-DELAY] "},
		{0, 1, "-ERR [IN-USE] too many sessions", "+OK"},
	} {
		h := newHost(t, []string{"folder Junk"})
		h.cfg.Gate, h.cfg.LoginDelay, h.cfg.MaxPerUser = NewGate(h.home+"/run", time.Now), row.delay, row.most
		login := func(name string) (*client, string, <-chan error) {
			c, done := h.start(context.Background())
			fmt.Fprintf(c, "USER %s\r\nPASS secret\r\n", name)
			c.await(3)
			c.mu.Lock()
			defer c.mu.Unlock()
			return c, strings.Split(string(c.got), "\r\n")[2], done
		}
		first, reply, firstDone := login("alice@example.net")
		if reply != "+OK 0 messages" {
			t.Errorf("first: %q", reply)
		}
		second, reply, secondDone := login("alice@example.net+Junk")
		if !strings.HasPrefix(reply, row.second) {
			t.Errorf("second: %q", reply)
		}
		third, reply, thirdDone := login("bob@example.net") // wrong password: nothing is said of delays
		if !strings.HasPrefix(reply, "-ERR [AUTH]") {
			t.Errorf("third: %q", reply)
		}
		first.Close()
		ended(t, firstDone)
		fourth, reply, fourthDone := login("alice@example.net")
		if !strings.HasPrefix(reply, row.fourth) {
			t.Errorf("fourth: %q", reply)
		}
		second.Close()
		third.Close()
		fourth.Close()
		ended(t, secondDone)
		ended(t, thirdDone)
		ended(t, fourthDone)
	}
}
