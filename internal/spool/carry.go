package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// carry carries an outcome out. An entry that has gone meanwhile was moved or
// removed by a person: that is no failure.
func (s *Spool) carry(e *Entry, o Outcome) error {
	err := s.carryAll(e, o)
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

func (s *Spool) carryAll(e *Entry, o Outcome) error {
	if err := s.publishChildren(e, o.Children); err != nil {
		return err
	}
	if o.Bounce != nil {
		if err := s.publishBounce(e, o.Bounce); err != nil {
			return err
		}
		o.Done = append(o.Done, o.Bounce.Failed...)
	}
	if o.Action != Deliver {
		if err := s.publishNotices(e, o.Notices); err != nil {
			return err
		}
	}
	if o.Action != Drop { // what is dropped needs no marks: it is all done
		if err := e.Mark(o.Done...); err != nil {
			return err
		}
	}
	switch o.Action {
	case HandOn:
		return s.handOn(e, o.Inbox)
	case Deliver:
		return s.deliver(e, o)
	case Defer:
		return s.deferUntil(e, o)
	case Hold:
		return s.hold(e, o.Reason)
	case Drop:
		return s.drop(e, o)
	}
	return fmt.Errorf("outcome without an action for %s", e.Key)
}

// handOn is one rename: atomic and journaled, so it needs no sync.
func (s *Spool) handOn(e *Entry, in Inbox) error {
	to, err := s.inbox(in)
	if err != nil {
		return err
	}
	if err := s.move(e, to.new); err != nil {
		return err
	}
	s.log.Routed(string(e.Key), string(in), addresses(e.Envelope.To))
	return nil
}

// errRepeat says that the entry was a repeat and is gone.
var errRepeat = fmt.Errorf("repeated: %w", errGone)

// move renames the entry into the directory to, without what a mail reader
// appended to its name. A name that is there already is a repeat if its bytes
// are equal.
func (s *Spool) move(e *Entry, to *dir.Dir) error {
	if to.Path() == e.dir().Path() {
		return nil // it is there: not a repeat of itself
	}
	_, base, _, _, err := parseName(e.name)
	if err != nil {
		return err
	}
	err = e.again(func() error { return e.dir().Rename(e.name, to, base) })
	if errors.Is(err, fs.ErrExist) {
		return s.collide(e, to, base)
	}
	if err != nil {
		return err
	}
	if e.Attempts > 0 {
		e.inbox.dropReason(e.Key)
	}
	return nil
}

func (e *Entry) dir() *dir.Dir { return e.inbox.dir(e.state) }

// again does what it is given, and once more where the entry has got another
// name or state meanwhile; errGone where it is in its inbox no more.
func (e *Entry) again(do func() error) error {
	err := do()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, at, found := e.inbox.whereabouts(e.Key, e.name)
	if found != nil {
		return found
	}
	if name == e.name && at == e.state {
		return err // it is here: what is missing is the target
	}
	e.name, e.state = name, at
	return do()
}

// collide decides about a name that is there already.
func (s *Spool) collide(e *Entry, to *dir.Dir, name string) error {
	same, err := equal(e, to, name)
	if err != nil {
		return err
	}
	if same {
		if err := e.unlink(); err != nil {
			return err
		}
		s.log.Repeated(string(e.Key), to.Join(name))
		return errRepeat
	}
	hold, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	if e.Inbox == InboxHold || to == hold.new { // nowhere else to go
		return fmt.Errorf("%s: another entry has that name", to.Join(name))
	}
	if err := s.hold(e, taken(to.Join(name))); err != nil {
		return err
	}
	return errRepeat
}

// equal compares the entry with the file name in d.
func equal(e *Entry, d *dir.Dir, name string) (bool, error) {
	f, err := d.OpenFile(name, unix.O_RDONLY, 0)
	if errors.Is(err, dir.ErrNotRegular) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() != e.Size {
		return false, err
	}
	if own, err := e.file.Stat(); err != nil || os.SameFile(own, st) {
		return false, oneFile(err, e.file.Name(), f.Name())
	}
	return sameBytes(io.NewSectionReader(e.file, 0, e.Size), f)
}

// taken is the reason of an entry whose name another message has.
func taken(path string) string { return "another message is " + path }

// sameBytes reports whether two files hold the same.
func sameBytes(a, b io.Reader) (bool, error) {
	p, q := make([]byte, copyBuffer), make([]byte, copyBuffer)
	for {
		n, errA := io.ReadFull(a, p)
		m, errB := io.ReadFull(b, q)
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if !bytes.Equal(p[:n], q[:m]) {
			return false, nil
		}
		if errA != nil { // both ended
			return true, nil
		}
	}
}

// unlink removes the entry and its reason.
func (e *Entry) unlink() error {
	if err := e.again(func() error { return e.dir().Remove(e.name) }); err != nil {
		return err
	}
	if e.Attempts > 0 {
		e.inbox.dropReason(e.Key)
	}
	return nil
}

// deferUntil: NEW or DEFERRED to DEFERRED. The reason goes first; a crash between
// the two leaves a NEW entry, which is tried once more.
func (s *Spool) deferUntil(e *Entry, o Outcome) error {
	line := reasonLine(s.now(), e.Inbox, "deferred", o.Reason)
	if err := e.inbox.addReason(e.Key, line, o.Due); err != nil {
		return err
	}
	e.Attempts++
	s.log.Deferred(string(e.Key), string(e.Inbox), o.Due, o.Reason)
	return e.again(func() error {
		if e.state == stateDeferred {
			_, err := e.inbox.cur.StatName(e.name)
			return err
		}
		name := deferredName(e.name)
		if err := e.inbox.new.Rename(e.name, e.inbox.cur, name); err != nil {
			return err
		}
		e.name, e.state = name, stateDeferred
		return nil
	})
}

// deferredName is the name in cur/: with ":2," as Maildir has it.
func deferredName(name string) string {
	base, _, _ := strings.Cut(name, ":")
	return base + ":2,"
}

// hold: to HELD, by a stage.
func (s *Spool) hold(e *Entry, reason string) error {
	return s.holdAs(e, verbHeld, reason)
}

// holdAs: to HELD. The reason goes first, so that no held entry lacks one.
func (s *Spool) holdAs(e *Entry, verb, reason string) error {
	hold, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	line := reasonLine(s.now(), e.Inbox, verb, reason)
	if err := hold.setReason(e.Key, line, s.now()); err != nil {
		return err
	}
	if err := s.move(e, hold.new); err != nil {
		return err
	}
	s.log.Held(string(e.Key), string(e.Inbox), reason)
	return nil
}

func (s *Spool) drop(e *Entry, o Outcome) error {
	if err := e.unlink(); err != nil {
		return err
	}
	s.log.Dropped(string(e.Key), string(e.Inbox), o.Reason)
	return nil
}

func addresses(to []Recipient) []string {
	var list []string
	for _, r := range to {
		if !r.Done {
			list = append(list, r.Addr)
		}
	}
	return list
}

func oneFile(err error, a, b string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s and %s are one file", a, b)
}
