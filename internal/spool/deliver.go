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

	"paperpath/internal/dir"
	"paperpath/internal/params"
	"paperpath/maildir"
)

// deliver: NEW or DEFERRED to DELIVERED. On one file system the message leaves the
// queue and enters the mailbox in one rename; elsewhere it is copied. The notices
// that the sender asked for are published before the entry goes.
func (s *Spool) deliver(e *Entry, o Outcome) error {
	if len(e.Envelope.To) != 1 {
		return fmt.Errorf("%s has %d recipients, a mailbox takes one", e.Key, len(e.Envelope.To))
	}
	md := o.opened
	if md == nil {
		var err error
		if md, err = maildir.Open(o.mailbox); err != nil {
			return err
		}
		defer md.Close()
	}
	return s.deliverInto(md, e, o)
}

// deliverInto is deliver for the open mailbox.
func (s *Spool) deliverInto(md *maildir.Dir, e *Entry, o Outcome) (err error) {
	found, how := absent, "rename"
	if e.derived() {
		// A crash may have left the same child in the mailbox before.
		found, err = s.collideIn(md, e, o)
	}
	if err == nil && found == absent {
		err = unix.EXDEV
		if e.plain() {
			found, err = s.moveTo(e, md)
		}
	}
	if errors.Is(err, unix.EXDEV) {
		how = "copy"
		found, err = s.copyInto(md, e, o)
	}
	if err != nil || found != absent {
		return err
	}
	s.log.Delivered(string(e.Key), e.Envelope.To[0].Addr, o.mailbox, how)
	return nil
}

// moveTo renames the entry into the mailbox.
func (s *Spool) moveTo(e *Entry, md *maildir.Dir) (answer, error) {
	fd, err := md.New()
	if err != nil {
		return absent, err
	}
	found, err := s.move(e, dir.OfFd(fd, filepath.Join(md.Path(), "new")))
	if err == nil && found == absent {
		s.countQuota(md, e.fileName())
	}
	return found, err
}

// countQuota counts a message that has come into a mailbox. If that fails, the mailbox is
// counted again before anything is refused.
func (s *Spool) countQuota(md *maildir.Dir, n fileName) {
	if err := md.CountQuota(n.String()); err != nil {
		s.log.Trouble(string(n.key), "count the quota", err)
	}
}

// plain reports whether the entry's bytes are what the mailbox gets.
func (e *Entry) plain() bool {
	to := e.Envelope.To[0]
	return e.Envelope.From.Params == "" && to.Params == "" && !to.Done
}

// copyInto writes a copy under the key's name, then removes the entry. It looks
// for the key first, since this may be a repeat.
func (s *Spool) copyInto(md *maildir.Dir, e *Entry, o Outcome) (answer, error) {
	if found, err := s.collideIn(md, e, o); err != nil || found != absent {
		return found, err
	}
	n := e.copyName()
	room, err := s.room(md.Path(), n.size, 1)
	if err != nil {
		return absent, err
	}
	defer room.release()
	err = md.Deliver(n.String(), func(w io.Writer) error {
		_, err := io.Copy(w, e.mailboxBytes())
		return err
	})
	if errors.Is(err, fs.ErrExist) { // another delivery has just put it there
		if found, err := s.collideIn(md, e, o); err != nil || found != absent {
			return found, err
		}
	}
	if err != nil {
		return absent, err
	}
	s.countQuota(md, n)
	if err := s.publishNotices(e, o.Notices, ""); err != nil {
		return absent, err
	}
	return absent, e.unlink()
}

// mailboxBytes is the entry as the copying path writes it into a mailbox.
func (e *Entry) mailboxBytes() io.Reader {
	return io.MultiReader(strings.NewReader(e.mailboxHead()),
		io.NewSectionReader(e.file, e.head.results, e.Size-e.head.results))
}

// mailboxHead is the envelope as a mailbox shows it: without parameters, and
// with the original recipient where it differs: the one that a submitter names
// (RFC 3461 4.2), else the one that we accepted, since a stranger may name anybody.
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
