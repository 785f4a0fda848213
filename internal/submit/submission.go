package submit

import (
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/compose"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// submission is a message of a local user on its way into the spool. Only the
// program that has it first completes it: the sendmail face, or the server of
// run/submit for a client that speaks SMTP to it.
type submission struct {
	host   string // ours
	domain string // of addresses that have none
	now    time.Time
	read   func(spool.Body) (*message.Header, error) // reads a header within limits

	// rewrite replaces addresses in the message; nil: the server of run/submit does it.
	rewrite func(sender bool, a addr.Address) (addr.Address, error)

	identity   identity
	from       spool.Path
	to         []spool.Recipient
	seen       map[string]bool // keys of to
	notify     string          // parameters of each recipient
	fromHeader bool            // -t: the header names recipients too
	verp       string          // delimiters of a variable envelope return path; "" is a plain one
}

// complete returns the message as it goes into the spool. With -t it adds the
// recipients that the header names. The header has the addresses that the submitter used.
func (m *submission) complete(buf spool.Body) (*message.Header, spool.Body, error) {
	h, err := m.read(buf)
	if err != nil {
		return nil, nil, err
	}
	if m.fromHeader {
		list, err := compose.Recipients(h)
		if err != nil {
			return nil, nil, err
		}
		m.add(list)
	}
	if len(m.to) == 0 {
		return nil, nil, status.UsageError("no recipients in To, Cc or Bcc")
	}
	msg, err := compose.New(h, buf)
	if err != nil {
		return nil, nil, err
	}
	msg.Drop(check.Forged(h, m.host))
	err = msg.Complete(compose.Origin{Host: m.host, Domain: m.domain, Now: m.now, Author: m.identity.author,
		Rewrite: m.rewrite})
	return h, msg.Body(), err
}

// add adds recipients, each once.
func (m *submission) add(list []addr.Address) {
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	for _, a := range list {
		a = qualified(a, m.domain)
		if key := a.Key(); !m.seen[key] {
			m.seen[key] = true
			m.to = append(m.to, spool.Recipient{Addr: a.String(), Params: m.notify})
		}
	}
}
