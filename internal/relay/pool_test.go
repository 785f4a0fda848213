package relay

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/status"
)

// together sends n messages at the same time and returns what became of them.
func (l *lab) together(n int) []error {
	l.t.Helper()
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { errs[i] = l.send(far)[0].Err })
	}
	wait.Wait()
	return errs
}

// queued waits until so many orders wait for a session.
func (l *lab) queued(n int) {
	waitFor(l.t, func() bool {
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		for _, line := range l.pool.lines {
			if len(line.queue) == n {
				return true
			}
		}
		return false
	})
}

// allowed is how many sessions a destination may have.
func (l *lab) allowed(name string) int {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return l.pool.dests[name].most(l.pool.limits())
}

// TestOneSession: three messages in a row, and three at once, go in one session. (Three
// at once may have two, where the bound allows it.)
func TestOneSession(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", p)
	l.set("concurrency", "destination: 1")
	for range 3 {
		if err := l.send(far)[0].Err; err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range l.together(3) {
		if err != nil {
			t.Error(err)
		}
	}
	sessions, commands, texts := p.seen()
	if sessions != 1 || len(texts) != 6 {
		t.Errorf("%d sessions, %d texts\n%s", sessions, len(texts), strings.Join(commands, "\n"))
	}
	l.part()
	if p.count("QUIT") != 1 {
		t.Error("the session did not end with QUIT")
	}
}

// TestSessionBounds: a session ends after as many messages, and a destination and an
// address have as many sessions as control/ says, however much waits.
func TestSessionBounds(t *testing.T) {
	for _, c := range []struct {
		file, row string
		sessions  int // at once, at most
		messages  int // of a session, at most
	}{
		{"limits", "session-messages: 3", 100, 3},
		{"concurrency", "destination: 1", 1, 100},
		{"concurrency", "host: 1", 1, 100},
		{"concurrency", "mailrelay: 1", 1, 100},
	} {
		t.Run(c.row, func(t *testing.T) {
			l := newLab(t)
			var mu sync.Mutex
			open, most := map[int]int{}, 0
			p := newPeer(t, func(n int, command string) string {
				mu.Lock()
				defer mu.Unlock()
				switch command {
				case "QUIT":
					delete(open, n)
				case ".":
					open[n]++
					most = max(most, len(open))
					if open[n] > c.messages {
						t.Errorf("%d messages in a session", open[n])
					}
				}
				return ""
			})
			l.route("elsewhere.example", p)
			l.set(c.file, c.row)
			for _, err := range l.together(40) {
				if err != nil {
					t.Error(err)
				}
			}
			if most > c.sessions {
				t.Errorf("%d sessions at once, want at most %d", most, c.sessions)
			}
		})
	}
}

// TestGrowth: a destination that takes everything gets more sessions, one that says 421
// gets one.
func TestGrowth(t *testing.T) {
	l := newLab(t)
	var full atomic.Bool
	p := newPeer(t, func(_ int, command string) string {
		if full.Load() && strings.HasPrefix(command, "MAIL") {
			return "421 4.7.0 too much"
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.together(200)
	name := p.addr
	if n := l.allowed(name); n <= firstAllowed {
		t.Errorf("after 200 messages it may have %d sessions", n)
	}
	l.part()
	full.Store(true)
	l.send(far)
	if n := l.allowed(name); n != 1 {
		t.Errorf("after a 421 it may have %d sessions", n)
	}
}

// TestClosedMeanwhile: a session that the host has ended before the next message was
// answered, with a 421 or without a word, is no attempt.
func TestClosedMeanwhile(t *testing.T) {
	for _, last := range []string{hangUp, "421 4.4.2 idle\r\n" + hangUp} {
		l := newLab(t)
		mails := 0
		p := newPeer(t, func(n int, command string) string {
			if n == 1 && strings.HasPrefix(command, "MAIL") {
				if mails++; mails == 2 {
					return last
				}
			}
			return ""
		})
		l.route("elsewhere.example", p)
		for i := range 3 {
			if err := l.send(far)[0].Err; err != nil {
				t.Errorf("%q, message %d: %v", last, i, err)
			}
			waitFor(t, func() bool { l.pool.mu.Lock(); defer l.pool.mu.Unlock(); return len(l.pool.idle) == 1 })
		}
		if sessions, _, texts := p.seen(); sessions != 2 || len(texts) != 3 {
			t.Errorf("%q: %d sessions, %d texts, %q", last, sessions, len(texts), p.commands)
		}
	}
}

// TestClosesAfterSome: a host that closes after two messages is not asked for a third in
// the same session again, and no message is lost or sent twice.
func TestClosesAfterSome(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	taken := map[int]int{}
	p := newPeer(t, func(n int, command string) string {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(command, "RSET") || strings.HasPrefix(command, "MAIL") {
			if taken[n] == 2 {
				return hangUp
			}
		}
		if command == "." {
			taken[n]++
		}
		return ""
	})
	l.route("elsewhere.example", p)
	for _, err := range l.together(12) {
		if err != nil {
			t.Error(err)
		}
	}
	if s := l.known.style(p.addr, l.now); s.most != 2 {
		t.Errorf("it is remembered as %+v", s)
	}
	_, _, texts := p.seen()
	if len(texts) != 12 {
		t.Errorf("%d texts", len(texts))
	}
	l.part()
	before := p.count("QUIT")
	for _, err := range l.together(12) {
		if err != nil {
			t.Error(err)
		}
	}
	l.part()
	if ended := p.count("QUIT") - before; ended < 6 {
		t.Errorf("%d of the sessions with two messages each ended with QUIT", ended)
	}
}

// TestLostBehindDot: a session that breaks after the end of a text although the next
// envelope is behind it leaves that message unclear, the other gets another session, and
// nothing goes out behind the end of a text any more.
func TestLostBehindDot(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	broken := false
	p := newPeer(t, func(n int, command string) string {
		if n == 1 && command == "" {
			l.queued(7)
		}
		mu.Lock()
		defer mu.Unlock()
		if command == "." && n == 1 && !broken {
			broken = true
			return hangUp
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.set("concurrency", "destination: 1")
	lost := 0
	for _, err := range l.together(8) {
		if err != nil {
			lost++
			if !status.IsTemporary(err) || !strings.Contains(err.Error(), "final dot") {
				t.Error(err)
			}
		}
	}
	if s := l.known.style(p.addr, l.now); lost != 1 || !s.alone {
		t.Errorf("%d lost, %+v, %v", lost, s, p.commands)
	}
	if _, _, texts := p.seen(); len(texts) != 8 {
		t.Errorf("%d texts", len(texts))
	}
}

// TestStopWhileWaiting: an order to stop ends the wait of what no session has begun.
func TestStopWhileWaiting(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(context.Background())
	l.Times.Grace = 50 * time.Millisecond
	p := newPeer(t, func(_ int, command string) string {
		if command == "." {
			cancel()
			return sayNone
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.set("concurrency", "destination: 1")
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if err := l.Send(ctx, l.message(letter, far), []int{0})[0].Err; !status.IsTemporary(err) || strings.Contains(err.Error(), "no result") {
				t.Errorf("%#v", err)
			}
		})
	}
	wait.Wait()
}

// TestManyTerms: messages on other terms never share a session.
func TestManyTerms(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", p)
	for i := range 4 {
		l.set("source", fmt.Sprintf("alice@example.net: helo=h%d.example", i%2))
		if err := l.send(far)[0].Err; err != nil {
			t.Fatal(err)
		}
	}
	if sessions, _, _ := p.seen(); sessions != 2 || p.count("EHLO h0.example") != 1 || p.count("EHLO h1.example") != 1 {
		t.Errorf("%d sessions", sessions)
	}
}

// TestDestinations: a row limits the sessions of a domain, the messages in a time and the
// time between two of them.
func TestDestinations(t *testing.T) {
	t.Parallel() // it waits
	l, p := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", p)
	l.set("destinations", "elsewhere.example: rate=3/1h")
	var again []time.Duration
	for range 5 {
		if res := l.send(far)[0]; res.Err != nil {
			if !strings.Contains(res.Err.Error(), "control/destinations:1 allows 3 messages in 1h0m0s for elsewhere.example") {
				t.Error(res.Err)
			}
			again = append(again, res.Again)
		}
	}
	if len(again) != 2 || again[0] != 20*time.Minute || again[1] != 40*time.Minute {
		t.Errorf("deferred for %v", again)
	}
	l.set("destinations", "elsewhere.example: sessions=1 delay=1s")
	l.set("limits", "session-messages: 2")
	before, began := p.count("DATA"), time.Now()
	for _, err := range l.together(3) {
		if err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); p.count("DATA") != before+3 || took < 2*time.Second {
		t.Errorf("%d messages in %v", p.count("DATA")-before, took)
	}
	l.set("destinations", "elsewhere.example: rate=x")
	if err := l.send(far)[0].Err; !status.IsTemporary(err) {
		t.Errorf("with a broken row: %v", err)
	}
}

// trap is a message that cannot be read once it is armed.
type trap struct {
	io.ReaderAt
	armed atomic.Bool
}

func (r *trap) ReadAt(p []byte, at int64) (int, error) {
	if r.armed.Load() {
		panic("a defect")
	}
	return r.ReaderAt.ReadAt(p, at)
}

// TestPanicInASession: a defect of ours ends the session and defers its message, and what
// waits behind it goes in another session.
func TestPanicInASession(t *testing.T) {
	l := newLab(t)
	r := &trap{ReaderAt: strings.NewReader(longLetter)}
	p := newPeer(t, func(_ int, command string) string {
		if command == "DATA" {
			r.armed.Store(true)
		}
		return ""
	})
	l.route("elsewhere.example", p)
	m := l.message(longLetter, far)
	m.Content = io.NewSectionReader(r, 0, int64(len(longLetter)))
	err := l.sendMessage(m)[0].Err
	if !status.IsTemporary(err) || !strings.Contains(err.Error(), "a defect") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(l.log(), "event=trouble") || !strings.Contains(l.log(), "stack=") {
		t.Errorf("no trouble with a stack in %s", l.log())
	}
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("the message behind it: %v", err)
	}
	l.part()
}
