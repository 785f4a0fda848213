package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"strings"

	"paperpath/internal/message"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

const (
	maxNamed   = 50  // recipients that the text for people names
	maxSubject = 200 // octets of the message's subject in it
)

// human tells a person what happened, why, what they can do, and what happens next. The
// words of other hosts come last.
func (r *Report) human(whole bool) string {
	var b strings.Builder
	words := r.Kind.phrases()
	b.WriteString(wrap("", "", fmt.Sprintf("Your message%s %s", r.quotedSubject(), words.lead)))
	named := 0
	for _, g := range r.stories() {
		if named >= maxNamed {
			break
		}
		b.WriteByte('\n')
		for _, address := range g.addresses[:min(len(g.addresses), maxNamed-named)] {
			fmt.Fprintf(&b, "<%s>\n", visible.Field(address))
			named++
		}
		b.WriteString(g.text)
	}
	if more := len(r.Recipients) - named; more > 0 {
		fmt.Fprintf(&b, "\nand %d more, which the report for mail programs below lists.\n", more)
	}
	b.WriteString("\n" + words.next)
	if !r.RetryUntil.IsZero() {
		fmt.Fprintf(&b, "If it cannot be delivered by %s, you will receive\nanother report.\n",
			date(r.RetryUntil))
	}
	b.WriteByte('\n')
	what := "header of the message"
	if whole {
		what = "message itself"
	}
	fmt.Fprintf(&b, "This is the mail system at %s.\nThe message was accepted on %s.\nIts queue id is %s\n"+
		"A report for mail programs and the %s follow.\n", bounded(r.Host), date(r.Arrival), r.Key, what)
	return b.String()
}

// story is what happened to some recipients alike.
type story struct {
	addresses []string
	text      string
}

// stories groups the recipients by what happened to them, in the order in which they are
// given.
func (r *Report) stories() (list []*story) {
	of := map[string]*story{}
	for _, to := range r.Recipients {
		text := r.tell(to)
		if of[text] == nil {
			of[text] = &story{text: text}
			list = append(list, of[text])
		}
		of[text].addresses = append(of[text].addresses, to.Address)
	}
	return list
}

// tell says what happened to one recipient.
func (r *Report) tell(to Recipient) string {
	const indent = "    "
	text := ""
	if to.Err != nil {
		text += wrap(indent, indent, r.reason(to.Err))
	}
	switch {
	case to.Diagnostic != "":
		who := "The other host"
		if to.RemoteMTA != "" {
			who = "The host " + bounded(to.RemoteMTA)
		}
		text += wrap(indent, indent, who+" said: "+bounded(to.Diagnostic))
	case to.Err != nil:
		text += wrap(indent, indent, "In detail: "+public(to.Err))
	}
	return text
}

// reason is a failure in plain words.
func (r *Report) reason(err error) string {
	w := whyOf(err)
	var expired *Expired
	if errors.As(err, &expired) {
		return "It could not be delivered for " + days(expired.Lifetime) + ". At the last attempt: " + w.what
	}
	if r.Kind != Failed || w.do == "" { // nothing need be done while we try
		return w.what
	}
	return w.what + " " + w.do
}

// public is what the sender may know of an error: its text, not its cause.
func public(err error) string {
	if e, ok := err.(*Expired); ok {
		return "given up after " + days(e.Lifetime) + ": " + public(e.Cause)
	}
	return bounded(status.Public(err))
}

// quotedSubject is the subject of the message, in quotes behind a blank, by which the
// sender knows which message is meant; "" if it has none that can be read.
func (r *Report) quotedSubject() string {
	if r.header == nil {
		return ""
	}
	text, err := new(mime.WordDecoder).DecodeHeader(r.header.Value("Subject"))
	if err != nil {
		return "" // in a charset that we do not know
	}
	text = strings.TrimSpace(visible.Shorten(visible.Line(strings.ToValidUTF8(text, "?")), maxSubject))
	if text == "" {
		return ""
	}
	return ` "` + text + `"`
}

// dropped are the fields that are left out of what is returned: they name recipients
// whom the sender, or whoever else reads the report, need not know (RFC 5322 3.6.3): blind
// copies, and where an address of ours forwards to.
func dropped(name string) bool {
	switch strings.ToLower(name) {
	case "bcc", "resent-bcc", "delivered-to", "x-original-to", "apparently-to", "x-envelope-to":
		return true
	}
	return false
}

// withoutRecipients removes those fields from the start of a message, whose header is h.
func withoutRecipients(text []byte, h *message.Header) []byte {
	var out bytes.Buffer
	at := int64(0)
	for _, f := range h.Fields {
		if end := min(f.End, int64(len(text))); dropped(f.Name) && f.Start >= at && f.Start < end {
			out.Write(text[at:f.Start])
			at = end
		}
	}
	if at == 0 {
		return text
	}
	out.Write(text[at:])
	return out.Bytes()
}
