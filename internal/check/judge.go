package check

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/route"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// judge works on one message.
type judge struct {
	c       *control.Control
	s       Subject
	t       *explain.Trail
	h       *message.Header
	results []string // for the verdict
}

// size compares the message with control/databytes.
func (j *judge) size(context.Context) error {
	limit, err := j.c.Databytes()
	if err != nil {
		return err
	}
	j.t.Add("size", fmt.Sprintf("%d of %d octets", j.s.Body.Size(), limit), "control/databytes")
	if j.s.Body.Size() > limit {
		return status.TooLarge(limit)
	}
	return nil
}

// header reads the header within its limits. Lines that are not fields are accepted,
// though RFC 5322 does not allow them: real mail contains them (mbox From lines, text
// without the blank line before it), and Postfix, Exim and mox accept it too. Such a
// line neither hides a field after it from the checks below nor creates one. A NUL
// is refused: programs in C end the value there, and others do not (RFC 5322 4 calls
// it obsolete; wanted mail never contains it). So is a CR without LF (RFC 5322 2.2),
// which some programs take for a line end, with an unchecked field after it.
func (j *judge) header(context.Context) (err error) {
	if j.h, err = ReadHeader(j.c, j.s.Body); err != nil {
		return err
	}
	j.t.Add("header", fmt.Sprintf("%d fields, %d octets, %d other lines", len(j.h.Fields), j.h.End, j.h.Junk), "control/limits")
	if j.h.NUL {
		return status.Refuse("5.6.0", "the header contains a NUL")
	}
	if j.h.CR {
		return status.Refuse("5.6.0", "the header contains a CR without LF")
	}
	return nil
}

// from requires exactly one From field (RFC 5322 3.6): with two, one program checks
// the first and another shows the second.
func (j *judge) from(context.Context) error {
	fields := j.h.All("From")
	j.t.Add("From fields", strconv.Itoa(len(fields)), "")
	switch {
	case len(fields) == 0:
		return badFrom("no From field (RFC 5322 3.6)")
	case len(fields) > 1:
		return badFrom(fmt.Sprintf("%d From fields instead of one (RFC 5322 3.6)", len(fields)))
	}
	for _, c := range []byte(fields[0].Value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return badFrom("From contains a control character")
		}
	}
	if j.s.submitted() {
		return nil // identity reads it
	}
	return j.author(fields[0].Value)
}

// author requires that From of a message from another host names one author, or
// several with a Sender for the one who sent it (RFC 5322 3.6.2). Without an address,
// or with two that hide each other, DMARC has no domain to check and mail readers show
// people something wrong, so such mail is refused everywhere (RFC 7489 6.6.1). A group
// without members (RFC 6854) contains no address. Words without a domain are parts of
// a name with a comma.
func (j *judge) author(from string) error {
	if j.system(from) {
		j.t.Add("authors", "a mail system", "From")
		return nil
	}
	list, err := addr.ParseForeign(from)
	if err != nil {
		return badFrom(visible.ASCII("invalid From (RFC 5322 3.6.2): " + err.Error()))
	}
	list = slices.DeleteFunc(list, func(a addr.Address) bool { return a.Domain == "" })
	j.t.Add("authors", strconv.Itoa(len(list)), "From")
	switch {
	case len(list) == 0:
		return badFrom("no valid address in From (RFC 5322 3.6.2)")
	case len(list) > 1 && !j.sender():
		return badFrom("several addresses in From without a Sender (RFC 5322 3.6.2)")
	}
	return nil
}

// system reports whether From only says that a mail system is the author: `<>`, or
// MAILER-DAEMON or postmaster without a domain. Some systems write that in reports,
// which have the null reverse path (RFC 5321 6.1).
func (j *judge) system(from string) bool {
	if j.s.Envelope.From.Addr != "" || len(j.s.Envelope.To) == 0 { // a filter may not know the envelope
		return false
	}
	list, err := addr.ParseList(from)
	return from == "<>" || err == nil && len(list) == 1 && list[0].Domain == "" &&
		(strings.EqualFold(list[0].Local, "mailer-daemon") || strings.EqualFold(list[0].Local, "postmaster"))
}

// sender reports whether one Sender field names one sender.
func (j *judge) sender() bool {
	fields := j.h.All("Sender")
	if len(fields) != 1 {
		return false
	}
	list, err := addr.ParseForeign(fields[0].Value)
	return err == nil && len(list) == 1 && list[0].Domain != ""
}

// badFrom refuses a message for its From, with the code that other servers use.
func badFrom(text string) error {
	e := status.Refuse("5.6.0", text)
	e.Reply = 550
	return e
}

// hops limits the number of Received fields (RFC 5321 6.3).
func (j *judge) hops(context.Context) error {
	limit, err := j.c.Limit("hops")
	if err != nil {
		return err
	}
	n := len(j.h.All("Received"))
	j.t.Add("hops", fmt.Sprintf("%d of %d", n, limit), "control/limits")
	if int64(n) > limit {
		return status.Refuse("5.4.6", fmt.Sprintf("mail loop: more than %d Received fields", limit))
	}
	return nil
}

// loop finds a message that a mail system brings back to where it has been. People
// may resend a message that they received. If the message has not reached some of the
// recipients before, it is accepted, and mailroute fails the others.
func (j *judge) loop(context.Context) error {
	passed := route.PassedOf(j.h)
	if !j.s.SMTPPeer && !passed.FromMail() {
		return nil
	}
	var again []string
	pending := 0
	for _, to := range j.s.Envelope.To {
		if to.Done {
			continue
		}
		pending++
		if a, err := addr.Parse(to.Addr); err == nil && passed.Reached(a) {
			again = append(again, to.Addr)
		}
	}
	if len(again) == 0 {
		j.t.Add("loop", "none", "Delivered-To")
		return nil
	}
	j.t.Add("loop", strings.Join(again, " "), "Delivered-To")
	if len(again) < pending {
		return nil
	}
	return status.Refuse("5.4.6", "mail loop: the message has reached "+visible.ASCII(again[0])+" before")
}

// identity compares the author that a message of one of our users names with what
// the submitter may use: the reverse path, and every address in From, Sender and the
// Resent- fields. In the inbox the submitter is no longer known: they were checked
// when the message was accepted.
func (j *judge) identity(context.Context) error {
	if !j.s.submitted() {
		return nil
	}
	from := j.h.Value("From")
	authors, err := addr.ParseList(from)
	if err != nil {
		authors, err = addr.ParseAuthors(from) // a name with a comma
	}
	if err != nil {
		return badFrom(visible.ASCII("From: " + err.Error()))
	}
	if len(authors) == 0 {
		return badFrom("From contains no address")
	}
	if !j.s.submitter().known() {
		return nil
	}
	if err := Claims(j.c, j.s.submitter(), j.h, "", j.s.Resolve, j.t); err != nil {
		return err
	}
	path := j.s.Envelope.From.Addr
	if path == "" {
		return nil
	}
	a, err := addr.Parse(path)
	if err != nil {
		return status.Refuse("5.1.7", visible.ASCII("reverse path: "+err.Error()))
	}
	return Sender(j.c, j.s.submitter(), a, j.s.Resolve, j.t)
}
