package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/message"
)

// copyBuffer is the unit in which bodies are read.
const copyBuffer = 256 << 10

// text is what is to be written into the file of an entry.
type text struct {
	head   []byte
	body   Body
	whole  []byte // all of it, if that is short
	ended  bool   // its last line has an end
	size   int64  // octets of all of it
	breaks int64  // its line ends
}

// weigh tells what the name of an entry tells of its file, before there is one. A short
// message is read by that and need not be read again.
func weigh(head []byte, body Body) (*text, error) {
	body, err := safeStart(body)
	if err != nil {
		return nil, err
	}
	t := &text{head: head, body: body, ended: true}
	short := body.Size() <= copyBuffer
	last := byte('\n')
	err = t.chunks(func(p []byte) error {
		t.size += int64(len(p))
		t.breaks += int64(bytes.Count(p, newline))
		last = p[len(p)-1]
		if short {
			t.whole = p
		}
		return nil
	})
	if last != '\n' {
		t.ended = false
		t.size++
		t.breaks++
		if short {
			t.whole = append(t.whole, '\n')
		}
	}
	return t, err
}

var newline = []byte("\n")

// chunks reads the text, its head together with the first part of the body. A chunk is good
// until the next one.
func (t *text) chunks(each func([]byte) error) error {
	size := t.body.Size()
	buf := make([]byte, len(t.head), len(t.head)+int(min(size, copyBuffer))+1)
	copy(buf, t.head)
	for off := int64(0); ; buf = buf[:0] {
		want := int(min(size-off, copyBuffer))
		at := len(buf)
		buf = buf[:at+want]
		n, err := t.body.ReadAt(buf[at:], off)
		if n < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read the message: %w", err)
		}
		if off += int64(want); len(buf) > 0 {
			if err := each(buf); err != nil {
				return err
			}
		}
		if off >= size {
			return nil
		}
	}
}

// errChanged says that a body was not the same when it was read again.
var errChanged = errors.New("the message has changed while it was stored")

// text writes t in as few writes as its size allows: a short one is one write.
func (d *draft) text(t *text) error {
	if t.whole != nil {
		_, err := d.Write(t.whole)
		return err
	}
	err := t.chunks(func(p []byte) error {
		_, err := d.Write(p)
		return err
	})
	if err == nil && !t.ended {
		_, err = d.Write(newline)
	}
	if err == nil && (d.size != t.size || d.breaks != t.breaks) {
		err = errChanged
	}
	if d.err == nil {
		d.err = err
	}
	return err
}

// message writes the head and the body.
func (d *draft) message(head []byte, body Body) error {
	t, err := weigh(head, body)
	if err != nil {
		return err
	}
	return d.text(t)
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
