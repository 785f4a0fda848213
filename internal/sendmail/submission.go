package sendmail

import (
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/compose"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// Submission is a message of a local user on its way into the spool. Only the
// program that has it first completes it: the sendmail face, or the server of
// run/submit for a client that speaks SMTP to it.
type Submission struct {
	Host   string // ours
	Domain string // of addresses that have none
	Now    time.Time
	Read   func(compose.Body) (*message.Header, error) // reads a header within limits

	// Rewrite replaces addresses in the message; nil: the server of run/submit does it.
	Rewrite func(sender bool, a addr.Address) (addr.Address, error)

	Identity   Identity
	From       Path
	To         []Recipient
	seen       map[string]bool // keys of to
	Notify     string          // parameters of each recipient
	FromHeader bool            // -t: the header names recipients too
	VERP       string          // delimiters of a variable envelope return path; "" is a plain one
}

// Complete returns the message as it goes into the spool. With -t it adds the
// recipients that the header names. The header has the addresses that the submitter used.
func (m *Submission) Complete(buf compose.Body) (*message.Header, compose.Body, error) {
	h, err := m.Read(buf)
	if err != nil {
		return nil, nil, err
	}
	if m.FromHeader {
		list, err := compose.Recipients(h)
		if err != nil {
			return nil, nil, err
		}
		m.Add(list)
	}
	if len(m.To) == 0 {
		return nil, nil, status.UsageError("no recipients in To, Cc or Bcc")
	}
	msg, err := compose.New(h, buf)
	if err != nil {
		return nil, nil, err
	}
	msg.Drop(compose.Forged(h, m.Host))
	err = msg.Complete(compose.Origin{Host: m.Host, Domain: m.Domain, Now: m.Now, Author: m.Identity.Author,
		Rewrite: m.Rewrite})
	return h, msg.Body(), err
}

// Add adds recipients, each once.
func (m *Submission) Add(list []addr.Address) {
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	for _, a := range list {
		a = Qualified(a, m.Domain)
		if key := a.Key(); !m.seen[key] {
			m.seen[key] = true
			m.To = append(m.To, Recipient{Addr: a.String(), Params: m.Notify})
		}
	}
}

// Path is the reverse path with its parameters.
type Path struct {
	Addr   string // "" is the null reverse path
	Params string // RFC 3461
}

// Recipient is a forward path with its parameters.
type Recipient struct {
	Addr   string
	Params string
}

// Envelope says who sends a message to whom.
type Envelope struct {
	From Path
	To   []Recipient
}
