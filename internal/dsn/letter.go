package dsn

import (
	"fmt"
	"strings"
	"time"

	"paperpath/internal/visible"
)

// Letter is a short text from the mail system to a user of ours.
type Letter struct {
	Host, To, Subject string
	ID                string // names the letter: the key of the entry that caused it, and why
	Text              string // a paragraph a line
	Now               time.Time
}

// Compose writes the letter. Auto-Submitted keeps responders away (RFC 3834 5).
func (l *Letter) Compose() []byte {
	var b strings.Builder
	host := bounded(l.Host)
	fmt.Fprintf(&b, "From: Mail Delivery System <MAILER-DAEMON@%s>\nTo: <%s>\n", host, visible.Field(l.To))
	fmt.Fprintf(&b, "Subject: %s\nDate: %s\nMessage-ID: <%s@%s>\n", bounded(l.Subject), date(l.Now), bounded(l.ID), host)
	b.WriteString("Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n")
	fmt.Fprintf(&b, "This is the mail system at %s.\n", host)
	for _, paragraph := range strings.Split(l.Text, "\n") {
		b.WriteString(wrap("\n", "", paragraph))
	}
	return []byte(b.String())
}
