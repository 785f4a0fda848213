package submit

import (
	"fmt"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// submission is a message of a local submitter on its way into the spool. What it
// lacks is completed here alone, by whoever has the message first: the
// sendmail face, or the server of run/submit for a client that speaks SMTP to
// it.
type submission struct {
	host, domain string // ours; the domain of addresses without one
	now          time.Time
	read         headerReader

	identity identity
	from     spool.Path
	to       []spool.Recipient
	seen     map[string]bool // keys of to
	notify   string          // parameters of each recipient
	listed   bool            // -t: the header names recipients too
	verp     string          // delimiters of a variable envelope return path; "" is a plain one
}

// complete returns the message as it shall lie in the spool. With -t it adds
// the recipients that the header names.
func (m *submission) complete(buf spool.Body) (*message.Header, spool.Body, error) {
	c := composer{host: m.host, domain: m.domain, now: m.now}
	h, err := c.header(m.read, buf)
	if err != nil {
		return nil, nil, err
	}
	if m.listed {
		if err := m.list(h); err != nil {
			return nil, nil, err
		}
	}
	if len(m.to) == 0 {
		return nil, nil, status.UsageError("no recipients in To, Cc or Bcc")
	}
	c.forged(h)
	if err := c.finish(h, buf, m.identity); err != nil {
		return nil, nil, err
	}
	return h, c.body(buf), nil
}

// list adds the recipients that the header names; those of a message that was
// sent again stand in its topmost block (RFC 5322 3.6.6).
func (m *submission) list(h *message.Header) error {
	fields, prefix := h.Fields, ""
	if block := resent(h); len(block) > 0 {
		fields, prefix = block, "resent-"
	}
	for _, f := range fields {
		name, ours := strings.CutPrefix(addr.Fold(f.Name), prefix)
		if !ours || name != "to" && name != "cc" && name != "bcc" {
			continue
		}
		list, err := addr.ParseList(f.Value)
		if err != nil {
			return status.Refuse("5.1.3", fmt.Sprintf("%s: %v", f.Name, err))
		}
		m.add(list)
	}
	return nil
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
