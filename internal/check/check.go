// Package check judges messages: in the SMTP session, where a refusal costs no
// bounce, and in mailcheck. Its decisions depend on the message, the envelope
// and the settings alone.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// MaxFields is how many fields a header may have.
const MaxFields = 5000

// Subject is what is judged.
type Subject struct {
	Envelope  spool.Envelope
	With      string     // protocol it came by
	SMTPPeer  bool       // it came from another host by SMTP or LMTP without a login
	Client    netip.Addr // of the session; the zero value is none
	Helo      string
	Login     string                                     // of an authenticated submitter
	LocalUser string                                     // of a local submitter, known by his uid
	Resolve   func(addr.Address) ([]addr.Address, error) // what an address of ours leads to; nil: nothing is known
	Body      spool.Body                                 // the message as it came, LF line ends
}

// Verdict is the answer.
type Verdict struct {
	Kind    string          // pass, refuse or defer
	Err     error           // for refuse and defer: what the submitter is told (a *status.Error where it is refused)
	Results []string        // header fields of ours, with line ends
	Header  *message.Header // as far as it was read
}

// Reason is the verdict's reason, or "".
func (v Verdict) Reason() string {
	if v.Err == nil {
		return ""
	}
	return v.Err.Error()
}

// Message judges s and writes how it came to its verdict into t, which may be
// nil.
func Message(_ context.Context, c *control.Control, s Subject, t *explain.Trail) Verdict {
	j := judge{c: c, s: s, t: t}
	var err error
	for _, test := range []func() error{j.size, j.header, j.from, j.hops, j.loop, j.identity} {
		if err = test(); err != nil {
			break
		}
	}
	v := Verdict{Kind: "pass", Err: err, Header: j.h}
	if err == nil && s.SMTPPeer {
		var host string
		host, err = c.Hostname()
		v.Err, v.Results = err, results(host)
	}
	switch {
	case err == nil:
	case status.IsTemporary(err):
		v.Kind = "defer"
	default:
		v.Kind = "refuse"
	}
	t.End(strings.TrimSuffix(v.Kind+": "+v.Reason(), ": "))
	return v
}

// judge is one judgement under way.
type judge struct {
	c *control.Control
	s Subject
	t *explain.Trail
	h *message.Header
}

// size holds the message against control/databytes.
func (j *judge) size() error {
	limit, err := j.c.Databytes()
	if err != nil {
		return err
	}
	j.t.Add("size", fmt.Sprintf("%d of %d octets", j.s.Body.Size(), limit), "control/databytes")
	if j.s.Body.Size() > limit {
		e := status.Refuse("5.3.4", fmt.Sprintf("message is larger than %d octets", limit))
		e.Reply = 552
		return e
	}
	return nil
}

// header reads the header within its limits. Lines that are no field do not
// matter: real mail has them, and no stage after this one takes them for any.
func (j *judge) header() error {
	limit, err := j.c.Limit("headerbytes", 262144)
	if err != nil {
		return err
	}
	j.h, err = message.Read(io.NewSectionReader(j.s.Body, 0, j.s.Body.Size()), limit, MaxFields)
	switch {
	case errors.Is(err, message.ErrTooLong):
		return status.Refuse("5.6.0", fmt.Sprintf("the header is longer than %d octets", limit))
	case errors.Is(err, message.ErrTooMany):
		return status.Refuse("5.6.0", fmt.Sprintf("the header has more than %d fields", MaxFields))
	case err != nil:
		return err
	}
	j.t.Add("header", fmt.Sprintf("%d fields, %d octets, %d other lines", len(j.h.Fields), j.h.End, j.h.Junk), "control/limits")
	if j.h.NUL {
		return status.Refuse("5.6.0", "the header holds a NUL")
	}
	return nil
}

// from wants exactly one From field (RFC 5322 3.6). What it says is held
// against the syntax only where we answer for the submitter: of other hosts'
// mail, readers make of an odd one what they like.
func (j *judge) from() error {
	fields := j.h.All("From")
	j.t.Add("From fields", strconv.Itoa(len(fields)), "")
	if len(fields) != 1 {
		return status.Refuse("5.6.0", fmt.Sprintf("the header has %d From fields, not one (RFC 5322 3.6)", len(fields)))
	}
	for _, c := range []byte(fields[0].Value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return status.Refuse("5.6.0", "From holds a control character")
		}
	}
	return nil
}

// hops bounds the number of Received fields (RFC 5321 6.3).
func (j *judge) hops() error {
	limit, err := j.c.Limit("hops", 100)
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

// loop finds a message of another host that was already delivered to one of
// its recipients here (RFC 9228).
func (j *judge) loop() error {
	if !j.s.SMTPPeer {
		return nil
	}
	seen := map[string]bool{}
	for _, f := range j.h.All("Delivered-To") {
		seen[addr.Fold(f.Value)] = true
	}
	for _, to := range j.s.Envelope.To {
		if a, err := addr.Parse(to.Addr); err == nil && !to.Done && seen[a.Key()] {
			j.t.Add("loop", to.Addr, "Delivered-To")
			return status.Refuse("5.4.6", "a mail loop: the message has been delivered to "+to.Addr+" before")
		}
	}
	j.t.Add("loop", "none", "Delivered-To")
	return nil
}

// identity holds every author in From against what the submitter may use.
func (j *judge) identity() error {
	if j.s.Login == "" && j.s.LocalUser == "" {
		return nil
	}
	list, err := addr.ParseList(j.h.Value("From"))
	if err != nil {
		return status.Refuse("5.6.0", "From: "+err.Error())
	}
	if len(list) == 0 {
		return status.Refuse("5.6.0", "From holds no address")
	}
	for _, a := range list {
		if err := Sender(j.c, j.s.Login, j.s.LocalUser, a, j.s.Resolve, j.t); err != nil {
			return err
		}
	}
	return nil
}
