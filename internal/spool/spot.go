package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// state is an entry's state in its inbox: the directory that its file is in.
type state string

const (
	stateNew      state = "new" // NEW: never tried, or due now
	stateDeferred state = "cur" // DEFERRED, or moved there by a mail reader
)

// spot is where a file of the spool is: a name in one state of an inbox.
type spot struct {
	inbox *inbox
	state state
	name  string
}

func (p spot) dir() *dir.Dir { return p.inbox.dir(p.state) }

func (p spot) path() string { return p.dir().Join(p.name) }

// below is the path below the spool, for people.
func (p spot) below() string {
	return filepath.Join(string(p.inbox.name), string(p.state), p.name)
}

func (p spot) stat() (unix.Stat_t, error) { return p.dir().StatName(p.name) }

func (p spot) remove() error { return p.dir().Remove(p.name) }

// key is the key in the name, "" if there is none.
func (p spot) key() Key {
	n, _ := parseName(p.name)
	return n.key
}

// holds reports whether the name is one of the key k.
func (p spot) holds(k Key) bool {
	return k != "" && strings.HasPrefix(p.name, string(k)) && p.key() == k
}

// is reports whether both are one spot, of inboxes that may be opened twice.
func (p spot) is(o spot) bool {
	return p.inbox.name == o.inbox.name && p.state == o.state && p.name == o.name
}

// spots yields what is in these states of the inbox, in that order; without any,
// what is in new/, cur/ and new/ again: a retry by hand moves an entry that way,
// so none is missed, but one may be seen twice. It ends at the first error.
func (b *inbox) spots(states ...state) iter.Seq2[spot, error] {
	if len(states) == 0 {
		states = []state{stateNew, stateDeferred, stateNew}
	}
	return func(yield func(spot, error) bool) {
		more := true
		for _, st := range states {
			err := b.dir(st).Names(func(name string) bool {
				more = yield(spot{b, st, name}, nil)
				return more
			})
			if err != nil {
				yield(spot{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

// spots does the same with all inboxes, in the order of the paper path, so that
// an entry on its way is not missed.
func (s *Spool) spots() iter.Seq2[spot, error] {
	return func(yield func(spot, error) bool) {
		for _, in := range Inboxes() {
			b, err := s.inbox(in)
			if err != nil {
				yield(spot{}, err)
				return
			}
			for at, err := range b.spots() {
				if !yield(at, err) || err != nil {
					return
				}
			}
		}
	}
}

// sorted returns what is in new/, then what is in cur/, each by name.
func (b *inbox) sorted() ([]spot, error) {
	var list []spot
	for _, st := range []state{stateNew, stateDeferred} {
		names, err := namesIn(b.dir(st))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			list = append(list, spot{b, st, name})
		}
	}
	return list, nil
}

// namesIn returns the names in d, sorted.
func namesIn(d *dir.Dir) (names []string, err error) {
	err = d.Names(func(name string) bool {
		names = append(names, name)
		return true
	})
	slices.Sort(names)
	return names, err
}

// whereabouts looks for the entry that had the name n. Most have only gone from
// new/ to cur/ or back; the directories are read for the others.
func (b *inbox) whereabouts(n fileName) (spot, error) {
	for _, s := range []state{stateNew, stateDeferred, stateNew} {
		at := spot{b, s, n.in(s)}
		if _, err := at.stat(); err == nil {
			return at, nil
		}
	}
	return b.find(n.key)
}

// find looks for the entry k; errGone where the inbox does not have it.
func (b *inbox) find(k Key) (spot, error) {
	for at, err := range b.spots() {
		if err != nil {
			return spot{}, err
		}
		if at.holds(k) {
			return at, nil
		}
	}
	return spot{}, errGone
}

// open opens the entry at p, in whichever state it is now: a mail reader may
// have moved or flagged it since p was read.
func (p spot) open() (*Entry, error) {
	n, err := parseName(p.name)
	if err != nil {
		return nil, p.foreign(err)
	}
	f, st, err := p.openFile()
	if errors.Is(err, fs.ErrNotExist) {
		if p, err = p.inbox.whereabouts(n); err != nil {
			return nil, err
		}
		if f, st, err = p.openFile(); errors.Is(err, fs.ErrNotExist) {
			err = errGone
		}
	}
	if err != nil {
		return nil, err
	}
	return newEntry(p, n, f, st)
}

// openDuplicate opens the entry at p in spite of its second link.
func (p spot) openDuplicate() (*Entry, error) {
	n, err := parseName(p.name)
	if err != nil {
		return nil, p.foreign(err)
	}
	f, st, err := p.dir().OpenRegular(p.name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	e, err := newEntry(p, n, f, st)
	if err == nil {
		e.duplicate = true
	}
	return e, err
}

// foreign returns the error for a name that no entry can have: errNotOurs if the file
// is not ours to move, whatever its name, else errForeign.
func (p spot) foreign(why error) error {
	st, err := p.stat()
	if err != nil {
		return err
	}
	if err := p.inbox.ours(st); err != nil {
		return fmt.Errorf("%w: %v", errNotOurs, strings.TrimPrefix(err.Error(), errNotOurs.Error()+": "))
	}
	return fmt.Errorf("%w: %v", errForeign, why)
}

// openFile opens a file of our own.
func (p spot) openFile() (*dir.File, unix.Stat_t, error) {
	st, err := p.stat()
	if err != nil {
		return nil, st, err
	}
	if err := p.inbox.ours(st); err != nil {
		return nil, st, err
	}
	f, st, err := p.dir().OpenSeen(p.name, unix.O_RDWR)
	if errors.Is(err, dir.ErrNotRegular) {
		err = fmt.Errorf("%w: %w", errNotOurs, err)
	}
	return f, st, err
}

// ours refuses what another user may have put there to make us read or
// publish somebody else's file.
func (b *inbox) ours(st unix.Stat_t) error {
	return b.oursIn(unix.Stat_t{Uid: b.uid, Gid: b.gid}, st)
}

// oursIn is ours where the status of the inbox itself is known.
func (b *inbox) oursIn(own, st unix.Stat_t) error {
	sharedGroup := b.shared() && st.Gid == own.Gid
	switch {
	case dir.Kind(st) != "":
		return fmt.Errorf("%w: %w but %s", errNotOurs, dir.ErrNotRegular, dir.Kind(st))
	case st.Nlink == 2:
		return errDuplicate
	case st.Nlink != 1:
		return fmt.Errorf("%w: %d hard links", errNotOurs, st.Nlink)
	case st.Uid != own.Uid && int(st.Uid) != os.Geteuid() && !sharedGroup:
		return fmt.Errorf("%w: owner is uid %d", errNotOurs, st.Uid)
	}
	return nil
}
