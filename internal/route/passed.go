package route

import (
	"errors"
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Passed are the addresses that a message has been delivered to or forwarded
// for: its Delivered-To fields (RFC 9228), ours and those of other systems.
type Passed struct {
	names      map[string]bool // keys
	bases      map[string]bool // and those without their extensions
	mail       bool            // a mail system handed the message in: its first field is Received
	delimiters string
}

const deliveredTo = "Delivered-To"

// PassedOf reads them from the header of a message as it came. Their extensions begin
// at the delimiters.
func PassedOf(h *message.Header, delimiters string) Passed {
	p := Passed{delimiters: delimiters}
	for i, f := range h.Fields {
		switch {
		case i == 0 && strings.EqualFold(f.Name, "Received"):
			p.mail = true
		case strings.EqualFold(f.Name, deliveredTo):
			p.add(f.Value)
		}
	}
	return p
}

// add reads a value: `a`, `<a>` or `<a> parameters`.
func (p *Passed) add(s string) {
	a, err := addr.Parse(s)
	if err != nil && strings.HasPrefix(s, "<") {
		a, _, err = addr.ParsePath(s)
	}
	if err != nil {
		return
	}
	if p.names == nil {
		p.names, p.bases = map[string]bool{}, map[string]bool{}
	}
	p.names[key(a)] = true
	for _, form := range a.Names(p.delimiters) {
		p.bases[key(form)] = true
	}
}

// FromMail reports whether a mail system handed the message in: it puts its Received
// on top (RFC 5321 4.4). A message that a person sends again begins with other
// fields (RFC 5322 3.6.6), or with the Delivered-To of their mailbox.
func (p Passed) FromMail() bool { return p.mail }

// Expanded reports whether row has been expanded for the message before: a
// Delivered-To names it, with any extension.
func (p Passed) Expanded(row addr.Address) bool { return p.bases[key(row)] }

// Reached reports whether the message has been at a before, or at a's name
// without its extension.
func (p Passed) Reached(a addr.Address) bool {
	if len(p.names) == 0 {
		return false
	}
	for _, form := range a.Names(p.delimiters) {
		if p.names[key(form)] {
			return true
		}
	}
	return false
}

// Limits of the header that is read for them. Fields below come from systems that
// the message passed long before.
const (
	maxPassedBytes  = 1 << 20
	maxPassedFields = 20000
)

// passedBy reads them for an entry.
func passedBy(c *control.Control, e *spool.Entry) (Passed, error) {
	delimiters, err := c.Delimiters()
	if err != nil {
		return Passed{}, err
	}
	h, err := message.Read(e.Message(), maxPassedBytes, maxPassedFields)
	if err != nil && !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
		return Passed{}, fmt.Errorf("read the header: %w", err)
	}
	return PassedOf(h, delimiters), nil
}

// Looped is the error of a recipient of e that the message has reached before, where
// a mail system has brought it back. People may send a message again.
func Looped(c *control.Control, e *spool.Entry, a addr.Address) error {
	if may, err := message.MayHave(e.Message(), deliveredTo); err == nil && !may {
		return nil
	}
	p, err := passedBy(c, e)
	if err != nil {
		return err
	}
	return p.looped(e, a)
}

func (p Passed) looped(e *spool.Entry, a addr.Address) error {
	if !p.Reached(a) || !p.mail && (!e.FromSMTP() || e.Trusted()) {
		return nil
	}
	return status.Refuse("5.4.6", "mail loop: the message has reached "+visible.ASCII(a.String())+" before")
}
