package spool

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/maildir"
)

// orphanAge is how long a reason without an entry stays: a writer makes the
// reason a moment before it moves the entry.
const orphanAge = time.Hour

// clean removes what crashes left in the inbox: old files in tmp/ and reasons
// without entries. Only the inbox's runner calls it.
func (s *Spool) clean(b *box) error {
	err := maildir.CleanTmp(b.tmp, s.now())
	return errors.Join(err, s.cleanReasons(b))
}

func (s *Spool) cleanReasons(b *box) error {
	var old []Key
	err := b.reason.Names(func(name string) bool {
		st, err := b.reason.StatName(name)
		if err == nil && s.now().Sub(time.Unix(st.Ctim.Unix())) > orphanAge {
			old = append(old, Key(name))
		}
		return true
	})
	if err != nil || len(old) == 0 {
		return err
	}
	present := map[Key]bool{}
	for _, st := range []state{fresh, waiting, fresh} { // fresh again: a retry moves that way
		err := b.sub(st).Names(func(name string) bool {
			if k, _, _, _, err := parseName(name); err == nil {
				present[k] = true
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	for _, k := range old {
		if !present[k] {
			if err := b.reason.Remove(string(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// cleanHold removes held entries after holdtime (0: never). It is mailroute's
// runner that calls it, since hold/ has none.
func (s *Spool) cleanHold(holdtime time.Duration) ([]Key, error) {
	if holdtime <= 0 {
		return nil, nil
	}
	b, err := s.box(Hold)
	if err != nil {
		return nil, err
	}
	if err := s.clean(b); err != nil {
		return nil, err
	}
	var expired []Key
	for _, st := range []state{fresh, waiting} {
		var names []string
		err := b.sub(st).Names(func(name string) bool {
			names = append(names, name)
			return true
		})
		if err != nil {
			return expired, err
		}
		for _, name := range names {
			k, old := s.heldSince(b, st, name, holdtime)
			if !old {
				continue
			}
			if err := b.sub(st).Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return expired, err
			}
			b.dropReason(k)
			expired = append(expired, k)
		}
	}
	return expired, nil
}

// heldSince reports whether the entry was held longer than holdtime ago: the
// mtime of its reason, or the file's change time where it has none.
func (s *Spool) heldSince(b *box, st state, name string, holdtime time.Duration) (Key, bool) {
	k, _, _, _, err := parseName(name)
	if err != nil {
		return "", false
	}
	since, has, err := b.due(k)
	if err != nil {
		return "", false
	}
	if !has {
		file, err := b.sub(st).StatName(name)
		if err != nil || file.Mode&unix.S_IFMT != unix.S_IFREG {
			return "", false
		}
		since = time.Unix(file.Ctim.Unix())
	}
	return k, s.now().Sub(since) > holdtime
}
