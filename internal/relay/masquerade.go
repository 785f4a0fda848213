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

// masquerade replaces what means nothing elsewhere: of a message of ours, the addresses that
// rows of control/rewrite have, and of every message, those of this machine that say who sent
// it (control/masquerade), in the reverse path and in the header. The spool keeps the message
// as it is, so mailboxes here show the addresses that people here know, and a signature that
// comes from elsewhere is never broken by a row. Bounces are ours as well: a provider that
// demands its own addresses looks at From.
func (r *Relay) masquerade(m *Message) error {
	mask, err := r.Control.Masquerade()
	if err != nil {
		return err
	}
	rows, err := r.Control.RewritesLeaving()
	if err != nil || !mask.Set() && !(rows && m.Ours) {
		return err
	}
	v := masker{r, m, mask, rows && m.Ours}
	if a, err := addr.Parse(m.From.Addr); err == nil {
		masked, ours, err := v.masked(a, true)
		if err != nil {
			return err
		}
		if ours {
			m.masked = masked.String()
		}
	}
	edits, err := v.fields()
	if err != nil || len(edits) == 0 {
		return err
	}
	var p message.Pieces
	p.Edited(m.Content, m.Content.Size(), edits)
	m.Content = io.NewSectionReader(&p, 0, p.Size())
	return nil
}

// masker replaces addresses of one message.
type masker struct {
	*Relay
	m    *Message
	mask control.Mask
	rows bool // control/rewrite has rows for it
}

// masked returns what stands for an address, which may be that of a sender; ours is false if it
// stays as it is.
func (v masker) masked(a addr.Address, sender bool) (masked addr.Address, ours bool, err error) {
	if v.rows {
		to, err := v.Control.Rewrite(control.Leaving, a)
		if err != nil {
			return a, false, err
		}
		if to != nil {
			return to.Address, true, nil
		}
	}
	if masked, ours = v.mask.Of(a); !ours || !sender {
		return a, false, nil
	}
	host, err := v.Control.Hostname()
	if err != nil {
		return a, false, err
	}
	if addr.FoldDomain(a.Domain) == addr.FoldDomain(host) {
		return masked, true, nil
	}
	_, ours, err = v.Control.IsLocal(a.Domain)
	return masked, ours, err
}

// fields returns the changes to the header of the message, as far as that is read.
func (v masker) fields() ([]message.Edit, error) {
	h, _ := message.Read(io.NewSectionReader(v.m.Content, 0, v.m.Content.Size()), maxHeader, maxFields)
	var edits []message.Edit
	for _, f := range h.Fields {
		sender := true
		switch addr.Fold(f.Name) {
		case "from", "sender", "reply-to", "resent-from", "resent-sender", "resent-reply-to",
			"disposition-notification-to", "errors-to":
		case "to", "cc", "resent-to", "resent-cc":
			if sender = false; !v.rows {
				continue
			}
		default:
			continue
		}
		more, err := v.field(f, sender)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	return edits, nil
}

// field returns the changes to one field.
func (v masker) field(f message.Field, sender bool) (edits []message.Edit, err error) {
	text := make([]byte, f.End-f.Start)
	if _, err := v.m.Content.ReadAt(text, f.Start); err != nil && err != io.EOF {
		return nil, status.Temp("4.3.0", "cannot read the message", fmt.Errorf("masquerade: %w", err))
	}
	_, value, _ := strings.Cut(string(text), ":")
	spans, err := addr.Spans(value)
	if err != nil {
		return nil, nil // as it came: a person may understand it
	}
	at := f.End - int64(len(value))
	for _, s := range spans {
		masked, ours, err := v.masked(s.Address, sender)
		if err != nil {
			return nil, err
		}
		if ours {
			edits = append(edits, message.Edit{Start: at + int64(s.Start), End: at + int64(s.End), Text: masked.String()})
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
