package spool

import (
	"bytes"
	"errors"
	"io/fs"

	"paperpath/internal/status"
)

// Accept stores a message as a new entry in the inbox in. Once it returns nil
// the entry is durable: its data is synced, and a name of it, in tmp/ or in new/.
// results are header fields of our own, with their line ends, that go between the
// envelope and our Received. Errors are temporary; 452 where the disk is full.
func (s *Spool) Accept(in Inbox, env Envelope, results []string, tr Trace, body Body) (Key, error) {
	k := s.Reserve()
	if err := s.AcceptAs(k, in, env, results, tr, body); err != nil {
		return "", err
	}
	return k, nil
}

// Reserve returns a fresh key for AcceptAs and AcceptHeld: filters are told the key of an
// entry before there is one.
func (s *Spool) Reserve() Key { return NewKey(s.now(), s.host) }

// AcceptAs is Accept with a key from Reserve, which stands for one entry.
func (s *Spool) AcceptAs(k Key, in Inbox, env Envelope, results []string, tr Trace, body Body) error {
	if err := s.accept(k, in, env, results, tr, body); err != nil {
		return acceptError(err)
	}
	return nil
}

// AcceptHeld is AcceptAs into hold/, where a person must look at the message. The reason
// names the stage check, in whose place it was held, and is there before the entry.
func (s *Spool) AcceptHeld(k Key, env Envelope, results []string, tr Trace, body Body, reason string) error {
	if err := s.acceptHeld(k, env, results, tr, body, reason); err != nil {
		return acceptError(err)
	}
	return nil
}

func (s *Spool) acceptHeld(k Key, env Envelope, results []string, tr Trace, body Body, reason string) error {
	hold, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	if err := hold.setReason(k, reasonLine(s.now(), InboxCheck, verbHeld, reason), s.now()); err != nil {
		return err
	}
	if err := s.accept(k, InboxHold, env, results, tr, body); err != nil {
		hold.dropReason(k)
		return err
	}
	return nil
}

func acceptError(err error) error {
	code, _, _ := status.Reply(err)
	if code == 452 {
		return err
	}
	e := status.Temp("4.3.0", "cannot store the message, please try again later", err)
	e.Reply = 452
	return e
}

func (s *Spool) accept(k Key, in Inbox, env Envelope, results []string, tr Trace, body Body) error {
	if err := env.check(); err != nil {
		return err
	}
	room, err := s.room(s.path, body.Size(), 1)
	if err != nil {
		return err
	}
	defer room.release()
	b, err := s.inbox(in)
	if err != nil {
		return err
	}
	t, err := weigh(s.headBytes(k, env, results, tr), body)
	if err != nil {
		return err
	}
	begin := func() (*draft, error) { return b.newDraft(k) }
	if b.promotes() {
		begin = func() (*draft, error) { return b.newComplete(fileName{k, t.size, t.size + t.breaks}) }
	}
	d, err := s.write(begin, t)
	if err != nil {
		return err
	}
	defer d.abort()
	return s.settle(d)
}

// write makes the file of a new entry, synced, in tmp/.
func (s *Spool) write(begin func() (*draft, error), t *text) (*draft, error) {
	d, err := begin()
	if err != nil {
		return nil, err
	}
	now := s.now()
	d.text(t)
	if s.shifted {
		d.setArrival(now)
	}
	if err := d.flush(); err != nil {
		d.abort()
		return nil, err
	}
	return d, nil
}

// settle gives a synced draft its name in new/. Where the name in tmp/ is durable with the
// file, and a crash would find it there, nothing more is to be synced.
func (s *Spool) settle(d *draft) error {
	name, err := d.publish()
	if d.final && errors.Is(err, fs.ErrNotExist) {
		return s.promoted(d)
	}
	if err != nil {
		return err
	}
	if d.final && d.inbox.durable {
		return nil
	}
	return d.inbox.commit(name)
}

func (s *Spool) headBytes(k Key, env Envelope, results []string, tr Trace) []byte {
	var head bytes.Buffer
	head.WriteString(formatEnvelope(env))
	for _, field := range results {
		head.WriteString(field)
	}
	head.WriteString(formatReceived(tr, k, s.now()))
	return head.Bytes()
}
