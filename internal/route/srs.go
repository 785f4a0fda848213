package route

import (
	"errors"
	"fmt"
	"slices"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// unforwarded adds what an address stands for that forwarded mail got from this host. Only
// what has no reverse path is translated back: bounces. Anything else would make this host a
// relay for whoever has seen such an address.
func (r *resolver) unforwarded(a addr.Address, s step) (is bool, err error) {
	to, is, wrong, err := r.control.Unforwarded(a.String())
	if !is || err != nil {
		return false, err
	}
	if wrong == nil && r.from != "" {
		wrong = errors.New("only bounces come back to it")
	}
	const where = "control/srs-secrets"
	if wrong != nil {
		r.trail.Add("forwarder's address "+a.String(), wrong.Error(), where)
		return true, r.add(Target{Addr: a, Kind: Unknown, Where: join(s.where, where), Why: wrong.Error()}, s.from)
	}
	r.trail.Add("forwarder's address "+a.String(), to.String(), where)
	return true, r.expand(a, row{a, a, []target{{address: to}}, where}, s)
}

// forwarded reports whether aliases send mail for t to another host as its sender wrote it.
func (t Target) forwarded() bool { return t.Kind == Remote && t.Owner == "" && len(t.Through) > 0 }

// forwarder returns the reverse path of mail for recipient r, a, that goes to other hosts
// through aliases or a user's own rules, "" for that of the message.
func (d *decider) forwarder(r spool.Recipient, a addr.Address, targets []Target) (path string, err error) {
	from := d.entry.Envelope.From.Addr
	if from == "" || !slices.ContainsFunc(targets, func(t Target) bool { return t.Kind == Remote }) {
		return "", nil
	}
	if !slices.ContainsFunc(targets, Target.forwarded) {
		if a, err = d.forwardedBy(r); a.IsNull() || err != nil {
			return "", err
		}
	}
	path, kept, err := reversePath(d.control, from, a.Domain, d.trail)
	if kept != nil {
		d.Kept = kept
	}
	return path, err
}

// reversePath returns the reverse path in a domain of ours for mail that is forwarded, "" for
// the sender's own. It is for senders of other domains: the next host would see that we may not
// send for them (SPF). One of ours is never rewritten, so nothing is twice. kept says why one is
// not that should be.
func reversePath(c *control.Control, sender, domain string, t *explain.Trail) (path string, kept, err error) {
	from, err := addr.Parse(sender)
	if err != nil { // also the null reverse path
		return "", nil, nil
	}
	scheme, err := c.SRS()
	if scheme == nil || err != nil {
		return "", nil, err
	}
	if _, ours, err := c.IsLocal(from.Domain); ours || err != nil {
		return "", nil, err
	}
	const where = "control/srs-secrets"
	there, err := scheme.Forward(from, domain)
	if err != nil {
		t.Add("reverse path "+from.String(), "kept: "+err.Error(), where)
		return "", err, nil
	}
	t.Add("reverse path "+from.String(), there.String(), where)
	return there.String(), nil, nil
}

// forwardedBy returns the recipient whose owner's rules have sent the entry to r, the zero
// address if none have. The fields above our Received are ours alone.
func (d *decider) forwardedBy(r spool.Recipient) (by addr.Address, err error) {
	text := params.Taken(r.Params)
	if text == "" {
		h, err := message.Read(d.entry.Results(), maxPassedBytes, maxPassedFields)
		if err != nil && !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
			return by, fmt.Errorf("read the results: %w", err)
		}
		text = h.Value("X-Original-To")
	}
	by, err = addr.Parse(text)
	if err != nil {
		return addr.Address{}, nil
	}
	if _, local, err := d.control.IsLocal(by.Domain); !local || err != nil {
		return addr.Address{}, err
	}
	return by, nil
}
