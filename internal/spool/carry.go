package spool

import (
	"errors"
	"fmt"
	"io/fs"

	"paperpath/internal/dir"
)

// carryOut carries an outcome out, in the order that Outcome gives. errGone says
// that a person moved or removed the entry in the meantime.
func (s *Spool) carryOut(e *Entry, o Outcome) error {
	if err := s.publishCopies(e, o.Copies); err != nil {
		return err
	}
	if o.Action == Deliver && len(o.Children) > 0 {
		if held, err := s.deliverFirst(e, &o); held || err != nil {
			return err
		}
	}
	if err := s.publishChildren(e, o.Children); err != nil {
		return err
	}
	if o.Bounce != nil {
		if err := s.publishBounce(e, o.Bounce); err != nil {
			return err
		}
		o.Done = append(o.Done, o.Bounce.Failed...)
	}
	if err := s.publishNotices(e, o.Replies, silent); err != nil {
		return err
	}
	if o.Action != Deliver {
		if err := s.publishNotices(e, o.Notices, ""); err != nil {
			return err
		}
	}
	if o.Action != Drop { // a dropped entry needs no marks
		if err := e.Mark(o.Done...); err != nil {
			return err
		}
	}
	switch o.Action {
	case HandOn:
		return s.handOn(e, o.to)
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
	if found, err := s.move(e, to.new); err != nil || found != absent {
		return err
	}
	s.log.Routed(string(e.Key), string(in), addresses(e.Envelope.To))
	return nil
}

// move renames the entry into the directory to, without what a mail reader
// appended to its name. Where the name is taken the entry ends, and the answer
// says how (collide).
func (s *Spool) move(e *Entry, to *dir.Dir) (answer, error) {
	if to.Path() == e.at.dir().Path() {
		return absent, nil // it is there: not a repeat of itself
	}
	name := e.fileName().String()
	err := e.again(func() error { return e.at.dir().Rename(e.at.name, to, name) })
	if errors.Is(err, fs.ErrExist) {
		return s.collide(e, to, name)
	}
	if err != nil {
		return absent, err
	}
	if e.Attempts > 0 {
		e.at.inbox.dropReason(e.Key)
	}
	return absent, nil
}

// again calls do, and once more where the entry has a new name or state by now;
// errGone where it has left its inbox.
func (e *Entry) again(do func() error) error {
	err := do()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now, gone := e.at.inbox.whereabouts(e.fileName())
	if gone != nil {
		return gone
	}
	if now == e.at {
		return err // it is here: what is missing is the target
	}
	e.at = now
	return do()
}

// unlink removes the entry and its reason.
func (e *Entry) unlink() error {
	if err := e.again(func() error { return e.at.remove() }); err != nil {
		return err
	}
	if e.Attempts > 0 {
		e.at.inbox.dropReason(e.Key)
	}
	return nil
}

// deferUntil: NEW or DEFERRED to DEFERRED. The reason goes first; a crash between
// the two leaves a NEW entry, which is tried once more.
func (s *Spool) deferUntil(e *Entry, o Outcome) error {
	line := reasonLine(s.now(), e.Inbox, "deferred", o.Reason)
	if err := e.at.inbox.addReason(e.Key, e.shownLine()+line, o.Due); err != nil {
		return err
	}
	e.Attempts++
	s.log.Deferred(string(e.Key), string(e.Inbox), o.Due, o.Reason)
	return e.again(func() error {
		if e.at.state == stateDeferred {
			_, err := e.at.stat()
			return err
		}
		to := spot{e.at.inbox, stateDeferred, e.fileName().in(stateDeferred)}
		if err := e.at.dir().Rename(e.at.name, to.dir(), to.name); err != nil {
			return err
		}
		e.at = to
		return nil
	})
}

// hold: to HELD, by a stage.
func (s *Spool) hold(e *Entry, reason string) error { return s.holdAs(e, verbHeld, reason) }

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
	if found, err := s.move(e, hold.new); err != nil || found != absent {
		return err
	}
	s.log.Held(string(e.Key), string(e.Inbox), reason)
	return nil
}

// drop: to GONE.
func (s *Spool) drop(e *Entry, o Outcome) error {
	if err := e.unlink(); err != nil {
		return err
	}
	if e.unsynced { // else its work is on the disk elsewhere, and an entry that comes back has none
		e.unsynced = false
		s.removals.note(e.at.dir())
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
