package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/params"
	"paperpath/maildir"
)

// deliver: NEW or DEFERRED to DELIVERED. On one file system the message leaves the
// queue and enters the mailbox in one rename; else it is copied.
// What the sender asked to hear of it is placed before the entry goes.
func (s *Spool) deliver(e *Entry, o Outcome) error {
	path := o.Mailbox
	told := func() error { return s.publishNotices(e, o.Notices) }
	if len(e.Envelope.To) != 1 {
		return fmt.Errorf("%s has %d recipients, a mailbox takes one", e.Key, len(e.Envelope.To))
	}
	md, err := maildir.Open(path)
	if err != nil {
		return err
	}
	defer md.Close()
	how := "rename"
	if e.derived() {
		// A crash may have left the same child in the mailbox before.
		err = s.meet(e, md, told)
	}
	if err == nil {
		err = unix.EXDEV
		if e.plain() {
			err = s.move(e, md.New())
		}
	}
	if errors.Is(err, unix.EXDEV) {
		how = "copy"
		err = s.copyInto(e, md, told)
	}
	if errors.Is(err, errRepeat) {
		return nil
	}
	if err != nil {
		return err
	}
	s.log.Delivered(string(e.Key), e.Envelope.To[0].Addr, path, how)
	return nil
}

func (s *Spool) repeated(e *Entry, where string, told func() error) error {
	if err := told(); err != nil {
		return err
	}
	if err := e.unlink(); err != nil {
		return err
	}
	s.log.Repeated(string(e.Key), where)
	return nil
}

// plain reports whether the entry's bytes are what the mailbox gets.
func (e *Entry) plain() bool {
	to := e.Envelope.To[0]
	return e.Envelope.From.Params == "" && to.Params == "" && !to.Done
}

// copyInto stores a copy under the key's name, then removes the entry. A repeat
// looks for the key first.
func (s *Spool) copyInto(e *Entry, md *maildir.Dir, told func() error) error {
	if err := s.meet(e, md, told); err != nil {
		return err
	}
	head := e.mailboxHead()
	size := int64(len(head)) + e.Size - e.head.results
	wire := size + e.WireSize - e.Size - e.head.lines + int64(strings.Count(head, "\n"))
	room, err := s.room(md.Path(), size, 1)
	if err != nil {
		return err
	}
	defer room.release()
	err = md.Deliver(fileName(e.Key, size, wire), func(w io.Writer) error {
		_, err := io.Copy(w, e.mailboxBytes())
		return err
	})
	if errors.Is(err, fs.ErrExist) { // it came in between
		if met := s.meet(e, md, told); met != nil {
			return met
		}
	}
	if err != nil {
		return err
	}
	if err := told(); err != nil {
		return err
	}
	return e.unlink()
}

// meet looks for a message of the entry's key in the mailbox and, where there is
// one, ends the entry: as a repeat, or in hold/ where it is another message. Then
// it returns errRepeat. Of a child or a bounce the key alone decides: made again
// it need not have the same bytes.
func (s *Spool) meet(e *Entry, md *maildir.Dir, told func() error) error {
	m, err := md.Find(string(e.Key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	same := e.derived()
	if !same {
		f, err := md.Open(&m)
		if err != nil {
			return err
		}
		defer f.Close()
		if same, err = sameBytes(e.mailboxBytes(), f); err != nil {
			return fmt.Errorf("compare with %s: %w", f.Name(), err)
		}
	}
	act := func() error { return s.repeated(e, md.Path(), told) }
	if !same {
		act = func() error { return s.hold(e, taken(filepath.Join(md.Path(), m.Sub, m.Name))) }
	}
	if err := act(); err != nil {
		return err
	}
	return errRepeat
}

// mailboxBytes is the entry as the copying path writes it into a mailbox.
func (e *Entry) mailboxBytes() io.Reader {
	return io.MultiReader(strings.NewReader(e.mailboxHead()),
		io.NewSectionReader(e.file, e.head.results, e.Size-e.head.results))
}

// mailboxHead is the envelope as a mailbox shows it: without parameters, and
// with the original recipient where it differs: the one that a submitter names
// (RFC 3461 4.2), else the one that we took, for a stranger may name anybody.
func (e *Entry) mailboxHead() string {
	to := e.Envelope.To[0]
	head := returnPath + "<" + e.Envelope.From.Addr + ">\n"
	orig := ""
	if e.Trusted() || e.Relay {
		orig = params.Original(to.Params)
	}
	if orig = cmp.Or(orig, params.Taken(to.Params)); orig != "" && orig != to.Addr {
		head += "X-Original-To: " + orig + "\n"
	}
	return head + deliveredTo + to.Addr + "\n"
}
