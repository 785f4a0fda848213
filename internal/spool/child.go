package spool

import (
	"io"
	"strings"
)

func (c Child) envelope() Envelope { return Envelope{From: c.From, To: c.To} }

// check refuses a child that could not be read back.
func (c Child) check() error {
	for _, a := range c.Passed {
		if err := checkWord(a, ""); err != nil {
			return err
		}
	}
	return c.envelope().check()
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
// result fields on, with the trace directly below our Received.
func (d *draft) child(e *Entry, c Child) error {
	if _, err := io.WriteString(d, formatEnvelope(c.envelope())); err != nil {
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
