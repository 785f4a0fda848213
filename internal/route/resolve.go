package route

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// resolver expands one address. Every address is looked at once: a second
// time it is a loop, or its targets are on the list already.
type resolver struct {
	control *control.Control
	trail   *explain.Trail
	seen    map[string]bool // keys that were looked at
	targets []Target
	added   map[string]bool // keys of targets
}

// step is how an address was come by.
type step struct {
	depth int
	where string // the rows so far
}

// through is the step that the row where leads to.
func (s step) through(where string) step {
	return step{depth: s.depth + 1, where: join(s.where, where)}
}

func join(rows, row string) string {
	if rows == "" || row == "" {
		return rows + row
	}
	return rows + ", " + row
}

// address adds all that a stands for.
func (r *resolver) address(a addr.Address, s step) error {
	a, local, err := r.domain(a, s)
	if err != nil {
		return err
	}
	if again, err := r.again(a, s); again || err != nil {
		return err
	}
	if !local {
		return r.add(Target{Addr: a, Place: Remote, Where: s.where})
	}
	for _, form := range forms(a) {
		found, err := r.row(a, form, s)
		if found || err != nil {
			return err
		}
	}
	return r.last(a, s)
}

// domain answers whether a is local. The two names that are good without a
// domain get the first local one.
func (r *resolver) domain(a addr.Address, s step) (addr.Address, bool, error) {
	if a.Domain == "" {
		if !isPostmaster(a) && !isDaemon(a) {
			return a, false, status.Temp("4.3.5", "address without a domain: "+printable(a), nil)
		}
		domain, err := FirstDomain(r.control)
		if err != nil {
			return a, false, err
		}
		a.Domain = domain
	}
	where, local, err := r.control.IsLocal(a.Domain)
	if err != nil {
		return a, false, err
	}
	if local {
		r.trail.Add("domain "+a.Domain, "local", where)
	} else {
		r.trail.Add("domain "+a.Domain, "remote", "not in control/domains")
	}
	return a, local, nil
}

// again reports whether a was looked at before, and stops what grows too big.
func (r *resolver) again(a addr.Address, s step) (bool, error) {
	k := key(a)
	switch {
	case r.seen[k]:
		r.trail.Add("address "+a.String(), "seen already", s.where)
		return true, nil
	case s.depth > maxDepth:
		return false, tooMuch(s.where, "aliases lie deeper than %d in each other", maxDepth)
	case len(r.seen) >= maxNames:
		return false, tooMuch(s.where, "more than %d addresses behind one", maxNames)
	}
	r.seen[k] = true
	return false, nil
}

// tooMuch is a fault of the tables, so it is temporary. Rows are for the log.
func tooMuch(where, format string, n int) error {
	return status.Temp("4.3.5", "aliases cannot be expanded", fmt.Errorf(format+" (%s)", n, where))
}

// row asks for an alias and then for a mailbox of one form of a.
func (r *resolver) row(a, form addr.Address, s step) (bool, error) {
	alias, err := r.control.Alias(form.String())
	if err != nil {
		return false, err
	}
	if alias != nil {
		r.trail.Add("alias "+form.String(), strings.Join(alias.Targets, ", "), alias.Where)
		return true, r.expand(a, form, alias, s)
	}
	u, err := r.control.User(form.String())
	if u == nil || err != nil {
		return false, err
	}
	r.trail.Add("mailbox "+form.String(), u.Home, u.Where)
	return true, r.add(Target{Addr: a, Place: Local, User: u, Where: join(s.where, u.Where)})
}

// expand adds the targets of an alias that was found for form. An alias that
// names itself means the mailbox itself, with the extension that a has.
func (r *resolver) expand(a, form addr.Address, alias *control.Alias, s step) error {
	s = s.through(alias.Where)
	for _, text := range alias.Targets {
		target, err := addr.Parse(text)
		if err != nil {
			return status.Temp("4.3.5", "an alias names no address", fmt.Errorf("%s: %w", alias.Where, err))
		}
		if k := key(target); k == key(form) || k == key(a) {
			err = r.mailbox(a, s)
		} else {
			err = r.address(target, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mailbox adds the mailbox of a, whatever aliases say.
func (r *resolver) mailbox(a addr.Address, s step) error {
	u, err := Mailbox(r.control, a)
	if err != nil {
		return err
	}
	if u == nil {
		return r.last(a, s)
	}
	r.trail.Add("mailbox "+a.String(), u.Home, u.Where)
	return r.add(Target{Addr: a, Place: Local, User: u, Where: join(s.where, u.Where)})
}

// last is for a local address that is in no table.
func (r *resolver) last(a addr.Address, s step) error {
	switch {
	case isDaemon(a):
		a.Local = "postmaster"
		r.trail.Add("MAILER-DAEMON", a.String(), "")
		return r.address(a, s.through(""))
	case isPostmaster(a):
		return r.postmaster(a, s)
	}
	r.trail.Add("mailbox "+a.String(), "unknown", "control/users")
	return r.add(Target{Addr: a, Place: Unknown, Where: s.where})
}

// postmaster goes where the settings send it.
func (r *resolver) postmaster(a addr.Address, s step) error {
	address, err := r.control.Postmaster()
	if err != nil {
		return err
	}
	if address == "" {
		return status.Temp("4.3.5", "mail for "+printable(a)+" has no mailbox",
			fmt.Errorf("neither control/postmaster nor control/users has one"))
	}
	r.trail.Add("postmaster", address, "control/postmaster or the first user")
	to, err := addr.Parse(address)
	if err != nil {
		return status.Temp("4.3.5", "mail for "+printable(a)+" has no mailbox", err)
	}
	return r.address(to, s.through("control/postmaster"))
}

// add puts a target on the list, once.
func (r *resolver) add(t Target) error {
	if r.added == nil {
		r.added = map[string]bool{}
	}
	if k := key(t.Addr); !r.added[k] {
		r.added[k] = true
		r.targets = append(r.targets, t)
	}
	return nil
}

// known reports whether any target is more than a name.
func (r *resolver) known() bool {
	for _, t := range r.targets {
		if t.Place != Unknown {
			return true
		}
	}
	return false
}
