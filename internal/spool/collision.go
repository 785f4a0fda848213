package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/maildir"
)

// No rename replaces a name that exists. What follows is all that is asked about
// such a name, and what becomes of an entry that wants it: a repeat is dropped,
// any other goes to hold/ (spool(5), Transitions).

// answer says what has a name that an entry wants.
type answer int

const (
	absent answer = iota // nothing
	same                 // the entry itself: what comes again is a repeat
	other                // another file
)

// compare answers for a file in a directory: equal bytes are the same entry.
func (e *Entry) compare(d *dir.Dir, name string) (answer, error) {
	f, st, err := d.OpenRegular(name, unix.O_RDONLY)
	if errors.Is(err, dir.ErrNotRegular) {
		return other, nil
	}
	if err != nil {
		return absent, err
	}
	defer f.Close()
	if st.Size != e.Size {
		return other, nil
	}
	link, err := e.sameFile(st)
	if link == same { // perhaps a second name of it: openDuplicate will tell
		err = fmt.Errorf("%s and %s are one file", e.file.Name(), f.Name())
	}
	if err != nil {
		return absent, err
	}
	return sameBytes(io.NewSectionReader(e.file, 0, e.Size), io.NewSectionReader(f, 0, e.Size+1))
}

// inMailbox answers for the message with the entry's key in a mailbox, and says
// where it is. A child or a bounce that is made again need not have the same
// bytes, so there the key decides alone. Of an entry with a second link only that
// link is the same.
func (e *Entry) inMailbox(md *maildir.Dir) (found answer, path string, err error) {
	m, err := md.Find(string(e.Key))
	if errors.Is(err, fs.ErrNotExist) {
		return absent, "", nil
	}
	if err != nil {
		return absent, "", err
	}
	path = filepath.Join(md.Path(), m.Sub, m.Name)
	if e.derived() && !e.duplicate {
		return same, path, nil
	}
	f, err := md.Open(&m)
	if err != nil {
		return absent, "", err
	}
	defer f.Close()
	if e.duplicate {
		found, err = e.sameOpen(f)
	} else {
		found, err = sameBytes(e.mailboxBytes(), f)
	}
	if err != nil {
		return absent, "", fmt.Errorf("compare with %s: %w", f.Name(), err)
	}
	return found, path, nil
}

// sameOpen answers whether f is the very file of the entry.
func (e *Entry) sameOpen(f *os.File) (answer, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return absent, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return e.sameFile(st)
}

// sameFile answers whether st is the status of the very file of the entry.
func (e *Entry) sameFile(st unix.Stat_t) (answer, error) {
	own, err := e.file.Stat()
	if err != nil {
		return absent, err
	}
	if own.Dev == st.Dev && own.Ino == st.Ino {
		return same, nil
	}
	return other, nil
}

// sameBytes compares what two readers have.
func sameBytes(a, b io.Reader) (answer, error) {
	p, q := make([]byte, copyBuffer), make([]byte, copyBuffer)
	for {
		n, errA := io.ReadFull(a, p)
		m, errB := io.ReadFull(b, q)
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return absent, err
			}
		}
		if !bytes.Equal(p[:n], q[:m]) {
			return other, nil
		}
		if errA != nil { // both ended
			return same, nil
		}
	}
}

// published answers for a name whose key names a decision: a regular file with that
// name is that decision, published before a crash. Anything else is an error: we did
// not publish it.
func (p spot) published() (answer, error) {
	st, err := p.stat()
	if errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	if err != nil {
		return absent, err
	}
	if kind := dir.Kind(st); kind != "" {
		return other, fmt.Errorf("%s: %w but %s", p.path(), dir.ErrNotRegular, kind)
	}
	return same, nil
}

// collide ends an entry whose name in the directory to is taken.
func (s *Spool) collide(e *Entry, to *dir.Dir, name string) (answer, error) {
	found, err := e.compare(to, name)
	if err != nil {
		return absent, err
	}
	path := to.Join(name)
	if found == same {
		return same, s.repeated(e, path)
	}
	hold, err := s.inbox(InboxHold)
	if err != nil {
		return absent, err
	}
	if e.Inbox == InboxHold || to == hold.new { // nowhere else to go
		return absent, fmt.Errorf("%s: another entry has that name", path)
	}
	return other, s.hold(e, taken(path))
}

// inOthers is inMailbox for the other Maildirs of the mailbox.
func (e *Entry) inOthers(others []string) (found answer, path string, err error) {
	for _, other := range others {
		md, err := maildir.OpenReadOnly(other)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return absent, "", err
		}
		found, path, err = e.inMailbox(md)
		md.Close()
		if found != absent || err != nil {
			return found, path, err
		}
	}
	return absent, "", nil
}

// collideIn ends an entry whose key a message in the mailbox has. Where there is
// none, it answers absent and does nothing.
func (s *Spool) collideIn(md *maildir.Dir, e *Entry, o Outcome) (answer, error) {
	found, path, err := e.inMailbox(md)
	if found == absent && err == nil {
		found, path, err = e.inOthers(o.others)
	}
	if err != nil || found == absent {
		return absent, err
	}
	if found == other {
		return other, s.hold(e, taken(path))
	}
	if err := s.publishNotices(e, o.Notices, ""); err != nil {
		return absent, err
	}
	return same, s.repeated(e, filepath.Dir(filepath.Dir(path)))
}

// taken is the reason of an entry whose name another message has.
func taken(path string) string { return "another message is " + path }

// repeated drops an entry that is there already.
func (s *Spool) repeated(e *Entry, where string) error {
	if err := e.unlink(); err != nil {
		return err
	}
	s.log.Repeated(string(e.Key), where)
	return nil
}
