package check

import (
	"context"
	"fmt"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// sizeCheck compares the message with control/databytes, and with what control/sizes
// allows the submitter, or the recipients of mail from elsewhere.
type sizeCheck struct{}

// Name implements Check.
func (sizeCheck) Name() string { return "size" }

// Mail implements MailCheck: the size that a client declares is enough to refuse.
func (sizeCheck) Mail(_ context.Context, m *Case, _ Query) Finding {
	if m.Login == "" || m.Declared == 0 {
		return Finding{}
	}
	limit, err := m.sizeOf(m.Login)
	if err == nil && m.Declared > limit.Octets {
		err = status.TooLargeFor(limit.Octets, limit.Where)
	}
	return failed(err)
}

// Rcpt implements RcptCheck. A recipient for whom the message is too large is refused
// alone.
func (sizeCheck) Rcpt(_ context.Context, m *Case, to spool.Recipient, _ Query) Finding {
	if m.submitted() || m.Declared == 0 {
		return Finding{}
	}
	limit, err := m.sizeOf(to.Addr)
	if err == nil && m.Declared > limit.Octets {
		err = status.TooLargeFor(limit.Octets, limit.Where)
	}
	return failed(err)
}

// Ask implements Check. A message is too large if it is for all of its recipients: a
// client has no way to learn that it is for some.
func (sizeCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	limit, err := m.largest()
	if err != nil {
		return failed(err)
	}
	if q.Trail != nil {
		q.Trail.Add("size", fmt.Sprintf("%d of %d octets", m.Body.Size(), limit.Octets), limit.Where)
	}
	if m.Body.Size() > limit.Octets {
		return failed(status.TooLargeFor(limit.Octets, limit.Where))
	}
	return Finding{}
}

// largest is how large this message may be.
func (m *Case) largest() (control.SizeLimit, error) {
	if m.Login != "" {
		return m.sizeOf(m.Login)
	}
	var most control.SizeLimit
	if !m.submitted() {
		for _, to := range m.Envelope.To {
			limit, err := m.sizeOf(to.Addr)
			if err != nil {
				return limit, err
			}
			if limit.Octets > most.Octets {
				most = limit
			}
		}
	}
	if most.Octets > 0 {
		return most, nil
	}
	octets, err := m.Control.Databytes()
	return control.SizeLimit{Octets: octets, Where: "control/databytes"}, err
}

// sizeOf is how large a message of a login, or for a recipient, may be: by the row of the
// address, by that of its mailbox, without the extension or where an alias leads to one
// address alone, else by that of the domain.
func (m *Case) sizeOf(address string) (control.SizeLimit, error) {
	a, err := addr.Parse(address)
	if err != nil { // the name of a login that is no address
		return m.Control.SizeLimit("", address)
	}
	forms, err := route.AddressForms(m.Control, a)
	if err != nil {
		return control.SizeLimit{}, err
	}
	if m.Resolve == nil {
		return m.Control.SizeLimit(a.Domain, forms...)
	}
	list, err := m.Resolve(a)
	if status.IsTemporary(err) {
		return control.SizeLimit{}, err
	}
	if err != nil || len(list) != 1 { // an unknown recipient is another's business
		return m.Control.SizeLimit(a.Domain, forms...)
	}
	more, err := route.AddressForms(m.Control, list[0])
	if err != nil {
		return control.SizeLimit{}, err
	}
	limit, err := m.Control.SizeLimit(a.Domain, append(forms, more...)...)
	if err != nil {
		return limit, err
	}
	return m.boxLimit(list[0], limit)
}

// boxLimit is the smaller one of a limit and that of the mailbox in which the message ends:
// maildeliver would return what exceeds it.
func (m *Case) boxLimit(box addr.Address, limit control.SizeLimit) (control.SizeLimit, error) {
	if _, local, err := m.Control.IsLocal(box.Domain); err != nil || !local {
		return limit, err
	}
	own, err := route.SizeOf(m.Control, box.String())
	if err == nil && own.Octets < limit.Octets {
		return own, nil
	}
	return limit, err
}
