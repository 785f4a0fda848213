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

// judge is one judgement under way.
type judge struct {
	c       *control.Control
	s       Subject
	t       *explain.Trail
	h       *message.Header
	results []string // for the verdict
}

// size holds the message against control/databytes.
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

// header reads the header within its limits. Lines that are no fields do not
// matter, though RFC 5322 has none: real mail holds them (mbox From lines, text
// without the blank line before it), and like Postfix, Exim and mox we take it.
// Such a line neither hides a field behind it from the tests below nor makes
// one. A NUL is refused: programs in C end the value there, and others do not
// (RFC 5322 4 calls it obsolete; it never comes with mail that is wanted). So is
// a CR without its LF (RFC 5322 2.2), which some programs take for a line end,
// with a field behind it that nobody judged.
func (j *judge) header(context.Context) (err error) {
	if j.h, err = ReadHeader(j.c, j.s.Body); err != nil {
		return err
	}
	j.t.Add("header", fmt.Sprintf("%d fields, %d octets, %d other lines", len(j.h.Fields), j.h.End, j.h.Junk), "control/limits")
	if j.h.NUL {
		return status.Refuse("5.6.0", "the header holds a NUL")
	}
	if j.h.CR {
		return status.Refuse("5.6.0", "the header holds a CR that ends no line")
	}
	return nil
}

// from wants exactly one From field (RFC 5322 3.6): with two, one program
// checks the first and another shows the second.
func (j *judge) from(context.Context) error {
	fields := j.h.All("From")
	j.t.Add("From fields", strconv.Itoa(len(fields)), "")
	if len(fields) != 1 {
		return badFrom(fmt.Sprintf("the header has %d From fields, not one (RFC 5322 3.6)", len(fields)))
	}
	for _, c := range []byte(fields[0].Value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return badFrom("From holds a control character")
		}
	}
	if j.s.submitted() {
		return nil // identity reads it
	}
	return j.author(fields[0].Value)
}

// author wants From of another host to name one author, or several and by
// Sender the one who sent it (RFC 5322 3.6.2). Without an address there, or
// with two that hide each other, DMARC has nothing to hold on to and people are
// shown what they should not believe, so nobody takes it (RFC 7489 6.6.1). A
// group without members (RFC 6854) names nobody, so it does not help. Words
// without a domain are pieces of a name that has a comma.
func (j *judge) author(from string) error {
	if j.system(from) {
		j.t.Add("authors", "a mail system", "From")
		return nil
	}
	list, err := addr.ParseForeign(from)
	if err != nil {
		return badFrom(visible.ASCII("From does not parse (RFC 5322 3.6.2): " + err.Error()))
	}
	list = slices.DeleteFunc(list, func(a addr.Address) bool { return a.Domain == "" })
	j.t.Add("authors", strconv.Itoa(len(list)), "From")
	switch {
	case len(list) == 0:
		return badFrom("no valid address in From (RFC 5322 3.6.2)")
	case len(list) > 1 && !j.sender():
		return badFrom("several addresses in From, and no Sender (RFC 5322 3.6.2)")
	}
	return nil
}

// system reports whether From says no more than that a mail system writes: `<>`,
// or MAILER-DAEMON or postmaster without a domain, as some put above their reports,
// which have the null reverse path (RFC 5321 6.1).
func (j *judge) system(from string) bool {
	if j.s.Envelope.From.Addr != "" || len(j.s.Envelope.To) == 0 { // a filter may know no envelope
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

// badFrom is a refusal for From, in the words and with the code of others.
func badFrom(text string) error {
	e := status.Refuse("5.6.0", text)
	e.Reply = 550
	return e
}

// hops bounds the number of Received fields (RFC 5321 6.3).
func (j *judge) hops(context.Context) error {
	limit, err := j.c.Limit("hops")
	if err != nil {
		return err
	}
	n := len(j.h.All("Received"))
	j.t.Add("hops", fmt.Sprintf("%d of %d", n, limit), "control/limits")
	if int64(n) > limit {
		return status.Refuse("5.4.6", fmt.Sprintf("more than %d Received fields: a mail loop", limit))
	}
	return nil
}

// loop finds a message that a mail system brings back to where it has been. What
// people send again may well be a message that they got. Where some recipients
// are new to it the message is taken, and mailroute fails the others.
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
	return status.Refuse("5.4.6", "a mail loop: the message has been at "+visible.ASCII(again[0])+" before")
}

// identity reads who a message of our own users says that it is from, and
// holds it against what the submitter may use: their reverse path, and every
// address in From, Sender and their like for a message sent again. The inbox
// does not know the submitter any more: there they were checked when it was
// accepted.
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
		return badFrom("From holds no address")
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
