// Package dsn writes the messages that the mail system sends by itself: delivery
// reports (RFC 3464) and the postmaster's digest. It only makes their text;
// package settle decides when one is sent, and to whom.
package dsn

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/params"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

const (
	maxReturned = 64 << 10 // octets of a message that is returned whole
	maxHeader   = 64 << 10 // octets of header that are returned
	maxFields   = 5000     // header fields that are returned
	maxID       = 250      // octets of a Message-ID that the report refers to
)

// Recipient is one recipient that a report is about.
type Recipient struct {
	Address    string
	Params     string // its parameters at RCPT: ORCPT is reported
	Err        error  // why it failed or is delayed; nil otherwise
	RemoteMTA  string // the host that answered, or ""
	Diagnostic string // that host's reply, or ""
}

// Report is a delivery report to the sender of a message. It names only its own
// Recipients, so that no other recipient of the message is disclosed.
type Report struct {
	Kind       Kind
	Host       string // that reports
	Key        string // of the message
	Arrival    time.Time
	Now        time.Time
	RetryUntil time.Time // the last attempt; zero where there are no further ones

	Sender       string
	SenderParams string // parameters at MAIL: RET, ENVID, REQUIRETLS
	Recipients   []Recipient
	Message      *io.SectionReader // what may be returned of it: from our Received on
}

// Compose writes the report (RFC 6522, 3464). Apart from the dates and the
// replies of remote hosts the same failure always gives the same text.
func (r *Report) Compose() ([]byte, error) {
	copied, whole, err := r.returned()
	if err != nil {
		return nil, fmt.Errorf("read the message to be returned: %w", err)
	}
	parts := []part{
		{"Notification", "text/plain; charset=us-ascii", r.human(whole)},
		{"Delivery report", "message/delivery-status", r.status()},
		{r.Kind.phrases().returned, "message/rfc822", copied},
	}
	if !whole {
		parts[2].kind = "text/rfc822-headers"
	}
	if r.needsUTF8() { // RFC 6533
		parts[0].kind = "text/plain; charset=utf-8"
		parts[1].kind = "message/global-delivery-status"
		parts[2].kind = "message/global"
		if !whole {
			parts[2].kind = "message/global-headers"
		}
	}
	return r.assemble(parts), nil
}

// returned is what the report holds of the message: all of a small one, else its
// header; only the header where the sender asked for that, where nothing failed
// (RFC 3461 4.3), and for REQUIRETLS, since the report may travel without TLS
// (RFC 8689 4.3).
func (r *Report) returned() (text string, whole bool, err error) {
	headerOnly := r.Kind != Failed || strings.EqualFold(params.Get(r.SenderParams, "RET"), "HDRS") ||
		params.Has(r.SenderParams, "REQUIRETLS")
	if r.Message.Size() <= maxReturned && !headerOnly {
		all, err := io.ReadAll(r.section(r.Message.Size()))
		return string(all), true, err
	}
	h, err := message.Read(r.section(r.Message.Size()), maxHeader, maxFields)
	if err != nil && !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
		return "", false, err
	}
	header, err := io.ReadAll(r.section(h.End))
	return string(header), false, err
}

// section reads the first n octets of the message.
func (r *Report) section(n int64) io.Reader { return io.NewSectionReader(r.Message, 0, n) }

// needsUTF8 reports whether an address in the report is not ASCII.
func (r *Report) needsUTF8() bool {
	for _, to := range r.Recipients {
		if !addr.IsASCII(to.Address) {
			return true
		}
	}
	return !addr.IsASCII(r.Sender)
}

// part is a MIME part.
type part struct{ description, kind, text string }

// assemble makes the message of the parts. 8-bit text is declared on the part
// and on the whole (RFC 2045 6.4).
func (r *Report) assemble(parts []part) []byte {
	boundary := r.boundary(parts)
	eightBit := false
	for _, p := range parts {
		eightBit = eightBit || !addr.IsASCII(p.text)
	}
	var b strings.Builder
	r.header(&b)
	fmt.Fprintf(&b, "Content-Type: multipart/report; report-type=delivery-status;\n boundary=\"%s\"\n", boundary)
	if eightBit {
		b.WriteString("Content-Transfer-Encoding: 8bit\n")
	}
	b.WriteString("\nThis is a report in MIME format (RFC 3464).\n")
	for _, p := range parts {
		// The line end before a boundary belongs to the boundary.
		fmt.Fprintf(&b, "\n--%s\nContent-Description: %s\nContent-Type: %s\n", boundary, p.description, p.kind)
		if !addr.IsASCII(p.text) {
			b.WriteString("Content-Transfer-Encoding: 8bit\n")
		}
		b.WriteString("\n" + p.text)
	}
	fmt.Fprintf(&b, "\n--%s--\n", boundary)
	return []byte(b.String())
}

// boundary is a text that no part holds. A remote host knows the key, and must
// not be able to end a part with its reply.
func (r *Report) boundary(parts []part) string {
	for i := 0; ; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "boundary %d %s", i, r.Key))
		b := "=_" + hex.EncodeToString(sum[:16])
		found := false
		for _, p := range parts {
			found = found || strings.Contains(p.text, b)
		}
		if !found {
			return b
		}
	}
}

