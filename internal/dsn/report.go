// Package dsn writes the messages that the mail system sends by itself: delivery
// reports (RFC 3464) and the postmaster's digest. It only makes their text;
// package settle decides when one is sent, and to whom.
package dsn

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/params"
)

const (
	maxHeader = 64 << 10 // octets of header that are returned
	maxFields = 5000     // header fields that are returned
	maxID     = 250      // octets of a Message-ID that the report refers to
	maxThread = 10       // ids in References
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
	MaxReturned  int64             // octets of a message that is returned whole
	UTF8         bool              // it was submitted with SMTPUTF8

	header *message.Header // of Message
}

// Compose writes the report (RFC 6522, 3464). Apart from the dates and the
// replies of remote hosts the same failure always gives the same text.
func (r *Report) Compose() ([]byte, error) {
	copied, whole, err := r.returned()
	if err != nil {
		return nil, fmt.Errorf("read the message to be returned: %w", err)
	}
	human := []byte(r.human(whole))
	parts := []part{
		{"Notification", "text/plain; charset=us-ascii", human, true},
		{"Delivery report", "message/delivery-status", []byte(r.status()), false},
		{r.Kind.phrases().returned, "message/rfc822", copied, false},
	}
	if !addr.IsASCII(string(human)) {
		parts[0].kind = "text/plain; charset=utf-8"
	}
	if !whole {
		parts[2].kind = "text/rfc822-headers"
		if !addr.IsASCII(string(copied)) {
			parts[2].kind += "; charset=" + charset(copied)
		}
	}
	if r.needsUTF8() { // RFC 6533
		parts[1].kind = "message/global-delivery-status"
	}
	if r.UTF8 || r.needsUTF8() {
		parts[2].kind = "message/global"
		if !whole {
			parts[2].kind = "message/global-headers"
		}
	}
	return r.assemble(parts)
}

// charset names the charset of 8-bit octets, as far as it can be known (RFC 1428 3).
func charset(text []byte) string {
	if utf8.Valid(text) {
		return "utf-8"
	}
	return "unknown-8bit"
}

// returned is what the report holds of the message: all of a small one, else its
// header; only the header where the sender asked for that, where nothing failed
// (RFC 3461 4.3), and for REQUIRETLS, since the report may travel without TLS
// (RFC 8689 4.3).
func (r *Report) returned() (text []byte, whole bool, err error) {
	h, err := message.Read(r.section(r.Message.Size()), maxHeader, maxFields)
	cut := errors.Is(err, message.ErrTooLong) || errors.Is(err, message.ErrTooMany)
	if err != nil && !cut {
		return nil, false, err
	}
	r.header = h
	headerOnly := r.Kind != Failed || strings.EqualFold(params.Get(r.SenderParams, "RET"), "HDRS") ||
		params.Has(r.SenderParams, "REQUIRETLS")
	n := h.End
	if whole = r.Message.Size() <= r.MaxReturned && !headerOnly && !cut; whole {
		n = r.Message.Size()
	}
	if text, err = io.ReadAll(r.section(n)); err != nil {
		return nil, false, err
	}
	return withoutRecipients(text, h), whole, nil
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

func date(t time.Time) string { return message.Date(t.UTC()) }
