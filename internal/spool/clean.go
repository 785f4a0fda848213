package spool

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// orphanAge is how long a reason without an entry stays: the reason is written a
// moment before the entry is moved.
const orphanAge = time.Hour

// ageing returns the time at which leftovers of a crash are old or not: that of the
// machine, whose clock file systems use, or that of --now.
func (s *Spool) ageing() time.Time {
	if s.shifted {
		return s.now()
	}
	return s.machine()
}

// clean removes what crashes left in the inbox: old files in tmp/ and reasons
// without entries. What is complete in tmp/ becomes an entry. Only the inbox's runner calls it. now was read before ages is
// asked, so that what is made after a step of the clock is young.
func (s *Spool) clean(b *inbox, now time.Time, ages func() bool) error {
	err := s.promote(b, func(st unix.Stat_t) bool { return ripe(st, now) })
	if errors.Is(err, dir.ErrLocked) {
		err = nil // another program looks
	}
	err = errors.Join(err, b.tmp.Clean(now, ages, b.isComplete))
	return errors.Join(err, s.cleanReasons(b, now, ages))
}

// orphaned reports whether a reason without an entry is too old for one that is
// about to come.
func orphaned(st unix.Stat_t, now time.Time) bool {
	return now.Sub(time.Unix(st.Ctim.Unix())) > orphanAge
}

// stray is something other than a regular file where no stage would find it.
type stray struct {
	path string // below the spool
	kind string
}

// strays finds everything but regular files in tmp/ and reason/, and in new/ and cur/
// of hold/, which has no stage. They stay, since we do not know whose they are.
func (b *inbox) strays() (list []stray, err error) {
	dirs := []*dir.Dir{b.tmp, b.reason}
	if b.name == InboxHold {
		dirs = append(dirs, b.new, b.cur)
	}
	for _, d := range dirs {
		failed := d.Names(func(name string) bool {
			st, err := d.StatName(name)
			if kind := dir.Kind(st); err == nil && kind != "" {
				list = append(list, stray{filepath.Join(string(b.name), filepath.Base(d.Path()), name), kind})
			}
			return true
		})
		err = errors.Join(err, failed)
	}
	return list, err
}

// cleanReasons looks at the entries first: a reason that is written in the meantime
// is too young to go. It keeps only a hash of each key, since there may be many
// entries; two keys with one hash keep a reason too long, nothing worse.
func (s *Spool) cleanReasons(b *inbox, now time.Time, ages func() bool) error {
	seed := maphash.MakeSeed()
	present := map[uint64]struct{}{}
	for at, err := range b.spots() {
		if err != nil {
			return err
		}
		key, _, _ := strings.Cut(at.name, ",")
		present[maphash.String(seed, key)] = struct{}{}
	}
	var old []string
	err := b.reason.Names(func(name string) bool {
		if _, ok := present[maphash.String(seed, name)]; ok {
			return true
		}
		if st, err := b.reason.StatName(name); err == nil && dir.Kind(st) == "" && orphaned(st, now) {
			old = append(old, name)
		}
		return true
	})
	if len(old) > 0 && ages != nil && !ages() {
		return err
	}
	for _, name := range old {
		if gone := b.reason.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// expireHold removes held entries after holdtime (0: never). The runner of route/
// calls it, since hold/ has none.
func (s *Spool) expireHold(holdtime time.Duration) error {
	b, err := s.inbox(InboxHold)
	if err != nil || holdtime <= 0 {
		return err
	}
	list, _, err := b.heldFiles()
	if err != nil {
		return err
	}
	for _, h := range list {
		if h.key == "" || s.now().Sub(h.since) <= holdtime {
			continue
		}
		if err := h.at.remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b.dropReason(h.key)
		s.log.Dropped(string(h.key), string(InboxHold), "held for longer than holdtime")
	}
	return nil
}
