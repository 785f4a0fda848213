package dsn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/message"
	"paperpath/internal/spool"
)

const (
	maxReturned = 64 << 10 // octets of a message that is returned whole
	maxHeader   = 64 << 10 // octets of header that are returned
	maxText     = 900      // octets of a remote reply
)

// report writes the report of RFC 3464 and 6522 about the failed recipients:
// only they appear in it, so that no other recipient is disclosed. What it
// returns of the message begins at our Received.
func (s *Settler) report(e *spool.Entry, failed []Result, host string) ([]byte, error) {
	part, whole, err := returned(e)
	if err != nil {
		return nil, fmt.Errorf("read what is to be returned: %w", err)
	}
	boundary := boundaryFor(e.Key, part)
	eightBit := !sevenBit(part)
	var b strings.Builder
	s.reportHeader(&b, e, host, boundary, eightBit || needsUTF8(e, failed))
	fmt.Fprintf(&b, "--%s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n", boundary)
	humanPart(&b, e, failed, host, whole)
	kind := "message/delivery-status"
	if needsUTF8(e, failed) {
		kind = "message/global-delivery-status" // RFC 6533
	}
	fmt.Fprintf(&b, "\n--%s\nContent-Type: %s\n\n", boundary, kind)
	s.statusPart(&b, e, failed, host)
	kind = "text/rfc822-headers"
	if whole {
		kind = "message/rfc822"
	}
	fmt.Fprintf(&b, "\n--%s\nContent-Type: %s\n", boundary, kind)
	if eightBit {
		b.WriteString("Content-Transfer-Encoding: 8bit\n")
	}
	fmt.Fprintf(&b, "\n%s", part)
	fmt.Fprintf(&b, "\n--%s--\n", boundary)
	return []byte(b.String()), nil
}

func (s *Settler) reportHeader(b *strings.Builder, e *spool.Entry, host, boundary string, eightBit bool) {
	id := sha256.Sum256([]byte("report " + e.Key + spool.Key(boundary)))
	fmt.Fprintf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\nTo: <%s>\n", host, e.Envelope.From.Addr)
	b.WriteString("Subject: Undelivered mail returned to sender\n")
	fmt.Fprintf(b, "Date: %s\n", s.Now().UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	fmt.Fprintf(b, "Message-ID: <%s.%s@%s>\n", e.Key, hex.EncodeToString(id[:6]), host)
	b.WriteString("Auto-Submitted: auto-replied\nMIME-Version: 1.0\n")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=delivery-status;\n boundary=\"%s\"\n", boundary)
	if eightBit {
		b.WriteString("Content-Transfer-Encoding: 8bit\n")
	}
	b.WriteString("\nThis is a report in MIME format (RFC 3464).\n\n")
}

// humanPart tells a person what happened.
func humanPart(b *strings.Builder, e *spool.Entry, failed []Result, host string, whole bool) {
	fmt.Fprintf(b, "This is the mail system at %s.\n\n", host)
	b.WriteString("Your message could not be delivered to the following recipients. No further\nattempt will be made; to reach them, send it again.\n\n")
	for _, r := range failed {
		fmt.Fprintf(b, "<%s>\n", oneLine(e.Envelope.To[r.Index].Addr))
		fmt.Fprintf(b, "    %s\n", oneLine(r.Err.Error()))
		if r.Diagnostic != "" && !strings.Contains(r.Err.Error(), r.Diagnostic) {
			fmt.Fprintf(b, "    The host %s said: %s\n", oneLine(r.RemoteMTA), oneLine(r.Diagnostic))
		}
		b.WriteString("\n")
	}
	if whole {
		b.WriteString("Your message follows the details below.\n")
	} else {
		b.WriteString("The header of your message follows the details below.\n")
	}
}

// statusPart is for programs (RFC 3464 2.2, 2.3).
func (s *Settler) statusPart(b *strings.Builder, e *spool.Entry, failed []Result, host string) {
	if id := param(e.Envelope.From.Params, "ENVID"); id != "" {
		fmt.Fprintf(b, "Original-Envelope-Id: %s\n", oneLine(id))
	}
	fmt.Fprintf(b, "Reporting-MTA: dns; %s\nX-Paperpath-Key: %s\nArrival-Date: %s\n", host, e.Key, date(e.Arrival))
	for _, r := range failed {
		address, utf8 := finalRecipient(e, r.Index)
		kind := "rfc822"
		if utf8 {
			kind = "utf-8"
		}
		b.WriteString("\n")
		if orig := param(e.Envelope.To[r.Index].Params, "ORCPT"); orig != "" {
			fmt.Fprintf(b, "Original-Recipient: %s\n", oneLine(strings.Replace(orig, ";", "; ", 1)))
		}
		fmt.Fprintf(b, "Final-Recipient: %s; %s\nAction: failed\nStatus: %s\n", kind, oneLine(address), enhanced(r.Err))
		if r.RemoteMTA != "" {
			fmt.Fprintf(b, "Remote-MTA: dns; %s\n", oneLine(r.RemoteMTA))
		}
		if r.Diagnostic != "" {
			fmt.Fprintf(b, "Diagnostic-Code: smtp; %s\n", oneLine(r.Diagnostic))
		} else {
			fmt.Fprintf(b, "Diagnostic-Code: x-paperpath; %s\n", oneLine(r.Err.Error()))
		}
		fmt.Fprintf(b, "Last-Attempt-Date: %s\n", date(s.Now()))
	}
}

func date(t time.Time) string { return t.UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700") }

// param returns the value of a parameter, or "".
func param(params, name string) string {
	for _, word := range strings.Fields(params) {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			return v
		}
	}
	return ""
}

// returned is what goes back of the message: all of a small one, else the
// header, and so where the sender asked for it (RFC 3461 4.3).
func returned(e *spool.Entry) (part string, whole bool, err error) {
	c := e.Content()
	if c.Size() <= maxReturned && param(e.Envelope.From.Params, "RET") != "HDRS" {
		all, err := io.ReadAll(c)
		return string(all), true, err
	}
	h, err := message.Read(c, maxHeader, 10000)
	if h == nil {
		return "", false, err
	}
	head := make([]byte, h.End)
	_, err = c.ReadAt(head, 0)
	if err == io.EOF {
		err = nil
	}
	return string(head), false, err
}

// boundaryFor makes a boundary that the part does not hold.
func boundaryFor(k spool.Key, part string) string {
	for i := 0; ; i++ {
		sum := sha256.Sum256([]byte(fmt.Sprintf("boundary %d %s", i, k)))
		if b := "=_" + hex.EncodeToString(sum[:16]); !strings.Contains(part, b) {
			return b
		}
	}
}

func sevenBit(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func needsUTF8(e *spool.Entry, failed []Result) bool {
	for _, r := range failed {
		if !sevenBit(e.Envelope.To[r.Index].Addr) {
			return true
		}
	}
	return !sevenBit(e.Envelope.From.Addr)
}

// oneLine keeps text from outside on one line: printable and bounded. UTF-8
// addresses may pass; other octets become question marks.
func oneLine(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
}
