package compose

import (
	"fmt"
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
)

// hasAddresses reports whether a field has addresses that submission completes and replaces,
// and whether they are those of senders.
func hasAddresses(name string) (is, sender bool) {
	switch strings.TrimPrefix(addr.Fold(name), "resent-") {
	case "from", "sender", "reply-to":
		return true, true
	case "to", "cc":
		return true, false
	}
	switch addr.Fold(name) {
	case "disposition-notification-to", "errors-to":
		return true, true
	}
	return false, false
}

// addresses adds the domain to addresses that have none, and replaces those that Rewrite
// replaces. Resent- fields below block are of an earlier time that the message was resent,
// and stay as they are.
func (m *Message) addresses(o Origin, block []message.Field) error {
	if o.Domain == "" && o.Rewrite == nil {
		return nil
	}
	for _, f := range m.header.Fields {
		is, sender := hasAddresses(f.Name)
		resent := strings.HasPrefix(addr.Fold(f.Name), "resent-")
		if !is || m.isDropped(f) || resent && f.Start > block[len(block)-1].Start {
			continue
		}
		text := make([]byte, f.End-f.Start)
		if _, err := m.from.ReadAt(text, f.Start); err != nil && err != io.EOF {
			return fmt.Errorf("read the message: %w", err)
		}
		_, value, _ := strings.Cut(string(text), ":")
		spans, err := addr.Spans(value)
		if err != nil {
			continue // as it came: a person may understand it
		}
		for _, s := range spans {
			if err := m.address(o, sender, f.End-int64(len(value)), s); err != nil {
				return err
			}
		}
	}
	return nil
}

// address completes or replaces one address of a field whose value begins at.
func (m *Message) address(o Origin, sender bool, at int64, s addr.Span) error {
	whole := s.Address
	if whole.Domain == "" {
		whole.Domain = o.Domain
	}
	to, err := o.rewritten(sender, whole)
	if err != nil {
		return err
	}
	e := message.Edit{Start: at + int64(s.End), End: at + int64(s.End)}
	switch {
	case to != whole:
		e.Start, e.Text = at+int64(s.Start), to.String()
	case s.Domain == "" && o.Domain != "":
		e.Text = "@" + o.Domain
	default:
		return nil
	}
	m.edits = append(m.edits, e)
	return nil
}
