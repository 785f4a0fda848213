package relay

import (
	"fmt"
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// masquerade replaces the addresses of this machine that say who sent m: the reverse
// path, and those in the fields that a reply goes to. Bounces are m as well: a provider
// that demands its own addresses looks at From.
func (r *Relay) masquerade(m *Message) error {
	mask, err := r.Control.Masquerade()
	if err != nil || !mask.Set() {
		return err
	}
	if a, err := addr.Parse(m.From.Addr); err == nil {
		masked, ours, err := r.masked(mask, a)
		if err != nil {
			return err
		}
		if ours {
			m.masked = masked.String()
		}
	}
	edits, err := r.maskedFields(mask, m)
	if err != nil || len(edits) == 0 {
		return err
	}
	var p message.Pieces
	p.Edited(m.Content, m.Content.Size(), edits)
	m.Content = io.NewSectionReader(&p, 0, p.Size())
	return nil
}

// masked returns what stands for an address; ours is false if it stays as it is.
func (r *Relay) masked(mask control.Mask, a addr.Address) (masked addr.Address, ours bool, err error) {
	if masked, ours = mask.Of(a); !ours {
		return a, false, nil
	}
	host, err := r.Control.Hostname()
	if err != nil {
		return a, false, err
	}
	if addr.FoldDomain(a.Domain) == addr.FoldDomain(host) {
		return masked, true, nil
	}
	_, ours, err = r.Control.IsLocal(a.Domain)
	return masked, ours, err
}

// maskedFields returns the changes to the header of m, as far as that is read.
func (r *Relay) maskedFields(mask control.Mask, m *Message) ([]message.Edit, error) {
	h, _ := message.Read(io.NewSectionReader(m.Content, 0, m.Content.Size()), maxHeader, maxFields)
	var edits []message.Edit
	for _, f := range h.Fields {
		switch addr.Fold(f.Name) {
		case "from", "sender", "reply-to", "resent-from", "resent-sender", "resent-reply-to",
			"disposition-notification-to", "errors-to":
		default:
			continue
		}
		text := make([]byte, f.End-f.Start)
		if _, err := m.Content.ReadAt(text, f.Start); err != nil && err != io.EOF {
			return nil, status.Temp("4.3.0", "cannot read the message", fmt.Errorf("masquerade: %w", err))
		}
		_, value, _ := strings.Cut(string(text), ":")
		spans, err := addr.Spans(value)
		if err != nil {
			continue // as it came: a person may understand it
		}
		for _, s := range spans {
			masked, ours, err := r.masked(mask, s.Address)
			if err != nil {
				return nil, err
			}
			if ours {
				at := f.End - int64(len(value))
				edits = append(edits, message.Edit{Start: at + int64(s.Start), End: at + int64(s.End),
					Text: masked.String()})
			}
		}
	}
	return edits, nil
}

// reversePath is the one that hosts get.
func (m *Message) reversePath() string {
	if m.masked != "" {
		return m.masked
	}
	return m.From.Addr
}
