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
	return len(s) == 2 && strings.IndexByte(verpDelimiters, s[0]) >= 0 && strings.IndexByte(verpDelimiters, s[1]) >= 0
}

// ParseVERP reads the value of -XV: nothing, which is +=, or two delimiters.
func ParseVERP(s string) (string, error) {
	if s == "" {
		return "+=", nil
	}
	if !isVERP(s) {
		return "", status.UsageError("-XV%s: the delimiters are two of %s", s, verpDelimiters)
	}
	return s, nil
}

// envelopes returns the envelopes of the message: one, or with a variable
// envelope return path one a recipient, so that a bounce tells whose it is
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
		// Where it is too long for some host the plain one has to do.
		if _, err := addr.Parse(sender.String()); err == nil && len(sender.Local) <= addr.SafeLocal {
			from.Addr = sender.String()
		}
		all = append(all, spool.Envelope{From: from, To: []spool.Recipient{r}})
	}
	return all
}
