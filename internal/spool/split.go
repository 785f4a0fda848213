package spool

import (
	"errors"
	"io/fs"

	"paperpath/internal/maillog"
)

// CopyBytes returns how many octets splitting the entry into these children
// will write.
func (e *Entry) CopyBytes(children []Child) int64 {
	var sum int64
	for _, c := range children {
		sum += int64(len(formatEnvelope(c.envelope()))+len(c.originalField())+len(c.trace())) + c.copied(e)
	}
	return sum
}

// publishChildren writes all children and makes them durable, renames them into new/
// together, and makes the names durable before the parent may go. Nothing is written
// unless there is room for all.
func (s *Spool) publishChildren(e *Entry, children []Child) error {
	if len(children) == 0 {
		return nil
	}
	drafts, err := s.draftChildren(e, children)
	for _, d := range drafts {
		defer d.abort()
	}
	if err != nil {
		return err
	}
	touched := map[*inbox]bool{}
	for i, d := range drafts {
		if err := s.publishChild(d, e, children[i]); err != nil {
			return err
		}
		touched[d.inbox] = true
	}
	for b := range touched {
		if err := b.new.Sync(); err != nil {
			return err
		}
	}
	s.log.Together(func(log *maillog.Log) {
		for i, c := range children {
			log.Split(string(e.Key), string(drafts[i].key), string(c.Inbox), addresses(c.To))
		}
	})
	return nil
}

// publishChild renames a child into new/, unless it is there or deferred already,
// from before a crash.
func (s *Spool) publishChild(d *draft, e *Entry, c Child) error {
	if c.Inbox == InboxHold {
		line := reasonLine(s.now(), e.Inbox, verbHeld, c.Reason)
		if err := d.inbox.setReason(d.key, line, s.now()); err != nil {
			return err
		}
	}
	// A child is as old as its parent: the lifetime counts from acceptance. That needs
	// no sync, since its key says the same. It is set this late because the cleaner
	// would remove a draft that looked old.
	if !e.arrivesBy(s.now()) || s.shifted {
		d.setArrival(e.Arrival)
	}
	if c.Message != nil {
		// A filter need not change it in the same way again, so the size in the name says
		// nothing about what a crash has left.
		if found, err := s.has(d.key); err != nil || found {
			return err
		}
	}
	return d.publishOnce()
}

// publishOnce publishes a draft whose key names a decision, unless that is in new/ or
// cur/ already: made before a crash.
func (d *draft) publishOnce() error {
	n := d.fileName()
	deferred := spot{d.inbox, stateDeferred, n.in(stateDeferred)}
	if found, err := deferred.published(); err != nil || found == same {
		return err
	}
	_, err := d.publish()
	if errors.Is(err, fs.ErrExist) {
		_, err = spot{d.inbox, stateNew, n.String()}.published()
	}
	return err
}