// header writes the fields of the report itself. Auto-Submitted keeps
// responders away (RFC 3834 5).
func (r *Report) header(b *strings.Builder) {
	to := make([]string, len(r.Recipients))
	for i := range r.Recipients {
		to[i] = r.Recipients[i].Address
	}
	words, host := r.Kind.phrases(), bounded(r.Host)
	sum := sha256.Sum256([]byte(words.seed + "\n" + r.Key + "\n" + strings.Join(to, "\n")))
	fmt.Fprintf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\n", host)
	fmt.Fprintf(b, "To: <%s>\n", visible.Field(r.Sender))
	fmt.Fprintf(b, "Subject: Your message %s\n", words.subject)
	fmt.Fprintf(b, "Date: %s\n", date(r.Now))
	fmt.Fprintf(b, "Message-ID: <%s.%s@%s>\n", r.Key, hex.EncodeToString(sum[:6]), host)
	if id := r.originalID(); id != "" {
		fmt.Fprintf(b, "In-Reply-To: %s\nReferences: %s\n", id, id)
	}
	b.WriteString("Auto-Submitted: auto-replied\nMIME-Version: 1.0\n")
}

// originalID is the message's own id, so that a mail reader can show the report
// beside it; "" where it has no valid one.
func (r *Report) originalID() string {
	h, _ := message.Read(r.section(r.Message.Size()), maxHeader, maxFields)
	if h == nil {
		return ""
	}
	id := h.Value("Message-ID")
	inside, ok := strings.CutPrefix(id, "<")
	inside, closed := strings.CutSuffix(inside, ">")
	if !ok || !closed || inside == "" || len(id) > maxID || strings.ContainsAny(inside, "<> ") || bounded(id) != id {
		return ""
	}
	return id
}

func date(t time.Time) string { return message.Date(t.UTC()) }

// human tells a person what happened and what happens next.
func (r *Report) human(whole bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "This is the mail system at %s.\n\n", bounded(r.Host))
	words := r.Kind.phrases()
	b.WriteString(wrap("", "", fmt.Sprintf("Your message, accepted here on %s with the queue id %s, %s",
		date(r.Arrival), r.Key, words.lead)))
	for _, to := range r.Recipients {
		fmt.Fprintf(&b, "\n<%s>\n", visible.Field(to.Address))
		b.WriteString(to.story())
	}
	b.WriteString("\n" + words.next)
	if !r.RetryUntil.IsZero() {
		fmt.Fprintf(&b, "If it cannot be delivered by %s, you will receive\nanother report.\n", date(r.RetryUntil))
	}
	if whole {
		b.WriteString("\nA delivery report for mail programs and a copy of your message follow.\n")
	} else {
		b.WriteString("\nA delivery report for mail programs and the header of your message follow.\n")
	}
	return b.String()
}

// story is what happened to one recipient.
func (to Recipient) story() string {
	const indent = "    "
	text := ""
	if to.Err != nil {
		text = wrap(indent, indent, public(to.Err))
	}
	if to.Diagnostic == "" || to.Err != nil && strings.Contains(public(to.Err), to.Diagnostic) {
		return text
	}
	who := "The other host"
	if to.RemoteMTA != "" {
		who = "The host " + bounded(to.RemoteMTA)
	}
	return text + wrap(indent, indent, who+" said: "+bounded(to.Diagnostic))
}

// public is what the sender may know of an error: its text, not its cause.
func public(err error) string {
	if e, ok := err.(*Expired); ok {
		return "given up after " + days(e.Lifetime) + ": " + public(e.Cause)
	}
	var e *status.Error
	if !errors.As(err, &e) || e.Text == "" {
		return "temporary problem in the mail system"
	}
	return bounded(e.Text)
}

// status is the part for programs (RFC 3464 2.2, 2.3).
func (r *Report) status() string {
	var b strings.Builder
	if id := params.Get(r.SenderParams, "ENVID"); id != "" {
		b.WriteString(field("Original-Envelope-Id", bounded(decoded(id))))
	}
	b.WriteString(field("Reporting-MTA", "dns; "+bounded(r.Host)))
	b.WriteString(field("Arrival-Date", date(r.Arrival)))
	b.WriteString(field("X-Paperpath-Key", r.Key))
	for _, to := range r.Recipients {
		b.WriteString("\n" + r.recipient(to))
	}
	return b.String()
}

// recipient is the group of fields of one recipient.
func (r *Report) recipient(to Recipient) string {
	var b strings.Builder
	if kind, address, ok := strings.Cut(params.Get(to.Params, "ORCPT"), ";"); ok {
		b.WriteString(field("Original-Recipient", bounded(kind)+"; "+bounded(decoded(address))))
	}
	kind := "rfc822"
	if !addr.IsASCII(to.Address) {
		kind = "utf-8" // RFC 6533 3
	}
	fmt.Fprintf(&b, "Final-Recipient: %s; %s\n", kind, visible.Field(to.Address)) // never folded: an address may hold blanks
	b.WriteString(field("Action", string(r.Kind)))
	b.WriteString(field("Status", bounded(r.Kind.status(to.Err))))
	if to.RemoteMTA != "" {
		b.WriteString(field("Remote-MTA", "dns; "+bounded(to.RemoteMTA)))
	}
	if to.Diagnostic != "" {
		b.WriteString(field("Diagnostic-Code", "smtp; "+bounded(to.Diagnostic)))
	} else if to.Err != nil {
		b.WriteString(field("Diagnostic-Code", "x-paperpath; "+public(to.Err)))
	}
	b.WriteString(field("Last-Attempt-Date", date(r.Now)))
	if !r.RetryUntil.IsZero() {
		b.WriteString(field("Will-Retry-Until", date(r.RetryUntil)))
	}
	return b.String()
}
