package spool

import (
	"bufio"
	"bytes"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/visible"
)

// glances looks at entries that nobody is going to work on: a queue may be long, and a person
// waits for it. What the directories say of a name is not asked again.
type glances struct {
	inbox   *inbox
	self    unix.Stat_t // the status of the inbox
	seen    []sight
	reasons map[string]bool // nil: they are not asked for
}

// all describes the names, with all processors. Nearly all of the time goes into system
// calls.
func (g *glances) all() []Listing {
	list := make([]Listing, len(g.seen))
	there := make([]bool, len(g.seen))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			look := newGlance(g)
			for i := int(next.Add(1)) - 1; i < len(g.seen); i = int(next.Add(1)) - 1 {
				list[i], there[i] = look.listing(g.seen[i])
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

// glance is one goroutine's part of it, which allocates only what is listed.
type glance struct {
	*glances
	entry Entry
	head  head
	buf   []byte
	text  bytes.Reader
	lines *bufio.Reader
}

func newGlance(all *glances) *glance {
	g := &glance{glances: all, buf: make([]byte, maxHeadLine)}
	g.lines = bufio.NewReaderSize(&g.text, maxHeadLine)
	return g
}

// listing describes one name; false where it has gone in the meantime.
func (g *glance) listing(s sight) (Listing, bool) {
	p := spot{g.inbox, s.state, s.name}
	if err := g.open(p, s.regular); err == nil {
		return g.entry.listing(), true
	}
	// Why it could not be had in this way, the usual one says, or it is somewhere else.
	l := Listing{Name: s.name, Inbox: g.inbox.name, State: "new"}
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
// into a page. regular is what the directory says.
func (g *glance) open(p spot, regular bool) error {
	n, err := parseName(p.name)
	if err != nil {
		return err
	}
	if !regular { // opening what is none may have effects
		if st, err := p.stat(); err != nil || dir.Kind(st) != "" {
			return errors.Join(err, errForeign)
		}
	}
	read, st, err := p.dir().ReadSeen(p.name, g.buf)
	if err != nil {
		return err
	}
	if err := g.inbox.oursIn(g.self, st); err != nil {
		return err
	}
	g.entry = Entry{Key: n.key, Inbox: p.inbox.name, Size: n.size, wireSize: n.wire, at: p}
	if err := g.entry.measure(st); err != nil {
		return err
	}
	g.text.Reset(g.buf[:read])
	g.lines.Reset(&g.text)
	if err := g.head.read(g.lines); err != nil {
		return err
	}
	if err := g.entry.identify(&g.head, st); err != nil {
		return err
	}
	return g.reason()
}

// reason reads the reason of the entry if it has one.
func (g *glance) reason() (err error) {
	e := &g.entry
	regular, there := g.reasons[string(e.Key)]
	switch {
	case !there:
	case regular:
		e.reasons, err = g.inbox.readReasonSeen(e.Key, g.buf)
	default:
		e.reasons, err = g.inbox.readReason(e.Key)
	}
	return err
}

// listing describes the entry.
func (e *Entry) listing() Listing {
	l := Listing{Name: e.at.name, Inbox: e.Inbox, Key: e.Key, Size: e.Size, Arrival: e.Arrival,
		Envelope: e.Envelope, Attempts: e.reasons.lines, State: e.State(), LastReason: e.reasons.last}
	if l.State == "deferred" {
		l.Due = e.reasons.due
	}
	return l
}
