package spool

import (
	"bytes"
	"fmt"
	"io"

	"paperpath/internal/message"
	"paperpath/internal/status"
)

// Accept stores a message as a new entry in the inbox in. Once it returns nil
// the entry is durable: synced data, a name in new/, and that directory synced.
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
	name, err := s.write(b, k, env, results, tr, body)
	if err != nil {
		return err
	}
	return b.commit(name)
}

// write makes the file of a new entry and publishes it in new/, which is not synced
// by that.
func (s *Spool) write(b *inbox, k Key, env Envelope, results []string, tr Trace, body Body) (string, error) {
	d, err := b.newDraft(k)
	if err != nil {
		return "", err
	}
	defer d.abort()
	now := s.now()
	if err := d.message(s.headBytes(k, env, results, tr), body); err != nil {
		return "", err
	}
	if s.shifted {
		d.setArrival(now)
	}
	if err := d.sync(); err != nil {
		return "", err
	}
	return d.publish()
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

// copyBuffer is the unit in which bodies are read.
const copyBuffer = 256 << 10

// message writes the head and the body in as few writes as the size allows. A
// small message is one write.
func (d *draft) message(head []byte, body Body) error {
	body, err := safeStart(body)
	if err != nil {
		return err
	}
	size := body.Size()
	buf := make([]byte, len(head), len(head)+int(min(size, copyBuffer))+64)
	copy(buf, head)
	last := byte('\n')
	for off := int64(0); off < size; {
		want := int(min(size-off, copyBuffer))
		at := len(buf)
		buf = append(buf, make([]byte, want)...)
		n, err := body.ReadAt(buf[at:], off)
		if n < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read the message: %w", err)
		}
		off += int64(want)
		last = buf[len(buf)-1]
		if off < size {
			if _, err := d.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	if last != '\n' {
		buf = append(buf, '\n')
	}
	_, err = d.Write(buf)
	return err
}

// safeStart edits the first lines of a message, so that they neither fold into the
// fields that are put above them nor end the header where they did not end it.
func safeStart(body Body) (Body, error) {
	edits, _, err := message.Leading(body, body.Size())
	if err != nil || len(edits) == 0 {
		return body, err
	}
	var p message.Pieces
	p.Edited(body, body.Size(), edits)
	return &p, nil
}
