package spool

import (
	"bufio"
	"bytes"
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/visible"
)

// glances looks at entries that nobody is going to work on: a queue may be long, and a person
// waits for it. What the directories say of a name is not asked again.
type glances struct {
	inbox   *inbox
	self    unix.Stat_t // the status of the inbox
	reasons bool        // they are asked for
}

// atOnce is how many names a goroutine takes, so that two seldom write to one line of a cache.
const atOnce = 64

// some are names, with room for what is listed of them.
type some struct {
	seen []sight
	list []Listing
}

// all describes the names, with all processors, while the directories are read. Nearly all of the
// time goes into system calls.
func (g *glances) all() ([]Listing, error) {
	work := make(chan *some, 1<<10)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			var look *glance
			for s := range work {
				if look == nil {
					look = newGlance(g)
				}
				s.list = look.listings(s)
			}
		})
	}
	room := make([]Listing, g.inbox.about())
	parts, err := g.give(work, room)
	close(work)
	wait.Wait()
	return joined(room, parts), err
}

// give reads the directories and hands the names out, each with its room as long as there is
// some.
func (g *glances) give(work chan<- *some, room []Listing) (parts []*some, err error) {
	seen := make([]sight, 0, len(room))
	next := func() {
		s := &some{seen: seen}
		if n := len(seen); n <= len(room) {
			s.list, room = room[:0:n], room[n:]
		} else {
			room = nil
		}
		seen = seen[len(seen):]
		parts = append(parts, s)
		work <- s
	}
	err = g.inbox.sights(func(s sight) {
		if seen = append(seen, s); len(seen) == atOnce {
			next()
		}
	})
	if len(seen) > 0 {
		next()
	}
	return parts, err
}

// listings describes some names, without those that have gone in the meantime.
func (g *glance) listings(s *some) []Listing {
	for _, x := range s.seen {
		s.list = append(s.list, Listing{})
		if last := len(s.list) - 1; !g.listing(x, &s.list[last]) {
			s.list = s.list[:last]
		}
	}
	return s.list
}

// joined is what is listed in all parts: nearly always it lies in the room already, without a gap.
func joined(room []Listing, parts []*some) []Listing {
	list := room[:0]
	for _, s := range parts {
		if n := len(list); n < len(room) && len(s.list) > 0 && &room[n] == &s.list[0] {
			list = room[:n+len(s.list)]
			continue
		}
		list = append(list, s.list...)
	}
	return list
}

// glance is one goroutine's part of it, which allocates only what is listed.
type glance struct {
	*glances
	entry  Entry
	head   head
	buf    []byte // of the entry
	reason []byte
	text   bytes.Reader
	lines  *bufio.Reader
}

// usualReasons has room for the reasons of an entry of five days, nearly always.
const usualReasons = 16 << 10

func newGlance(all *glances) *glance {
	g := &glance{glances: all, buf: make([]byte, maxHeadLine), reason: make([]byte, usualReasons)}
	g.lines = bufio.NewReaderSize(&g.text, maxHeadLine)
	return g
}

// listing describes one name; false where it has gone in the meantime.
func (g *glance) listing(s sight, l *Listing) bool {
	p := spot{g.inbox, s.state, s.name}
	if err := g.look(p, s.regular); err == nil {
		g.entry.list(l)
		return true
	}
	// Why it could not be had in this way, the usual one says, or it is somewhere else.
	*l = Listing{Name: s.name, Inbox: g.inbox.name, State: "new"}
	e, err := p.open()
	switch {
	case errors.Is(err, errGone):
		return false
	case errors.Is(err, errTorn):
		l.State, l.LastReason = "torn", err.Error()
		return true
	case err != nil:
		l.State, l.LastReason = "foreign", visible.Line(err.Error())
		return true
	}
	defer e.close()
	e.list(l)
	return true
}

// look has the entry at p described by its reason, or else by itself. regular is what the
// directory says.
func (g *glance) look(p spot, regular bool) error {
	n, err := parseName(p.name)
	if err != nil {
		return err
	}
	g.entry = Entry{Key: n.key, Inbox: p.inbox.name, Size: n.size, wireSize: n.wire, at: p}
	if g.reasons {
		if g.entry.reasons, err = g.inbox.readReasonSeen(n.key, g.reason); err != nil {
			return err
		}
		if regular && g.shown(n) {
			return nil
		}
	}
	return g.open(regular)
}

// shown reports whether the reason describes the entry.
func (g *glance) shown(n fileName) bool {
	e := &g.entry
	if e.reasons.shown == nil {
		return false
	}
	s, ok := parseShown(e.reasons.shown, n)
	if !ok {
		return false
	}
	if !s.changed.IsZero() {
		if st, err := e.at.stat(); err != nil || !time.Unix(st.Mtim.Unix()).Equal(s.changed) {
			return false
		}
	}
	e.Envelope, e.Arrival = s.env, s.arrival
	return true
}

// open is spot.open without a file that stays open, for an entry whose fields of ours fit
// into a page.
func (g *glance) open(regular bool) error {
	e := &g.entry
	if !regular { // opening what is none may have effects
		if st, err := e.at.stat(); err != nil || dir.Kind(st) != "" {
			return errors.Join(err, errForeign)
		}
	}
	read, st, err := e.at.dir().ReadSeen(e.at.name, g.buf)
	if err != nil {
		return err
	}
	if err := g.inbox.oursIn(g.self, st); err != nil {
		return err
	}
	if err := e.measure(st); err != nil {
		return err
	}
	g.text.Reset(g.buf[:read])
	g.lines.Reset(&g.text)
	if err := g.head.read(g.lines); err != nil {
		return err
	}
	return e.identify(&g.head, st)
}

// list describes the entry.
func (e *Entry) list(l *Listing) {
	*l = Listing{Name: e.at.name, Inbox: e.Inbox, Key: e.Key, Size: e.Size, Arrival: e.Arrival,
		Envelope: e.Envelope, Attempts: e.reasons.lines, State: e.State(), LastReason: lineText(e.reasons.last)}
	if l.State == "deferred" {
		l.Due = e.reasons.due
	}
}
