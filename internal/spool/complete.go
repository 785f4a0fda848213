package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// A message from outside is written in tmp/ under the name that it will have in new/. Once it
// is synced it is durable there, and may be all that a power cut leaves of a message that was
// acknowledged. A file in tmp/ with such a name, its size and our fields is complete: it is
// promoted to new/, never removed.

// completeAge is how long a complete file stays in tmp/ while its inbox has no new boot: its
// writer gives it its name in new/ in an instant.
const completeAge = time.Hour

// promotes reports whether accepted messages may be complete in tmp/ of the inbox.
func (b *inbox) promotes() bool { return b.name == InboxCheck || b.name == InboxRoute }

// ripe reports whether a complete file has been in tmp/ for so long that it was left there.
func ripe(st unix.Stat_t, now time.Time) bool {
	return now.Sub(time.Unix(st.Ctim.Unix())) > completeAge
}

// promote moves the complete files in tmp/ of the inbox that old (nil: all) is true of to
// new/, synced. Only one process does so at a time; a second one does nothing.
func (s *Spool) promote(b *inbox, old func(unix.Stat_t) bool) error {
	if !b.promotes() {
		return nil
	}
	names, err := b.completeNames(old)
	if err != nil || len(names) == 0 {
		return err
	}
	lock, err := os.Open(b.tmp.Path()) // its own descriptor: closing it ends the lock
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := dir.Lock(lock, lockPatience); err != nil {
		return fmt.Errorf("lock %s: %w", b.tmp.Path(), err)
	}
	for _, name := range names {
		if gone := s.promoteOne(b, name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return errors.Join(err, b.new.Sync())
}

// completeNames returns the final names in tmp/ of files that old is true of.
func (b *inbox) completeNames(old func(unix.Stat_t) bool) (names []string, err error) {
	err = b.tmp.Names(func(name string) bool {
		if !isFinal(name) {
			return true
		}
		if st, err := b.tmp.StatName(name); err == nil && dir.Kind(st) == "" && (old == nil || old(st)) {
			names = append(names, name)
		}
		return true
	})
	return names, err
}

// isFinal reports whether a name in tmp/ is one that Accept gives: that of an entry, and
// not of a child.
func isFinal(name string) bool {
	n, err := parseName(name)
	return err == nil && n.String() == name && !n.key.isChild()
}

// promoteOne moves one file to new/ if it is complete. Its data is synced first: it may be one
// that a living process has just written.
func (s *Spool) promoteOne(b *inbox, name string) error {
	f, st, err := b.openComplete(name)
	if f == nil {
		return err
	}
	defer f.Close()
	n, _ := parseName(name)
	if st.Nlink > 1 {
		return s.promoteLinked(b, n, f, st)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := b.tmp.Rename(name, b.new, name); err != nil {
		return err
	}
	s.log.Promoted(string(n.key), string(b.name))
	return nil
}

// promoteLinked does it with a file that has a second name. If that is an entry, a power cut
// has left the first one. If it is anywhere else, it is not ours to judge, perhaps a
// backup's: then the entry gets a file of its own.
func (s *Spool) promoteLinked(b *inbox, n fileName, f *dir.File, st unix.Stat_t) error {
	there, err := s.duplicate(spot{b, "tmp", n.String()}, st)
	if err != nil {
		return err
	}
	kept := b.new
	if there != nil {
		kept = there.dir()
	} else {
		d, err := b.newDraft(n.key)
		if err != nil {
			return err
		}
		defer d.abort()
		if err := d.splice(f, 0, n.size, n.wire-n.size); err != nil {
			return err
		}
		if err := d.sync(); err != nil {
			return err
		}
		if _, err := d.publish(); err != nil {
			return err
		}
		s.log.Promoted(string(n.key), string(b.name))
	}
	if err := kept.Sync(); err != nil { // not every file system keeps the order of names
		return err
	}
	return b.tmp.Remove(n.String())
}

// openComplete opens a file in tmp/ if it is complete; nil if not.
func (b *inbox) openComplete(name string) (*dir.File, unix.Stat_t, error) {
	f, st, err := b.tmp.OpenRegular(name, unix.O_RDWR)
	if err != nil {
		return nil, st, err
	}
	n, err := parseName(name)
	own := st
	own.Nlink = 1
	if err == nil && b.ours(own) == nil && isComplete(f, n, st.Size) {
		return f, st, nil
	}
	f.Close()
	return nil, st, nil
}

// isComplete reports whether a name in tmp/ is that of a message that was accepted, perhaps:
// one that cannot be looked at may be.
func (b *inbox) isComplete(name string) bool {
	if !b.promotes() || !isFinal(name) {
		return false
	}
	f, _, err := b.openComplete(name)
	if f != nil {
		f.Close()
	}
	return f != nil || err != nil
}

// isComplete reports whether a file is what its name says, and begins with our fields. A
// power cut may leave the size of a file and not its data, unless it was synced: so its line
// ends are counted, too.
func isComplete(f io.ReaderAt, n fileName, size int64) bool {
	if size != n.size {
		return false
	}
	h, err := readHead(io.NewSectionReader(f, 0, size))
	if err != nil || h.id != n.key {
		return false
	}
	var breaks int64
	buf := make([]byte, copyBuffer)
	for off := int64(0); off < size; {
		c, err := f.ReadAt(buf[:min(size-off, copyBuffer)], off)
		if c == 0 && err != nil {
			return false
		}
		breaks += int64(bytes.Count(buf[:c], newline))
		off += int64(c)
	}
	return size+breaks == n.wire
}

// promoted decides about a message whose name in tmp/ has gone before its writer moved it:
// another process took it for what a crash had left. Where it is still anywhere, or its file
// has a name, it is accepted once that is durable.
func (s *Spool) promoted(d *draft) error {
	st, err := d.f.Stat()
	if err != nil {
		return err
	}
	if st.Nlink == 0 {
		if e, err := s.Find(d.key); err != nil {
			return fmt.Errorf("%s has gone: %w", d.f.Name(), err)
		} else if err := e.Close(); err != nil {
			return err
		}
	}
	d.name = ""
	return d.inbox.new.Sync()
}
