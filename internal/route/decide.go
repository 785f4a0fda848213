package route

import (
	"errors"
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

// GracePeriod is how long an address that was accepted at RCPT and is not found now
// fails temporarily: somebody may be editing the tables.
const GracePeriod = 24 * time.Hour

// maxTogether is how many recipients at other hosts one child has: aliases may turn
// a few recipients into more than an envelope can hold.
const maxTogether = 1000

// Failure is a recipient that goes nowhere, at least for now.
type Failure struct {
	Index int // in the entry's envelope
	Err   error
}

// Decision is what becomes of an entry's recipients.
type Decision struct {
	HandOn   spool.Inbox   // where the entry goes as it is; "" where it does not
	Reason   string        // of HandOn to hold/
	Children []spool.Child // what replaces it otherwise
	Routed   []int         // recipients that HandOn or Children take care of
	Failed   []Failure
	Kept     error // why forwarded mail keeps its reverse path, though it should get one of ours
}

// Decide looks up every pending recipient of e. An entry for one mailbox, or only
// for other hosts, goes on as it is. Otherwise each mailbox gets a child with only
// its own recipient, and all recipients at other hosts to whom the same recipients
// lead get one together, or several where they are very many. No child comes back
// to route/. A child has only its own recipients: the address of a blind copy never
// gets into the file of another recipient. Decide only decides; it changes nothing.
func Decide(c *control.Control, e *spool.Entry, now time.Time, t *explain.Trail) Decision {
	d := decider{control: c, entry: e, now: now, trail: t, seen: map[string]int{}, asIs: true}
	for _, i := range e.Pending() {
		d.recipient(i)
	}
	if in, reason := d.whole(); in != "" {
		return Decision{HandOn: in, Reason: reason, Routed: d.Routed}
	}
	for _, group := range groups(d.remote) {
		for chunk := range slices.Chunk(group, maxTogether) {
			child := spool.Child{Inbox: group[0].inbox(), From: group[0].from, Passed: passed(group), Reason: group[0].held}
			for _, f := range chunk {
				child.To = append(child.To, f.to)
			}
			d.Children = append(d.Children, child)
		}
	}
	return d.Decision
}

type decider struct {
	Decision
	control *control.Control
	entry   *spool.Entry
	now     time.Time
	trail   *explain.Trail
	passed  *Passed        // nil until it is read
	seen    map[string]int // fold keys of the targets so far; of a remote one its index in remote
	local   int            // targets in local domains
	remote  []folded
	asIs    bool // each recipient so far leads only to itself
}

// recipient routes or fails one recipient.
func (d *decider) recipient(i int) {
	r := d.entry.Envelope.To[i]
	a, targets, err := d.resolve(r.Addr)
	if err != nil && !(status.Exit(err) == status.NoMailbox && d.fails(r, a)) {
		d.asIs = false
		d.Failed = append(d.Failed, Failure{i, WithGrace(d.entry, d.now, err)})
		return
	} else if err != nil {
		targets = nil
	}
	forwarded, err := d.forwarder(r, a, targets)
	if err != nil {
		d.asIs = false
		d.Failed = append(d.Failed, Failure{i, err})
		return
	}
	d.Routed = append(d.Routed, i)
	if len(targets) != 1 {
		d.asIs = false
	}
	for _, t := range targets {
		d.target(i, t, d.path(t, forwarded))
	}
}

// resolve is Resolve for the text in an envelope.
func (d *decider) resolve(text string) (a addr.Address, targets []Target, err error) {
	whole, err := WithDomain(d.control, text)
	if err != nil {
		return a, nil, err
	}
	a, err = addr.Parse(whole)
	if err != nil {
		return a, nil, &status.Error{Exit: status.Refused, Reply: 553, Enhanced: "5.1.3",
			Text: "the recipient is not a valid address", Err: err}
	}
	if err := d.loop(a); err != nil {
		return a, nil, err
	}
	to := newResolver(d.control, d.entry.Envelope.From.Addr, d.expanded, d.trail)
	targets, err = to.resolve(a, to.recipient)
	return a, targets, err
}

// fails reports whether a child for r will fail anyway: one report is enough. If
// not, it notes that r fails here, so no child is made for a as an alias target.
func (d *decider) fails(r spool.Recipient, a addr.Address) bool {
	k := foldKey(Target{Addr: a, Kind: Unknown}, r)
	_, there := d.seen[k]
	d.seen[k] = 0
	return there
}

// WithGrace returns err, but a temporary one for a day where it says that a
// recipient has no mailbox and the SMTP session found one.
func WithGrace(e *spool.Entry, now time.Time, err error) error {
	var unknown *status.Error
	isUnknown := errors.As(err, &unknown) && unknown.Exit == status.NoMailbox
	if !isUnknown || !e.FromSMTP() || now.Sub(e.Arrival) >= GracePeriod {
		return err
	}
	return status.Temp("4.1.1", "at present: "+unknown.Text, nil)
}

// loop fails a local recipient that the message has reached before.
func (d *decider) loop(a addr.Address) error {
	_, local, err := d.control.IsLocal(a.Domain)
	if !local || err != nil {
		return err
	}
	p, err := d.hasPassed()
	if err != nil {
		return err
	}
	return p.looped(d.entry, a)
}

// Expanded reports whether row has been expanded for the message before.
func (d *decider) expanded(row addr.Address) (bool, error) {
	p, err := d.hasPassed()
	return p.Expanded(row), err
}

// hasPassed is what the message has passed.
func (d *decider) hasPassed() (Passed, error) {
	if d.passed == nil {
		p, err := passedBy(d.control, d.entry)
		if err != nil {
			return p, err
		}
		d.passed = &p
	}
	return *d.passed, nil
}

// target routes one target of recipient i, once.
func (d *decider) target(i int, t Target, from spool.Path) {
	r := d.entry.Envelope.To[i]
	to := forList(forCommand(successor(r, t.Addr, d.named(r)), t), t)
	k := foldKey(t, to)
	if at, there := d.seen[k]; there {
		d.asIs = false
		if t.elsewhere() {
			d.remote[at].join(i, t.Through)
		}
		return
	}
	if to.Addr != r.Addr || len(t.Through) > 0 || from != d.entry.Envelope.From {
		d.asIs = false
	}
	if t.elsewhere() {
		d.seen[k] = len(d.remote)
		f := folded{to: to, held: holdReason(t), from: from}
		f.join(i, t.Through)
		d.remote = append(d.remote, f)
		return
	}
	// An unknown address in an alias goes to deliver/ too: it fails there alone, and
	// the other targets get the message.
	if t.Kind == Unknown || t.Command != nil {
		d.asIs = false
	}
	d.seen[k] = 0
	d.local++
	c := spool.Child{Inbox: spool.InboxDeliver, From: from, To: []spool.Recipient{to}}
	if to.Params == "" && to.Addr != r.Addr { // with parameters, one of them says it
		c.Original = r.Addr
	}
	d.Children = append(d.Children, c)
}

// named reports whether the mailbox must know the recipient that we accepted: what its owner
// wants of senders does not count for some.
func (d *decider) named(r spool.Recipient) bool {
	if !ForEverybody(r.Addr) {
		return false
	}
	any, err := d.control.HasUserChecks()
	return any || err != nil
}

// successor is recipient r when its mail goes to a. It keeps the parameters of r; a
// report must be able to name the address that the sender wrote (RFC 3461 4.2).
func successor(r spool.Recipient, a addr.Address, named bool) spool.Recipient {
	if written, err := addr.Parse(r.Addr); err == nil && written == a {
		return spool.Recipient{Addr: r.Addr, Params: r.Params}
	}
	words := r.Params
	if params.Get(words, "NOTIFY") != "" && params.Get(words, "ORCPT") == "" && addr.IsASCII(r.Addr) {
		words += " ORCPT=rfc822;" + params.Encode(r.Addr)
	}
	// The mailbox shows the recipient that we accepted, whatever ORCPT of a stranger
	// says about the one before it.
	if (words != "" || named) && !params.Has(words, params.Rcpt) {
		words = strings.TrimPrefix(words+" ", " ") + params.Rcpt + "=" + params.Encode(r.Addr)
	}
	return spool.Recipient{Addr: a.String(), Params: words}
}

// path is the reverse path that a target gets: of a list, its owner's; of what aliases and
// rules send to other hosts, forwarded if that is not "".
func (d *decider) path(t Target, forwarded string) spool.Path {
	from := d.entry.Envelope.From
	switch {
	case t.Owner != "":
		return spool.Path{Addr: t.Owner, Params: params.Without(from.Params, "RET", "ENVID")}
	case forwarded != "" && t.Kind == Remote:
		return spool.Path{Addr: forwarded, Params: from.Params}
	}
	return from
}

// forList is recipient r of a list that has an owner: whether reports are wanted is no
// business of the sender behind it (RFC 3461 5.2.7.3).
func forList(r spool.Recipient, t Target) spool.Recipient {
	if t.Owner != "" {
		r.Params = params.Without(r.Params, "NOTIFY", "ORCPT")
	}
	return r
}

// whole returns the inbox that the entry may go to unchanged, or "".
func (d *decider) whole() (in spool.Inbox, reason string) {
	switch {
	case !d.asIs || len(d.Routed) == 0:
		return "", ""
	case d.local == 0 && len(groups(d.remote)) == 1:
		return d.remote[0].inbox(), d.remote[0].held
	case len(d.entry.Envelope.To) == 1:
		return spool.InboxDeliver, ""
	}
	return "", ""
}
