package check

import (
	"context"
	"fmt"
	"strings"
)

// once are the fields that a header may have once (RFC 5322 3.6, RFC 2045 3, RFC 2183 2).
// From and Sender have a check of their own.
var once = [...]string{"Date", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID",
	"Content-Description"}

// fieldsCheck looks for what a header may not have: fields that are there twice, of which
// programs take the first or the last, and lines that are no fields.
type fieldsCheck struct{}

// Name implements Check.
func (fieldsCheck) Name() string { return "fields" }

// Ask implements Check.
func (fieldsCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	var count [len(once)]int
	for _, f := range m.Header.Fields {
		for i, name := range once {
			if len(name) == len(f.Name) && strings.EqualFold(name, f.Name) {
				count[i]++
			}
		}
	}
	var odd []string
	for i, n := range count {
		if n > 1 {
			odd = append(odd, fmt.Sprintf("%d %s fields instead of one", n, once[i]))
		}
	}
	if m.Header.Junk > 0 {
		odd = append(odd, fmt.Sprintf("%d lines are no header fields", m.Header.Junk))
	}
	if len(odd) == 0 {
		return Finding{}
	}
	q.Trail.Add("fields", strings.Join(odd, ", "), "")
	return Finding{Fails: true, Reason: strings.Join(odd, ", ")}
}
