package submit

import (
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// verpDelimiters are the characters between the parts of a variable envelope
// return path, as Postfix allows them.
const verpDelimiters = "-=+"

// isVERP reports whether s is a pair of delimiters.
func isVERP(s string) bool {
	return len(s) == 2 && strings.Trim(s, verpDelimiters) == ""
}

// ParseVERP parses the value of -XV: two delimiters, or nothing, which means +=.
func ParseVERP(s string) (string, error) {
	if s == "" {
		return "+=", nil
	}
	if !isVERP(s) {
		return "", status.UsageError("-XV%s: two delimiters are needed, out of %s", s, verpDelimiters)
	}
	return s, nil
}

// envelopes returns the envelopes of the message: one, or with a variable envelope
// return path one per recipient, so that a bounce names the recipient
// (list@a.example to bob@b.example comes from list+bob=b.example@a.example).
func (m *submission) envelopes() []spool.Envelope {
	if m.verp == "" || m.identity.sender.IsNull() {
		return []spool.Envelope{{From: m.from, To: m.to}}
	}
	var all []spool.Envelope
	for _, r := range m.to {
		from := m.from
		at := strings.LastIndexByte(r.Addr, '@')
		sender := m.identity.sender
		sender.Local += m.verp[:1] + r.Addr[:max(at, 0)] + m.verp[1:] + r.Addr[at+1:]
		// If that is too long for some hosts the plain one has to do.
		if _, err := addr.Parse(sender.String()); err == nil && len(sender.Local) <= addr.SafeLocal {
			from.Addr = sender.String()
		}
		all = append(all, spool.Envelope{From: from, To: []spool.Recipient{r}})
	}
	return all
}
