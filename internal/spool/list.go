package spool

import (
	"bufio"
	"bytes"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/visible"
)

// Listing is an entry as people see it in the queue.
type Listing struct {
	Key        Key
	Name       string // file name
	Inbox      Inbox
	State      string // "new", "deferred", "held", or "torn", "foreign" with the reason in LastReason
	Size       int64  // octets in the file
	Arrival    time.Time
	Due        time.Time // next attempt; zero is now
	Attempts   int
	LastReason string
	Envelope   Envelope
}

// List returns the entries of an inbox, oldest first.
func (s *Spool) List(in Inbox) ([]Listing, error) {
	b, err := s.inbox(in)
	if err != nil {
		return nil, err
	}
	spots, err := b.sorted()
	if err != nil {
		return nil, err
	}
	list := listings(spots)
	slices.SortStableFunc(list, func(a, b Listing) int { return a.Arrival.Compare(b.Arrival) })
	return list, nil
}

// listings describes the names, with all processors. Nearly all of the time goes into
// system calls.
func listings(spots []spot) []Listing {
	list := make([]Listing, len(spots))
	there := make([]bool, len(spots))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			var look glance
			for i := int(next.Add(1)) - 1; i < len(spots); i = int(next.Add(1)) - 1 {
				list[i], there[i] = look.listing(spots[i])
			}
		})
	}
	wait.Wait()
	n := 0
	for i := range list {
		if there[i] {
			list[n] = list[i]
			n++
		}
	}
	return list[:n]
}

// glance looks at entries that nobody is going to work on: a queue may be long, and a person
// waits for it.
type glance struct {
	own  *inbox // whose status is in self
	self unix.Stat_t
	buf  []byte
	text bytes.Reader
	head *bufio.Reader
}

// listing describes one name; false where it has gone in the meantime.
func (g *glance) listing(p spot) (Listing, bool) {
	if e, err := g.open(p); err == nil {
		return e.listing(), true
	}
	// Why it could not be had in this way, the usual one says, or it is somewhere else.
	l := Listing{Name: p.name, Inbox: p.inbox.name, State: "new"}
	e, err := p.open()
	switch {
	case errors.Is(err, errGone):
		return l, false
	case errors.Is(err, errTorn):
		l.State, l.LastReason = "torn", err.Error()
		return l, true
	case err != nil:
		l.State, l.LastReason = "foreign", visible.Line(err.Error())
		return l, true
	}
	defer e.close()
	return e.listing(), true
}

// open is spot.open without a file that stays open, for an entry whose fields of ours fit
// into a page.
func (g *glance) open(p spot) (*Entry, error) {
	n, err := parseName(p.name)
	if err != nil {
		return nil, err
	}
	if err := g.ours(p); err != nil {
		return nil, err
	}
	read, st, err := p.dir().ReadSeen(p.name, g.buf)
	if err != nil {
		return nil, err
	}
	e := &Entry{Key: n.key, Inbox: p.inbox.name, Size: n.size, wireSize: n.wire, at: p}
	if err := e.measure(st); err != nil {
		return nil, err
	}
	g.text.Reset(g.buf[:read])
	g.head.Reset(&g.text)
	h, err := readHeadFrom(g.head)
	if err != nil {
		return nil, err
	}
	return e, e.take(h, st)
}

// ours is inbox.ours, which is asked once for the inbox itself.
func (g *glance) ours(p spot) (err error) {
	if g.own != p.inbox {
		if g.self, err = p.inbox.self.Stat(); err != nil {
			return err
		}
		g.own, g.buf, g.head = p.inbox, make([]byte, maxHeadLine), bufio.NewReaderSize(&g.text, maxHeadLine)
	}
	st, err := p.stat()
	if err != nil {
		return err
	}
	return p.inbox.oursIn(g.self, st)
}

// listing describes the entry.
func (e *Entry) listing() Listing {
	l := Listing{Name: e.at.name, Inbox: e.Inbox, Key: e.Key, Size: e.Size, Arrival: e.Arrival,
		Envelope: e.Envelope, Attempts: e.Attempts, State: e.State(), LastReason: e.reasons.last}
	if l.State == "deferred" {
		l.Due = e.reasons.due
	}
	return l
}

// Running reports whether a runner works the inbox.
func (s *Spool) Running(in Inbox) (bool, error) {
	// Its own descriptor, so that closing it releases the lock at once.
	probe, err := openInbox(s.path, in, false)
	if err != nil {
		return false, err
	}
	defer probe.close()
	err = unix.Flock(probe.self.Fd(), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
