package spool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/status"
)

// Finder opens many entries by their keys. It reads the directories once; Find
// reads them for each key.
type Finder struct {
	spool *Spool
	at    map[Key]spot // where entries were when the directories were read
	read  time.Time
}

// rereadAfter is how old a Finder's reading must be before it is repeated for a key
// that is not in it.
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

// Tagged opens the entry whose key has a Tag that begins with tag. That none has one is
// exit status 65, that several have one is a usage error.
func (f *Finder) Tagged(tag string) (*Entry, error) {
	if f.at == nil || time.Since(f.read) > rereadAfter {
		if err := f.readAll(); err != nil {
			return nil, err
		}
	}
	var found []Key
	for k := range f.at {
		if strings.HasPrefix(k.Tag(), tag) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return nil, unknown(Key(tag))
	case 1:
		return f.Find(found[0])
	}
	slices.Sort(found)
	return nil, status.UsageError("%s is the beginning of %d entries, such as %s and %s", tag, len(found), found[0], found[1])
}

// open opens k where it was; errGone where it is no longer in that inbox.
func (f *Finder) open(k Key) (*Entry, error) {
	at, ok := f.at[k]
	if !ok {
		return nil, errGone
	}
	e, err := at.open()
	if errors.Is(err, errGone) {
		delete(f.at, k)
	}
	return e, err
}

// readAll reads the inboxes.
func (f *Finder) readAll() error {
	f.at = map[Key]spot{}
	for at, err := range f.spool.spots() {
		if err != nil {
			return err
		}
		if k := at.key(); k != "" {
			f.at[k] = at
		}
	}
	f.read = time.Now()
	return nil
}

// Find opens the entry k, in whichever inbox it is. Close it. An unknown key is
// exit status 65.
func (s *Spool) Find(k Key) (*Entry, error) { return s.Finder().Find(k) }

// Listed opens an entry that List has returned, if it is still in that inbox; if
// not, the error has exit status 65. Close it.
func (s *Spool) Listed(l Listing) (*Entry, error) {
	b, err := s.inbox(l.Inbox)
	if err != nil {
		return nil, err
	}
	st := stateNew
	if l.State == "deferred" {
		st = stateDeferred
	}
	e, err := spot{b, st, l.Name}.open()
	if errors.Is(err, errGone) {
		return nil, unknown(l.Key)
	}
	return e, err
}
