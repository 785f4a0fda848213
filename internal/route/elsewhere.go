package route

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
)

// elsewhere adds an address that is not in a domain of this host: where control/routes,
// control/sender-routes and control/relayto say, else where its MX is.
func (r *resolver) elsewhere(a addr.Address, s step) error {
	where, known, err := r.relayTo(a)
	if err != nil {
		return err
	}
	if where != "" {
		r.trail.Add("domain "+a.Domain, "anybody may send to it", where)
	}
	if !known {
		r.trail.Add("address "+a.String(), "unknown", where)
		return r.add(Target{Addr: a, Kind: Unknown, Where: join(s.where, where)}, s.from)
	}
	t := Target{Addr: a, Kind: Remote, Where: s.where}
	if t.Route, err = r.control.RouteFrom(r.from, a.Domain); err != nil {
		return err
	}
	if t.Route != nil {
		r.trail.Add("route "+t.Route.Key, t.Route.String(), t.Route.Where)
		t.Where = join(t.Where, t.Route.Where)
		switch t.Route.Targets[0].Kind {
		case control.ToHold:
			t.Kind = Held
		case control.ToError:
			t.Kind = Refused
		}
	}
	return r.addFrom(t, s)
}

// relayTo is control.RelayTo. Every domain has a postmaster (RFC 5321 4.5.1).
func (r *resolver) relayTo(a addr.Address) (where string, known bool, err error) {
	forms, err := AddressForms(r.control, a)
	if err != nil {
		return "", false, err
	}
	where, known, err = r.control.RelayTo(a.Domain, forms...)
	return where, known || isPostmaster(a), err
}

// RelayTo reports whether anybody may send to an address elsewhere.
func RelayTo(c *control.Control, a addr.Address) (bool, error) {
	forms, err := AddressForms(c, a)
	if err != nil {
		return false, err
	}
	where, _, err := c.RelayTo(a.Domain, forms...)
	return where != "", err
}

// refusal is what the first target that is refused says; nil: none is.
func (r *resolver) refusal() error {
	for _, t := range r.targets {
		if t.Kind == Refused {
			return t.Route.Refusal()
		}
	}
	return nil
}
