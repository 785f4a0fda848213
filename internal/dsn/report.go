package dsn

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/message"
	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

const (
	maxReturned = 64 << 10 // octets of a message that is returned whole
	maxHeader   = 64 << 10 // octets of header that are returned
	maxFields   = 5000     // header fields that are returned
	maxID       = 250      // octets of a Message-ID that the report refers to
)

// report writes the report about these recipients (RFC 6522, 3464): only
// they appear in it, so that no other recipient is disclosed. What it returns
// of the message begins at our Received. But for the dates and the words of
// remote hosts the same failure makes the same report. What waits does so for
// lifetime at most.
func (s *Settler) report(e *spool.Entry, k kind, about []Result, host string, lifetime time.Duration) ([]byte, error) {
	back, whole, err := returned(e, k)
	if err != nil {
		return nil, fmt.Errorf("read what is to be returned: %w", err)
	}
	r := reporter{entry: e, kind: k, about: about, host: printable(host), now: s.Now(), utf8: needsUTF8(e, about)}
	if lifetime > 0 {
		r.until = e.Arrival.Add(lifetime)
	}
	parts := []part{
		{"Notification", "text/plain; charset=us-ascii", r.human(whole)},
		{"Delivery report", "message/delivery-status", r.status()},
		{k.words().returned, "message/rfc822", back},
	}
	if !whole {
		parts[2].kind = "text/rfc822-headers"
	}
	if r.utf8 { // RFC 6533
		parts[0].kind = "text/plain; charset=utf-8"
		parts[1].kind = "message/global-delivery-status"
		parts[2].kind = "message/global"
		if !whole {
			parts[2].kind = "message/global-headers"
		}
	}
	return r.compose(parts), nil
}

// returned is what goes back of the message: all of a small one, else its
// header; the header alone too where the sender asked for that, where nothing
// failed (RFC 3461 4.3), or for TLS, which the way back may not have (RFC 8689 4.3).
func returned(e *spool.Entry, k kind) (text string, whole bool, err error) {
	c := e.Content()
	words := e.Envelope.From.Params
	header := k != kindFailed || strings.EqualFold(params.Get(words, "RET"), "HDRS") || params.Has(words, "REQUIRETLS")
	if c.Size() <= maxReturned && !header {
		all, err := io.ReadAll(c)
		return string(all), true, err
	}
	h, err := message.Read(c, maxHeader, maxFields)
	if err != nil && !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
		return "", false, err
	}
	head, err := io.ReadAll(io.NewSectionReader(e.Content(), 0, h.End))
	return string(head), false, err
}

// needsUTF8 reports whether an address of the report is not ASCII.
func needsUTF8(e *spool.Entry, about []Result) bool {
	for _, r := range about {
		if !isASCII(e.Envelope.To[r.Index].Addr) {
			return true
		}
	}
	return !isASCII(e.Envelope.From.Addr)
}

// reporter writes the parts of one report.
type reporter struct {
	entry *spool.Entry
	kind  kind
	about []Result
	host  string
	now   time.Time
	until time.Time // of the last attempt; zero where there is none to come
	utf8  bool
}

// part is a MIME part.
type part struct{ description, kind, text string }

// compose makes the message of the parts. 8-bit text is declared on the part
// and on the whole (RFC 2045 6.4).
func (r *reporter) compose(parts []part) []byte {
	boundary := r.boundary(parts)
	eightBit := false
	for _, p := range parts {
		eightBit = eightBit || !isASCII(p.text)
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
		if !isASCII(p.text) {
			b.WriteString("Content-Transfer-Encoding: 8bit\n")
		}
		b.WriteString("\n" + p.text)
	}
	fmt.Fprintf(&b, "\n--%s--\n", boundary)
	return []byte(b.String())
}

// boundary is one that no part holds: also a remote host, which knows the key,
// cannot end a part with its reply.
func (r *reporter) boundary(parts []part) string {
	for i := 0; ; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "boundary %d %s", i, r.entry.Key))
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
func (r *reporter) header(b *strings.Builder) {
	to := make([]string, len(r.about))
	for i, f := range r.about {
		to[i] = r.entry.Envelope.To[f.Index].Addr
	}
	sum := sha256.Sum256([]byte(r.kind.words().seed + "\n" + string(r.entry.Key) + "\n" + strings.Join(to, "\n")))
	fmt.Fprintf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\n", r.host)
	fmt.Fprintf(b, "To: <%s>\n", printableUTF8(r.entry.Envelope.From.Addr))
	fmt.Fprintf(b, "Subject: Your message %s\n", r.kind.words().subject)
	fmt.Fprintf(b, "Date: %s\n", date(r.now))
	fmt.Fprintf(b, "Message-ID: <%s.%s@%s>\n", r.entry.Key, hex.EncodeToString(sum[:6]), r.host)
	if id := originalID(r.entry); id != "" {
		fmt.Fprintf(b, "In-Reply-To: %s\nReferences: %s\n", id, id)
	}
	b.WriteString("Auto-Submitted: auto-replied\nMIME-Version: 1.0\n")
}

