package sendmail

import (
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// verpDelimiters are the characters between the parts of a variable envelope
// return path, as Postfix allows them.
const verpDelimiters = "-=+"

// isVERP reports whether s is a pair of delimiters.
func isVERP(s string) bool {
	return len(s) == 2 && strings.Trim(s, verpDelimiters) == ""
}

// parseVERP parses the value of -XV: two delimiters, or nothing, which means +=.
func parseVERP(s string) (string, error) {
	if s == "" {
		return "+=", nil
	}
	if !isVERP(s) {
		return "", status.UsageError("-XV%s: two delimiters are needed, out of %s", s, verpDelimiters)
	}
	return s, nil
}

// Envelopes returns the envelopes of the message: one, or with a variable envelope
// return path one per recipient, so that a bounce names the recipient
// (list@a.example to bob@b.example comes from list+bob=b.example@a.example).
func (m *Submission) Envelopes() []Envelope {
	if m.VERP == "" || m.Identity.Sender.IsNull() {
		return []Envelope{{From: m.From, To: m.To}}
	}
	var all []Envelope
	for _, r := range m.To {
		from := m.From
		at := strings.LastIndexByte(r.Addr, '@')
		sender := m.Identity.Sender
		sender.Local += m.VERP[:1] + r.Addr[:max(at, 0)] + m.VERP[1:] + r.Addr[at+1:]
		// If that is too long for some hosts the plain one has to do.
		if _, err := addr.Parse(sender.String()); err == nil && len(sender.Local) <= addr.SafeLocal {
			from.Addr = sender.String()
		}
		all = append(all, Envelope{From: from, To: []Recipient{r}})
	}
	return all
}
