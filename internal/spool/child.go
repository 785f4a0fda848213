package spool

import (
	"bytes"
	"io"
	"strings"
)

func (c Child) envelope() Envelope { return Envelope{From: c.From, To: c.To} }

// check refuses a child that could not be read back.
func (c Child) check() error {
	for _, a := range append([]string{c.Original}, c.Passed...) {
		if err := checkWord(a, ""); err != nil {
			return err
		}
	}
	return c.envelope().check()
}

// originalField is a result field: what the recipient was before an alias or a rule stood for
// it. It goes into mailboxes and to programs, and never leaves with the message. Of two, the
// upper one is later.
func (c Child) originalField() string {
	if c.Original == "" {
		return ""
	}
	return "X-Original-To: " + c.Original + "\n"
}

// trace returns the fields by which a message that comes back is recognized: one
// Delivered-To for each address (RFC 9228).
func (c Child) trace() string {
	var b strings.Builder
	for _, a := range c.Passed {
		b.WriteString(deliveredTo + a + "\n")
	}
	return b.String()
}

// child writes a child of e: its own envelope, then all of the parent from our
// result fields on, with the trace directly below our Received. buf is for what is
// written at once.
func (d *draft) child(e *Entry, c Child, buf *[]byte) error {
	if c.Message != nil {
		return d.changed(e, c)
	}
	head := formatEnvelope(c.envelope()) + c.originalField()
	if e.rest != nil {
		end := e.head.end - e.head.results
		all := append(append((*buf)[:0], head...), e.rest[:end]...)
		*buf = append(append(all, c.trace()...), e.rest[end:]...)
		_, err := d.Write(*buf)
		return err
	}
	if _, err := io.WriteString(d, head); err != nil {
		return err
	}
	from, breaks := e.head.results, e.wireSize-e.Size-e.head.lines
	if trace := c.trace(); trace != "" {
		before := d.breaks
		ours := io.NewSectionReader(e.file, from, e.head.end-from)
		if _, err := io.Copy(d, ours); err != nil {
			return err
		}
		from, breaks = e.head.end, breaks-(d.breaks-before)
		if _, err := io.WriteString(d, trace); err != nil {
			return err
		}
	}
	return d.splice(e.file, from, e.Size-from, breaks)
}

// changed writes a child whose message a filter has changed: between its envelope and our
// Received stand its own results, and the message below.
func (d *draft) changed(e *Entry, c Child) error {
	var head bytes.Buffer
	head.WriteString(formatEnvelope(c.envelope()) + c.originalField())
	for _, field := range c.Results {
		head.WriteString(field)
	}
	ours := io.NewSectionReader(e.file, e.head.received, e.head.end-e.head.received)
	if _, err := head.ReadFrom(ours); err != nil {
		return err
	}
	head.WriteString(c.trace())
	return d.message(head.Bytes(), c.Message)
}

// copied is how many octets of a message the child takes over, without its envelope.
func (c Child) copied(e *Entry) int64 {
	if c.Message == nil {
		return e.Size - e.head.results
	}
	sum := e.head.end - e.head.received + c.Message.Size()
	for _, field := range c.Results {
		sum += int64(len(field))
	}
	return sum
}
