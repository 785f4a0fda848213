package route

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// benefit is how long an address that was there at RCPT and is not found now
// stays temporary: somebody may be at work on the tables.
const benefit = 24 * time.Hour

// maxTogether is how many recipients at other hosts one child has: aliases may
// make of a few recipients more than the head of an entry can hold.
const maxTogether = 1000

// Failure is a recipient that goes nowhere, at least now.
type Failure struct {
	Index int // in the entry's envelope
	Err   error
}

// Decision is what becomes of an entry's recipients.
type Decision struct {
	HandOn   spool.Inbox   // where the entry goes as it is; "" where it does not
	Children []spool.Child // what takes its place otherwise
	Placed   []int         // recipients that HandOn or Children take care of
	Failed   []Failure
}

// Decide looks up every recipient of e that is not done. An entry for one
// mailbox, or for other hosts only, goes on as it is; else each mailbox gets a
// child with no recipient but its own, and all other hosts together one, or
// more where they are very many. Nothing is done.
func Decide(c *control.Control, e *spool.Entry, now time.Time, t *explain.Trail) Decision {
	d := decider{control: c, entry: e, now: now, trail: t, seen: map[string]bool{}, asIs: true}
	for _, i := range e.Pending() {
		d.recipient(i)
	}
	if in := d.whole(); in != "" {
		return Decision{HandOn: in, Placed: d.Placed}
	}
	for chunk := range slices.Chunk(d.remote, maxTogether) {
		d.Children = append(d.Children, d.child(spool.Relay, chunk...))
	}
	return d.Decision
}

type decider struct {
	Decision
	control *control.Control
	entry   *spool.Entry
	now     time.Time
	trail   *explain.Trail
	seen    map[string]bool // keys of the targets so far
	local   int             // targets that are mailboxes
	remote  []spool.Recipient
	asIs    bool // each recipient so far leads to just itself
}

// recipient places or fails one recipient.
func (d *decider) recipient(i int) {
	r := d.entry.Envelope.To[i]
	targets, err := d.resolve(r.Addr)
	if err != nil {
		d.asIs = false
		d.Failed = append(d.Failed, Failure{i, err})
		return
	}
	d.Placed = append(d.Placed, i)
	if len(targets) != 1 {
		d.asIs = false
	}
	for _, t := range targets {
		d.target(r, t)
	}
}

// resolve is Resolve for the text in an envelope.
func (d *decider) resolve(text string) ([]Target, error) {
	whole, err := WithDomain(d.control, text)
	if err != nil {
		return nil, err
	}
	a, err := addr.Parse(whole)
	if err != nil {
		return nil, &status.Error{Exit: status.Refused, Reply: 553, Enhanced: "5.1.3",
			Text: "the recipient is no address", Err: err}
	}
	targets, err := Resolve(d.control, a, d.trail)
	if status.Exit(err) == status.NoMailbox && d.entry.FromSMTP() && d.now.Sub(d.entry.Arrival) < benefit {
		return nil, status.Temp("4.1.1", fmt.Sprintf("no such mailbox any more: %s", printable(a)), nil)
	}
	return targets, err
}

// target puts one target of recipient r where it belongs, once.
func (d *decider) target(r spool.Recipient, t Target) {
	k := key(t.Addr)
	if d.seen[k] {
		d.asIs = false
		return
	}
	d.seen[k] = true
	to := successor(r, t.Addr)
	if to.Addr != r.Addr {
		d.asIs = false
	}
	switch t.Place {
	case Local:
		d.local++
		d.Children = append(d.Children, d.child(spool.Deliver, to))
	case Remote:
		d.remote = append(d.remote, to)
	default:
		// A dead name in an alias fails by itself, not with its neighbours.
		d.asIs = false
		d.Children = append(d.Children, d.child(spool.Route, to))
	}
}

// successor is recipient r once it is to go to a. Its parameters go along; a
// report must be able to name the address that the sender wrote (RFC 3461 4.2).
func successor(r spool.Recipient, a addr.Address) spool.Recipient {
	if written, err := addr.Parse(r.Addr); err == nil && written == a {
		return spool.Recipient{Addr: r.Addr, Params: r.Params}
	}
	words := r.Params
	if params.Get(words, "NOTIFY") != "" && params.Get(words, "ORCPT") == "" && isASCII(r.Addr) {
		words += " ORCPT=rfc822;" + params.Encode(r.Addr)
	}
	return spool.Recipient{Addr: a.String(), Params: words}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x7f }) < 0
}

// child is a new entry for these recipients and nobody else: a blind copy's
// address never comes into another's file.
func (d *decider) child(in spool.Inbox, to ...spool.Recipient) spool.Child {
	return spool.Child{Inbox: in, From: d.entry.Envelope.From, To: to}
}

// whole returns the inbox that the entry may go to without a change.
func (d *decider) whole() spool.Inbox {
	switch {
	case !d.asIs || len(d.Placed) == 0:
		return ""
	case d.local == 0:
		return spool.Relay
	case len(d.entry.Envelope.To) == 1:
		return spool.Deliver
	}
	return ""
}
