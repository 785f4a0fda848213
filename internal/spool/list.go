package spool

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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
func (s *Spool) List(in Inbox) ([]Listing, error) { return s.list(in, true) }

// Outline is List in half the time: it leaves out what stands in the reasons (Due, Attempts
// and LastReason).
func (s *Spool) Outline(in Inbox) ([]Listing, error) { return s.list(in, false) }

func (s *Spool) list(in Inbox, reasons bool) ([]Listing, error) {
	b, err := s.inbox(in)
	if err != nil {
		return nil, err
	}
	look := glances{inbox: b, reasons: reasons}
	if look.self, err = b.self.Stat(); err != nil {
		return nil, err
	}
	list, err := look.all()
	if err != nil {
		return nil, err
	}
	return oldestFirst(list), nil
}

// sight is a name in an inbox, and whether the directory says that it is a regular file.
type sight struct {
	name    string
	state   state
	regular bool
}

// sights calls each with what is in new/ and cur/.
func (b *inbox) sights(each func(sight)) (err error) {
	for _, st := range []state{stateNew, stateDeferred} {
		err = errors.Join(err, b.dir(st).Files(func(name string, regular bool) bool {
			each(sight{name, st, regular})
			return true
		}))
	}
	return err
}

const (
	octetsOfName = 64      // in a directory, for the shortest name of an entry
	mostAbout    = 1 << 18 // names that room is made for beforehand
)

// about is how many names there may be in new/ and cur/, on file systems that tell it by the sizes
// of directories.
func (b *inbox) about() int {
	var octets int64
	for _, st := range []state{stateNew, stateDeferred} {
		if st, err := b.dir(st).Stat(); err == nil {
			octets += st.Size
		}
	}
	return int(min(octets/octetsOfName, mostAbout))
}

// oldestFirst sorts by arrival, then by name.
func oldestFirst(list []Listing) []Listing {
	type place struct { // smaller to move about
		sec      int64
		nsec, at int32
	}
	order := make([]place, len(list))
	for i := range list {
		order[i] = place{list[i].Arrival.Unix(), int32(list[i].Arrival.Nanosecond()), int32(i)}
	}
	slices.SortFunc(order, func(a, b place) int {
		if c := cmp.Or(cmp.Compare(a.sec, b.sec), cmp.Compare(a.nsec, b.nsec)); c != 0 {
			return c // nearly always: the names are elsewhere in memory
		}
		return strings.Compare(list[a.at].Name, list[b.at].Name)
	})
	for start := range order { // cycle by cycle, in place: a second list would take as much memory again
		first, to := list[start], int32(start)
		for from := order[to].at; from != int32(start); from = order[to].at {
			list[to], order[to].at = list[from], to
			to = from
		}
		list[to], order[to].at = first, to
	}
	return list
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
