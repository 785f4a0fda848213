// Package compose completes the messages of submitters (RFC 6409 8): fields that
// are missing are added, fields that the recipients must not see are left out,
// and addresses without a domain get one. Everything else stays octet for octet.
package compose

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/message"
)

// Body is the text of a message, header included.
type Body interface {
	io.ReaderAt
	Size() int64 // octets
}

// Message is a message on its way into the spool.
type Message struct {
	header  *message.Header
	from    Body // as it came
	edits   []message.Edit
	dropped map[int64]bool // the fields that are left out, by their Start
	top     strings.Builder
	added   []message.Field // what top holds
}

// New returns the message in body, whose header check.ReadHeader found to be h.
// Lines at its top that are no fields are changed as far as fields above them
// require it.
func New(h *message.Header, body Body) (*Message, error) {
	edits, _, err := message.Leading(body, body.Size())
	return &Message{header: h, from: body, edits: edits}, err
}

// Drop leaves fields out.
func (m *Message) Drop(fields []message.Field) {
	if m.dropped == nil {
		m.dropped = map[int64]bool{}
	}
	for _, f := range fields {
		if !m.isDropped(f) {
			m.dropped[f.Start] = true
			m.edits = append(m.edits, message.Edit{Start: f.Start, End: f.End})
		}
	}
}

func (m *Message) isDropped(f message.Field) bool { return m.dropped[f.Start] }

// add adds a field at the top.
func (m *Message) add(name, value string) { m.addAs(name, value, value) }

// addAs is add for a field that the message shows with the value shown.
func (m *Message) addAs(name, value, shown string) {
	fmt.Fprintf(&m.top, "%s: %s\n", name, shown)
	m.added = append(m.added, message.Field{Name: name, Value: value})
}

// Origin is where a message was submitted, and by whom.
type Origin struct {
	Host   string    // in Message-ID
	Domain string    // of addresses that have none; "" leaves them alone
	Now    time.Time // in Date
	Author Author    // in From

	// Rewrite returns what stands for an address of a sender, or of a recipient, in the
	// message; a itself if nothing does. nil: nothing is replaced.
	Rewrite func(sender bool, a addr.Address) (addr.Address, error)

	shown Author // as the message has it
}

// rewritten is what the message has for a.
func (o Origin) rewritten(sender bool, a addr.Address) (addr.Address, error) {
	if o.Rewrite == nil || a.Local == "" || a.Domain == "" {
		return a, nil
	}
	return o.Rewrite(sender, a)
}

// Complete completes the message: what only the sender may see goes, so do
// fields that must have a value and have none; From, Sender, Date and Message-ID
// are added where they are missing, also in the topmost block of a message that
// was resent (RFC 5322 3.6.6). The header that New was given then has the new
// fields too, but without their positions. Its addresses are those before Rewrite, which
// the submitter must be allowed to use.
func (m *Message) Complete(o Origin) error {
	h := m.header
	m.Drop(private(h))
	m.Drop(empty(h))
	if o.Author.flag('f') {
		m.Drop(h.All("From"))
	}
	if o.Author.flag('i') {
		m.Drop(h.All("Message-ID"))
	}
	block := resentBlock(h)
	if err := m.addresses(o, block); err != nil {
		return err
	}
	o.shown = o.Author
	var err error
	if o.shown.Address, err = o.rewritten(true, o.Author.Address); err != nil {
		return err
	}
	m.addMissing(h.Fields, "", o)
	if len(block) > 0 {
		m.addMissing(block, "Resent-", o)
	}
	h.Fields = slices.DeleteFunc(h.Fields, m.isDropped)
	if o.Author.flag('t') && !h.Has("To") && !h.Has("Cc") {
		m.add("Cc", "recipient list not shown: ;")
	}
	h.Fields = append(h.Fields, m.added...)
	return nil
}

// Body returns the message as it is now.
func (m *Message) Body() Body {
	top := m.top.String()
	if top == "" && len(m.edits) == 0 {
		return m.from
	}
	slices.SortStableFunc(m.edits, func(a, b message.Edit) int { return cmp.Compare(a.Start, b.Start) })
	var p message.Pieces
	p.Text(top)
	p.Edited(m.from, m.from.Size(), m.edits)
	return &p
}

// private returns the fields that the recipients must not see.
func private(h *message.Header) []message.Field {
	var fields []message.Field
	for _, name := range []string{"Return-Path", "Bcc", "Resent-Bcc"} {
		fields = append(fields, h.All(name)...)
	}
	return fields
}

// empty returns the fields that have no value but must have one (RFC 5322 3.6).
func empty(h *message.Header) []message.Field {
	var fields []message.Field
	for _, f := range h.Fields {
		if f.Value != "" {
			continue
		}
		switch strings.TrimPrefix(addr.Fold(f.Name), "resent-") {
		case "from", "sender", "reply-to", "to", "cc", "date", "message-id":
			fields = append(fields, f)
		}
	}
	return fields
}
