package spool

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"paperpath/maildir"
)

// publishCopies stores the message in further Maildirs, under its key. Where an attempt
// before has put it there it is not stored again; what its reader made of it meanwhile, they
// made of it.
func (s *Spool) publishCopies(e *Entry, paths []string) error {
	for _, path := range paths {
		if err := s.copyBeside(e, path); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) copyBeside(e *Entry, path string) error {
	md, err := maildir.Open(path)
	if err != nil {
		return err
	}
	defer md.Close()
	if found, _, err := e.inMailbox(md); found != absent || err != nil {
		return err
	}
	n := e.copyName()
	room, err := s.room(md.Path(), n.size, 1)
	if err != nil {
		return err
	}
	defer room.release()
	err = md.Deliver(n.String(), func(w io.Writer) error {
		_, err := io.Copy(w, e.mailboxBytes())
		return err
	})
	if errors.Is(err, fs.ErrExist) { // another delivery has just put it there
		return nil
	}
	if err != nil {
		return err
	}
	s.countQuota(md, n)
	s.log.Delivered(string(e.Key), e.Envelope.To[0].Addr, path, "copy")
	return nil
}

// deliverFirst puts a copy into the mailbox of an entry that has children too, which then ends
// by being dropped. A mailbox may not take the message for days, and a child that has left
// the queue meanwhile would be made, and sent, once more by each attempt.
func (s *Spool) deliverFirst(e *Entry, o *Outcome) (held bool, err error) {
	md, err := maildir.Open(o.mailbox)
	if err != nil {
		return false, err
	}
	defer md.Close()
	found, path, err := e.inMailbox(md)
	if found == absent && err == nil {
		found, path, err = e.inOthers(o.others)
	}
	if err == nil && found == absent {
		err = s.copyBeside(e, o.mailbox)
	}
	if err != nil {
		return false, err
	}
	if found == other {
		return true, s.hold(e, taken(path))
	}
	o.Action, o.Reason = Drop, "delivered, and its children published"
	return false, nil
}

// copyName is the file name of the entry as the copying path writes it.
func (e *Entry) copyName() fileName {
	head := e.mailboxHead()
	n := fileName{key: e.Key, size: int64(len(head)) + e.Size - e.head.results}
	n.wire = n.size + e.wireSize - e.Size - e.head.lines + int64(strings.Count(head, "\n"))
	return n
}
