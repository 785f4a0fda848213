package spool

import (
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
// opening files.
func listings(spots []spot) []Listing {
	list := make([]Listing, len(spots))
	there := make([]bool, len(spots))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(spots); i = int(next.Add(1)) - 1 {
				list[i], there[i] = spots[i].listing()
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

// listing describes one name; false where it has gone in the meantime.
func (p spot) listing() (Listing, bool) {
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
	l.Key, l.Size, l.Arrival, l.Envelope, l.Attempts = e.Key, e.Size, e.Arrival, e.Envelope, e.Attempts
	if l.State = e.State(); l.State == "deferred" {
		l.Due = e.reasons.due
	}
	l.LastReason = e.reasons.last
	return l, true
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