// originalID is the message's own id, so that a mail reader can show the
// report beside it; "" where it has none that is one.
func originalID(e *spool.Entry) string {
	h, _ := message.Read(e.Message(), maxHeader, maxFields)
	if h == nil {
		return ""
	}
	id := h.Value("Message-ID")
	inside, ok := strings.CutPrefix(id, "<")
	inside, closed := strings.CutSuffix(inside, ">")
	if !ok || !closed || inside == "" || len(id) > maxID || strings.ContainsAny(inside, "<> ") || printable(id) != id {
		return ""
	}
	return id
}

func date(t time.Time) string { return message.Date(t.UTC()) }

// human tells a person what happened and what happens next.
func (r *reporter) human(whole bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "This is the mail system at %s.\n\n", r.host)
	w := r.kind.words()
	b.WriteString(wrap("", "", fmt.Sprintf("Your message that was accepted here on %s under the key %s %s",
		date(r.entry.Arrival), r.entry.Key, w.lead)))
	for _, f := range r.about {
		fmt.Fprintf(&b, "\n<%s>\n", printableUTF8(r.entry.Envelope.To[f.Index].Addr))
		b.WriteString(r.story(f))
	}
	b.WriteString("\n" + w.next)
	if !r.until.IsZero() {
		fmt.Fprintf(&b, "If all fail until %s, another report will say so.\n", date(r.until))
	}
	if whole {
		b.WriteString("\nA delivery report for programs and your message follow.\n")
	} else {
		b.WriteString("\nA delivery report for programs and the header of your message follow.\n")
	}
	return b.String()
}

// story is what happened to one recipient.
func (r *reporter) story(f Result) string {
	const indent = "    "
	text := ""
	if f.Err != nil {
		text = wrap(indent, indent, public(f.Err))
	}
	if f.Diagnostic == "" || f.Err != nil && strings.Contains(public(f.Err), f.Diagnostic) {
		return text
	}
	who := "The other host"
	if f.RemoteMTA != "" {
		who = "The host " + printable(f.RemoteMTA)
	}
	return text + wrap(indent, indent, who+" said: "+printable(f.Diagnostic))
}

// public is what the sender may know of an error: its text, not its cause.
func public(err error) string {
	if e, ok := err.(*expiredError); ok {
		return "given up after " + days(e.lifetime) + ": " + public(e.cause)
	}
	var e *status.Error
	if !errors.As(err, &e) || e.Text == "" {
		return "temporary trouble of the mail system itself"
	}
	return printable(e.Text)
}

// status is for programs (RFC 3464 2.2, 2.3).
func (r *reporter) status() string {
	var b strings.Builder
	if id := params.Get(r.entry.Envelope.From.Params, "ENVID"); id != "" {
		b.WriteString(field("Original-Envelope-Id", printable(decoded(id))))
	}
	b.WriteString(field("Reporting-MTA", "dns; "+r.host))
	b.WriteString(field("Arrival-Date", date(r.entry.Arrival)))
	b.WriteString(field("X-Paperpath-Key", string(r.entry.Key)))
	for _, f := range r.about {
		b.WriteString("\n" + r.recipient(f))
	}
	return b.String()
}

// recipient is the group of fields of one recipient.
func (r *reporter) recipient(f Result) string {
	var b strings.Builder
	to := r.entry.Envelope.To[f.Index]
	if kind, address, ok := strings.Cut(params.Get(to.Params, "ORCPT"), ";"); ok {
		b.WriteString(field("Original-Recipient", printable(kind)+"; "+printable(decoded(address))))
	}
	kind := "rfc822"
	if !isASCII(to.Addr) {
		kind = "utf-8" // RFC 6533 3
	}
	fmt.Fprintf(&b, "Final-Recipient: %s; %s\n", kind, printableUTF8(to.Addr)) // never folded: an address may hold blanks
	b.WriteString(field("Action", string(r.kind)))
	b.WriteString(field("Status", printable(r.kind.status(f.Err))))
	if f.RemoteMTA != "" {
		b.WriteString(field("Remote-MTA", "dns; "+printable(f.RemoteMTA)))
	}
	if f.Diagnostic != "" {
		b.WriteString(field("Diagnostic-Code", "smtp; "+printable(f.Diagnostic)))
	} else if f.Err != nil {
		b.WriteString(field("Diagnostic-Code", "x-paperpath; "+public(f.Err)))
	}
	b.WriteString(field("Last-Attempt-Date", date(r.now)))
	if !r.until.IsZero() {
		b.WriteString(field("Will-Retry-Until", date(r.until)))
	}
	return b.String()
}
