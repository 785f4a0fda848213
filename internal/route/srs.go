package route

import (
	"errors"
	"fmt"
	"slices"

	"paperpath/internal/addr"
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
// through aliases or a user's own rules, "" for that of the message. It is for senders of
// other domains: the next host would see that we may not send for them (SPF). One of ours is
// never rewritten, so nothing is twice.
func (d *decider) forwarder(r spool.Recipient, a addr.Address, targets []Target) (string, error) {
	from, err := addr.Parse(d.entry.Envelope.From.Addr)
	if err != nil { // also the null reverse path
		return "", nil
	}
	if !slices.ContainsFunc(targets, Target.forwarded) {
		if !slices.ContainsFunc(targets, func(t Target) bool { return t.Kind == Remote }) {
			return "", nil
		}
		if a, err = d.forwardedBy(r); a.IsNull() || err != nil {
			return "", err
		}
	}
	scheme, err := d.control.SRS()
	if scheme == nil || err != nil {
		return "", err
	}
	if _, ours, err := d.control.IsLocal(from.Domain); ours || err != nil {
		return "", err
	}
	there, err := scheme.Forward(from, a.Domain)
	if err != nil {
		d.Kept = err
		return "", nil
	}
	d.trail.Add("reverse path "+from.String(), there.String(), "control/srs-secrets")
	return there.String(), nil
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
