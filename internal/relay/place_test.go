package relay

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// within waits for c as a host that answers in time does.
func within(t *testing.T, c chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(15 * time.Second):
		t.Error(what)
	}
}

// routes makes hosts of peers: h0.example and so on.
func (l *lab) routes(peers ...*peer) {
	var rows []string
	for i, p := range peers {
		rows = append(rows, fmt.Sprintf("h%d.example: %s", i, p.addr))
	}
	l.set("routes", strings.Join(rows, "\n"))
}

// begins is how many sessions are opened or slow, how many are brisk, and how many wait for that.
func (l *lab) begins() (opening, brisk, asking int) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return l.pool.opening, l.pool.brisk, len(l.pool.asking)
}

// TestAFifthIsForKnownHosts: of five sessions four may be with hosts that have not answered within
// the hour; a fifth of them waits, and one that has answered gets its mail.
func TestAFifthIsForKnownHosts(t *testing.T) {
	l := newLab(t)
	l.set("concurrency", "mailrelay: 5")
	release := make(chan struct{})
	var mails atomic.Int32
	var peers []*peer
	for range 5 {
		peers = append(peers, newPeer(t, func(_ int, command string) string {
			if strings.HasPrefix(command, "MAIL") {
				mails.Add(1)
				within(t, release, "the host that has answered got no mail")
			}
			return ""
		}))
	}
	known := newPeer(t, kind)
	l.known.answered(known.addr, l.now.Add(-knownFor/2))
	l.routes(append(peers, known)...)
	var wait sync.WaitGroup
	for i := range peers {
		wait.Go(func() {
			if err := l.send(fmt.Sprintf("x@h%d.example", i))[0].Err; err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { _, _, asking := l.begins(); return mails.Load()+int32(asking) == 5 })
	if err := l.send("x@h5.example")[0].Err; err != nil {
		t.Error(err)
	}
	if n := mails.Load(); n != 4 {
		t.Errorf("%d sessions with hosts that have not answered", n)
	}
	close(release)
	wait.Wait()
}

// TestConnecting: no more sessions wait for a greeting than `connecting` says, and the next one begins
// when one of them is greeted.
func TestConnecting(t *testing.T) {
	l := newLab(t)
	l.set("concurrency", "connecting: 2")
	first, third := make(chan struct{}), make(chan struct{})
	var begun atomic.Int32
	var peers []*peer
	for range 3 {
		turn := int32(0)
		peers = append(peers, newPeer(t, func(_ int, command string) string {
			if command == "" {
				turn = begun.Add(1)
			}
			switch {
			case command == "" && turn == 1:
				within(t, first, "not two sessions began")
			case command == "" && turn == 2, strings.HasPrefix(command, "MAIL") && turn == 1:
				within(t, third, "the third session did not begin")
			case command == "." && turn == 3:
				close(third)
			}
			return ""
		}))
	}
	l.routes(peers...)
	var wait sync.WaitGroup
	for i := range peers {
		wait.Go(func() {
			if err := l.send(fmt.Sprintf("x@h%d.example", i))[0].Err; err != nil {
				t.Error(err)
			}
		})
	}
	l.queued(1)
	waitFor(t, func() bool { opening, _, _ := l.begins(); return opening == 2 && begun.Load() == 2 })
	close(first)
	wait.Wait()
	l.part()
	if opening, brisk, asking := l.begins(); opening != 0 || brisk != 0 || asking != 0 {
		t.Errorf("at the end %d sessions are opening, %d brisk, %d ask", opening, brisk, asking)
	}
}

// TestConnectingHoldsNoWorker: more hosts keep silent than there are workers, and mail for another
// host goes out.
func TestConnectingHoldsNoWorker(t *testing.T) {
	s := newStage(t)
	s.t = t
	through := make(chan struct{})
	var peers []*peer
	for range (1 + 4) * perSession {
		peers = append(peers, newPeer(t, func(_ int, command string) string {
			if command == "" {
				within(t, through, "silent hosts hold all workers")
			}
			return ""
		}))
	}
	peers = append(peers, newPeer(t, func(_ int, command string) string {
		if command == "." {
			close(through)
		}
		return ""
	}))
	s.set("concurrency", "host: 100") // they all have one address
	s.routes(peers...)
	for i := range peers {
		s.accept(fmt.Sprintf("x@h%d.example", i))
	}
	r := s.Runner(func() int { return 1 }, func() int { return 100 })
	r.Spool, r.Inbox, r.Retry, r.Close, r.Patience = s.spool, spool.InboxRelay, s.Control.Retry, nil, 0
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := places(s.files()); got != "" {
		t.Error(got)
	}
}

// pace sets which reply is slow.
func (l *lab) pace(slow time.Duration) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.pool.slowReply = slow
}

// TestSlowReply: a session whose last reply took long leaves its place to another, and has one
// again once the host replies as others do.
func TestSlowReply(t *testing.T) {
	l := newLab(t)
	l.set("concurrency", "mailrelay: 1")
	through, begun := make(chan struct{}), make(chan struct{})
	mails := 0
	slow := newPeer(t, func(_ int, command string) string {
		if strings.HasPrefix(command, "MAIL") {
			if mails++; mails == 2 {
				close(begun)
				within(t, through, "a slow session keeps its place")
			}
		}
		return ""
	})
	other := newPeer(t, kind)
	l.routes(slow, other)
	send := func(to string) {
		t.Helper()
		if err := l.send(to)[0].Err; err != nil {
			t.Error(err)
		}
	}
	l.pace(0) // any reply is
	send("x@h0.example")
	if opening, brisk, _ := l.begins(); opening != 1 || brisk != 0 {
		t.Errorf("after a slow reply %d sessions are slow, %d brisk", opening, brisk)
	}
	var wait sync.WaitGroup
	wait.Go(func() { send("x@h0.example") })
	<-begun
	l.pace(time.Hour) // none is
	send("x@h1.example")
	close(through)
	wait.Wait()
	if n, _, _ := slow.seen(); n != 1 {
		t.Errorf("%d sessions with the slow host", n)
	}
	l.part()
	l.pace(0)
	send("x@h0.example")
	l.pace(time.Hour)
	send("x@h0.example")
	if opening, brisk, _ := l.begins(); opening != 0 || brisk != 1 {
		t.Errorf("after a quick reply %d sessions are slow, %d brisk", opening, brisk)
	}
	l.part()
	if opening, brisk, _ := l.begins(); opening != 0 || brisk != 0 {
		t.Errorf("at the end %d sessions are slow, %d brisk", opening, brisk)
	}
}
