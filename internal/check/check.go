// Package check judges messages: in the SMTP session, where a refusal needs no
// bounce, and in mailcheck. Its decisions depend only on the message, the envelope
// and the settings.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Limits of a header for programs that cannot read the settings: the defaults of
// control/limits.
const (
	MaxHeaderBytes = 256 << 10 // octets
	MaxFields      = 5000
)

// Subject is what is judged.
type Subject struct {
	Envelope  spool.Envelope
	With      string     // the protocol by which it came
	SMTPPeer  bool       // it came from another host by SMTP or LMTP without a login
	Client    netip.Addr // of the session; the zero value where there is none
	Helo      string
	Login     string                                     // of an authenticated submitter
	LocalUser string                                     // login name of a local submitter, known by their uid
	LocalUID  string                                     // the uid
	Resolve   func(addr.Address) ([]addr.Address, error) // what a local address leads to; nil where that is not known
	Body      spool.Body                                 // the message as it came
}

// submitted reports whether one of our users sent it, so that we are responsible for
// the author that it names.
func (s Subject) submitted() bool {
	return s.submitter().known() || s.With == spool.WithLocal
}

func (s Subject) submitter() Submitter {
	return Submitter{Login: s.Login, User: s.LocalUser, UID: s.LocalUID}
}

// Verdict is the answer.
type Verdict struct {
	Kind    string          // pass, refuse or defer
	Err     error           // for refuse and defer: the reason (a *status.Error for refuse)
	Results []string        // our header fields, with line ends: for what SPF, DKIM and DMARC find
	Header  *message.Header // as far as it was read; nil where it was not
}

// Reason is the verdict's reason, or "".
func (v Verdict) Reason() string {
	if v.Err == nil {
		return ""
	}
	return v.Err.Error()
}

// Message judges s and records its decisions in t, which may be nil.
func Message(ctx context.Context, c *control.Control, s Subject, t *explain.Trail) Verdict {
	j := &judge{c: c, s: s, t: t}
	return j.verdict(ctx, checks())
}

// check is one question about a message. It may add what it finds to judge.results.
type check struct {
	name string
	ask  func(*judge, context.Context) error
}

// checks returns all checks, cheapest first. The first that fails decides.
func checks() []check {
	return []check{
		{"size", (*judge).size},
		{"header", (*judge).header},
		{"from", (*judge).from},
		{"hops", (*judge).hops},
		{"loop", (*judge).loop},
		{"identity", (*judge).identity},
	}
}

func (j *judge) verdict(ctx context.Context, list []check) Verdict {
	var err error
	for _, c := range list {
		if err = c.ask(j, ctx); err != nil {
			break
		}
	}
	v := Verdict{Kind: "pass", Err: err, Results: j.results, Header: j.h}
	switch {
	case err == nil:
	case status.IsTemporary(err):
		v.Kind = "defer"
	default:
		v.Kind = "refuse"
	}
	j.t.End(strings.TrimSuffix(v.Kind+": "+v.Reason(), ": "))
	return v
}

// ReadHeader reads a message's header within the limits of control/limits. A header
// that exceeds them is refused with 5.6.0, and returned as far as it was read.
func ReadHeader(c *control.Control, body spool.Body) (*message.Header, error) {
	octets, err := c.Limit("headerbytes")
	if err != nil {
		return nil, err
	}
	fields, err := c.Limit("fields")
	if err != nil {
		return nil, err
	}
	return HeaderWithin(octets, int(min(fields, 1<<30)), body)
}

// HeaderWithin is ReadHeader for callers that cannot read control/ and bring their
// own limits.
func HeaderWithin(octets int64, fields int, body spool.Body) (*message.Header, error) {
	// If the first lines show that there is no header, the spool and the MDA store
	// the text below them as body, so it is judged as such.
	if _, header, err := message.Leading(body, body.Size()); err != nil || !header {
		return &message.Header{}, err
	}
	h, err := message.Read(io.NewSectionReader(body, 0, body.Size()), octets, fields)
	switch {
	case errors.Is(err, message.ErrTooLong):
		return h, status.Refuse("5.6.0", fmt.Sprintf("the header is longer than %d octets", octets))
	case errors.Is(err, message.ErrTooMany):
		return h, status.Refuse("5.6.0", fmt.Sprintf("the header has more than %d fields", fields))
	case err != nil:
		return h, fmt.Errorf("read the header: %w", err)
	}
	return h, nil
}
