package relay

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/status"
)

const tooFast = "421 4.7.28 too fast"

// slowLab is a destination with many sessions, whose host asks for less mail once it is
// told to.
func slowLab(t *testing.T) (l *lab, p *peer, full *atomic.Bool) {
	t.Helper()
	l, full = newLab(t), new(atomic.Bool)
	l.pool.slowPause = 100 * time.Millisecond
	p = newPeer(t, func(_ int, command string) string {
		if full.Load() && strings.HasPrefix(command, "MAIL") {
			return tooFast
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.set("reply-rules", "421 4.7.28: slow 10m")
	return l, p, full
}

// TestSlow: a destination that asks for less mail rests, and then gets it in one session
// at a slow pace, which grows as it takes what it gets.
func TestSlow(t *testing.T) {
	t.Parallel() // it waits
	l, p, full := slowLab(t)
	l.together(100)
	if n := l.allowed(p.addr); n <= firstAllowed {
		t.Fatalf("%d sessions before", n)
	}
	l.part()
	full.Store(true)
	l.send(far)
	full.Store(false)
	if n := l.allowed(p.addr); n != 1 {
		t.Errorf("%d sessions after it asked for less", n)
	}
	if err := l.send(far)[0].Err; err == nil || !strings.Contains(err.Error(), "asked for less mail at ") {
		t.Errorf("while it rests: %v", err)
	}
	l.now = l.now.Add(11 * time.Minute)
	before, _, _ := p.seen()
	began := time.Now()
	for _, err := range l.together(3) {
		if err != nil {
			t.Error(err)
		}
	}
	sessions, _, _ := p.seen()
	if took := time.Since(began); took < 2*l.pool.slowPause || sessions != before+1 {
		t.Errorf("3 messages in %v, %d sessions", took, sessions-before)
	}
}

// TestSlowEnds: as many transactions without a 4xx as it takes, and nothing is slow.
func TestSlowEnds(t *testing.T) {
	d := &dest{allowed: 7}
	d.refused()
	d.slowly, d.pause = true, slowPause
	var pauses []time.Duration
	steps := 0
	for ; d.slowly; steps++ {
		if steps%slowStep == 0 {
			pauses = append(pauses, d.between())
			if d.allowed != 1+steps/slowStep {
				t.Errorf("%d sessions after %d messages", d.allowed, steps)
			}
		}
		d.took(20)
		if steps > 10000 {
			t.Fatal("it never ends")
		}
	}
	if pauses[0] != time.Second || pauses[1] != time.Second/2 || d.between() != 0 || d.allowed != 20 {
		t.Errorf("%v, then %d sessions after %d", pauses, d.allowed, steps)
	}
	d.delay, d.pause = 3*time.Second, time.Second
	if d.between() != 3*time.Second {
		t.Error("the row of control/destinations does not count")
	}
	one := &dest{allowed: 1, slowly: true, pause: slowPause}
	for range 7 * slowStep {
		one.took(1)
	}
	if one.slowly || one.allowed != 1 || one.between() != 0 {
		t.Errorf("with one session at most: %+v", one)
	}
}

// TestSlowEndsTheWait: what waits for a session does not go to the destination, nor to
// another host of it, once it asks for less.
func TestSlowEndsTheWait(t *testing.T) {
	t.Parallel() // it waits
	l, p, _ := slowLab(t)
	other := newPeer(t, kind)
	l.mx("two.example", "a.two.example", "b.two.example")
	var once sync.Once
	one := newPeer(t, func(_ int, command string) string {
		if command == "" {
			once.Do(func() { l.queued(9) })
		}
		return always("MAIL", tooFast)(0, command)
	})
	l.host("a.two.example", "192.0.2.25", one)
	l.host("b.two.example", "192.0.2.26", other)
	l.set("concurrency", "destination: 1")
	var rests, refused atomic.Int32
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			err := l.send("bob@two.example")[0].Err
			switch {
			case err == nil: // by the other host, for it was the first to be refused
				refused.Add(1)
			case status.IsTemporary(err) && strings.Contains(err.Error(), "two.example asked for less mail at "):
				rests.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if _, _, texts := other.seen(); rests.Load() < 5 || len(texts) > 5 {
		t.Errorf("%d wait, %d were sent to the other host", rests.Load(), len(texts))
	}
	if n, _, _ := p.seen(); n != 0 {
		t.Error("another destination")
	}
}

// TestSlowAcrossRuns: the next process lets the destination rest, and is slow after that.
func TestSlowAcrossRuns(t *testing.T) {
	l, p, full := slowLab(t)
	full.Store(true)
	l.send(far)
	full.Store(false)
	second := l.another()
	want := "asked for less mail at "
	if err := second.send(far)[0].Err; err == nil || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), "its reply was 421, seen by another process") {
		t.Errorf("%v", err)
	}
	if said := l.another().explained(far); !strings.Contains(said, "rests: "+p.addr+" "+want) {
		t.Errorf("explain: %s", said)
	}
	third := l.another()
	third.now = third.now.Add(11 * time.Minute)
	if err := third.send(far)[0].Err; err != nil || third.allowed(p.addr) != 1 {
		t.Errorf("%d sessions: %v", third.allowed(p.addr), err)
	}
	fourth := l.another()
	fourth.now = fourth.now.Add(2 * time.Hour)
	if err := fourth.send(far)[0].Err; err != nil || fourth.allowed(p.addr) != firstAllowed+4 {
		t.Errorf("two hours later %d sessions: %v", fourth.allowed(p.addr), err)
	}
}
