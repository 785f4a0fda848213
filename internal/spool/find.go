package spool

import (
	"errors"
	"fmt"
	"time"

	"paperpath/internal/status"
)

// Finder opens many entries by their keys. It reads the directories once, where
// Find reads them for each.
type Finder struct {
	spool *Spool
	at    map[Key]location
	read  time.Time
}

// location is where an entry was when the directories were read.
type location struct {
	in    Inbox
	state state
	name  string
}

// rereadAfter is how old what a Finder has read must be, before a key that is not
// in it is a reason to read again.
const rereadAfter = time.Second

// Finder returns one that has read nothing yet.
func (s *Spool) Finder() *Finder { return &Finder{spool: s} }

// Find opens the entry k, in whichever inbox it is. Close it. An unknown key is
// exit status 65.
func (f *Finder) Find(k Key) (*Entry, error) {
	for f.at == nil || time.Since(f.read) > rereadAfter {
		if e, err := f.open(k); !errors.Is(err, errGone) {
			return e, err
		}
		if err := f.readAll(); err != nil {
			return nil, err
		}
	}
	e, err := f.open(k)
	if errors.Is(err, errGone) {
		return nil, unknown(k)
	}
	return e, err
}

func unknown(k Key) error {
	return status.Refuse("5.0.0", fmt.Sprintf("no entry %s in the spool", k))
}

// open opens k where it was; errGone where it is in that inbox no more.
func (f *Finder) open(k Key) (*Entry, error) {
	at, ok := f.at[k]
	if !ok {
		return nil, errGone
	}
	b, err := f.spool.inbox(at.in)
	if err != nil {
		return nil, err
	}
	e, err := b.open(at.name, at.state)
	if errors.Is(err, errGone) {
		delete(f.at, k)
	}
	return e, err
}

// readAll reads the inboxes in the order of the paper path, so that an entry on
// its way is not missed.
func (f *Finder) readAll() error {
	f.at = map[Key]location{}
	for _, in := range Inboxes() {
		b, err := f.spool.inbox(in)
		if err != nil {
			return err
		}
		for _, st := range []state{stateNew, stateDeferred, stateNew} {
			err := b.dir(st).Names(func(name string) bool {
				if k, _, _, _, err := parseName(name); err == nil {
					f.at[k] = location{in, st, name}
				}
				return true
			})
			if err != nil {
				return err
			}
		}
	}
	f.read = time.Now()
	return nil
}

// Find opens the entry k, in whichever inbox it is. Close it. An unknown key is
// exit status 65.
func (s *Spool) Find(k Key) (*Entry, error) { return s.Finder().Find(k) }

// Listed opens an entry that List has returned, if it is in that inbox still; an
// error with exit status 65 where it has gone. Close it.
func (s *Spool) Listed(l Listing) (*Entry, error) {
	b, err := s.inbox(l.Inbox)
	if err != nil {
		return nil, err
	}
	st := stateNew
	if l.State == "deferred" {
		st = stateDeferred
	}
	e, err := b.open(l.Name, st)
	if errors.Is(err, errGone) {
		return nil, unknown(l.Key)
	}
	return e, err
}
