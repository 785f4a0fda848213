package spool

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"
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

// cleanReasons looks at the entries first: a reason that is made meanwhile is
// too young to be taken. Of a key only a hash is kept, since there may be many
// entries; two keys of one hash keep a reason too long, no more.
func (s *Spool) cleanReasons(b *box) error {
	seed := maphash.MakeSeed()
	present := map[uint64]struct{}{}
	for _, st := range []state{stateNew, stateWaiting, stateNew} { // fresh again: a retry moves that way
		err := b.sub(st).Names(func(name string) bool {
			key, _, _ := strings.Cut(name, ",")
			present[maphash.String(seed, key)] = struct{}{}
			return true
		})
		if err != nil {
			return err
		}
	}
	var failed error
	err := b.reason.Names(func(name string) bool {
		if _, ok := present[maphash.String(seed, name)]; ok {
			return true
		}
		st, err := b.reason.StatName(name)
		if err == nil && s.now().Sub(time.Unix(st.Ctim.Unix())) > orphanAge {
			if err := b.reason.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = err
			}
		}
		return true
	})
	return errors.Join(err, failed)
}

// cleanHold cleans hold/ and removes held entries after holdtime (0: never). It
// is mailroute's runner that calls it, since hold/ has none.
func (s *Spool) cleanHold(holdtime time.Duration) ([]Key, error) {
	b, err := s.box(Hold)
	if err != nil {
		return nil, err
	}
	if err := s.clean(b); err != nil || holdtime <= 0 {
		return nil, err
	}
	var expired []Key
	for _, st := range []state{stateNew, stateWaiting} {
		names, err := namesIn(b.sub(st).Names)
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
