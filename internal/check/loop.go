package check

import (
	"context"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/route"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// loopCheck finds a message that a mail system brings back to where it has been. People
// may resend a message that they received. If the message has not reached some of the
// recipients before, it is accepted, and mailroute fails the others.
type loopCheck struct{}

// Name implements Check.
func (loopCheck) Name() string { return "loop" }

// Ask implements Check.
func (loopCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	delimiters, err := m.Control.Delimiters()
	if err != nil {
		return failed(err)
	}
	passed := route.PassedOf(m.Header, delimiters)
	if !m.SMTPPeer && !passed.FromMail() {
		return Finding{}
	}
	var again []string
	pending := 0
	for _, to := range m.Envelope.To {
		if to.Done {
			continue
		}
		pending++
		if a, err := addr.Parse(to.Addr); err == nil && passed.Reached(a) {
			again = append(again, to.Addr)
		}
	}
	if len(again) == 0 {
		q.Trail.Add("loop", "none", "Delivered-To")
		return Finding{}
	}
	q.Trail.Add("loop", strings.Join(again, " "), "Delivered-To")
	if len(again) < pending {
		return Finding{}
	}
	return failed(status.Refuse("5.4.6", "mail loop: the message has reached "+visible.ASCII(again[0])+" before"))
}
