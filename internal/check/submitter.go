package check

import (
	"context"

	"paperpath/internal/addr"
	"paperpath/internal/explain"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// senderCheck compares the author that a message of one of our users names with what
// the submitter may use: the reverse path, and every address in From, Sender and the
// Resent- fields. In the inbox the submitter is no longer known: they were checked
// when the message was accepted.
type senderCheck struct{}

// Name implements Check.
func (senderCheck) Name() string { return "sender" }

// Ask implements Check.
func (senderCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	return failed(checkSubmitter(m, q.Trail))
}

func checkSubmitter(m *Case, t *explain.Trail) error {
	if !m.submitted() {
		return nil
	}
	from := m.Header.Value("From")
	authors, err := addr.ParseList(from)
	if err != nil {
		authors, err = addr.ParseAuthors(from) // a name with a comma
	}
	if err != nil {
		return badFrom(visible.ASCII("From: " + err.Error()))
	}
	if len(authors) == 0 {
		return badFrom("From contains no address")
	}
	if !m.submitter().known() {
		return nil
	}
	claimed := m.claims()
	if err := Claims(m.Control, m.submitter(), claimed.Header, claimed.Domain, m.Resolve, t); err != nil {
		return err
	}
	path := claimed.From
	if path == "" {
		return nil
	}
	a, err := addr.Parse(path)
	if err != nil {
		return status.Refuse("5.1.7", visible.ASCII("reverse path: "+err.Error()))
	}
	return Sender(m.Control, m.submitter(), a, m.Resolve, t)
}
