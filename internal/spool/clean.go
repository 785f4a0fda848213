package spool

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"
	"time"

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

// expireHold removes held entries after holdtime (0: never). It is route/'s runner
// that calls it, since hold/ has none.
func (s *Spool) expireHold(holdtime time.Duration) (expired []Key, err error) {
	b, err := s.box(Hold)
	if err != nil || holdtime <= 0 {
		return nil, err
	}
	list, _, err := b.heldFiles()
	if err != nil {
		return nil, err
	}
	for _, h := range list {
		if h.key == "" || s.now().Sub(h.since) <= holdtime {
			continue
		}
		if err := b.sub(h.state).Remove(h.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return expired, err
		}
		b.dropReason(h.key)
		expired = append(expired, h.key)
	}
	return expired, nil
}
