package route

import (
	"fmt"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// resolver expands one address. Every name is expanded once. Where it is reached
// below itself it means its own mailbox, so that every expansion ends.
type resolver struct {
	control *control.Control
	from    string // the reverse path, for control/sender-routes
	trail   *explain.Trail
	passed  func(row addr.Address) (bool, error) // whether row has been expanded for the message before
	names   map[string]*name
	graph   []*name // in the order in which they were reached
	targets []Target
	index   map[string]int     // of a target in targets, by its key
	above   map[string][]*name // the names that lead to a target directly, by its key
	looked  int                // how many targets of rows

	included map[string]bool // lists that have been added
}

// step is how an address was reached.
type step struct {
	depth int
	where string // the rows so far
	from  *name  // nil for the address that was asked for

	owner   string // of the list that leads here, "" if none does
	renamed bool   // a domain alias has led here: that of the new domain does not count
}

// through is the step from n through the row where.
func (s step) through(n *name, where string) step {
	return step{depth: s.depth + 1, where: join(s.where, where), from: n, owner: s.owner}
}

func join(rows, row string) string {
	if rows == "" || row == "" {
		return rows + row
	}
	return rows + ", " + row
}

// address adds everything that a leads to.
func (r *resolver) address(a addr.Address, s step) error {
	a, local, err := r.domain(a, s)
	if err != nil {
		return err
	}
	if !local {
		return r.elsewhere(a, s)
	}
	return r.local(a, s)
}

// domain reports whether a is local. The two names that are valid without a domain
// get the first local one.
func (r *resolver) domain(a addr.Address, s step) (addr.Address, bool, error) {
	if a.Domain == "" {
		if !isPostmaster(a) && !isDaemon(a) {
			return a, false, status.Temp("4.3.5", "address without a domain: "+visible.ASCII(a.String()), nil)
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

// itself adds target without looking for an alias.
func (r *resolver) itself(target addr.Address, s step) error {
	if _, local, err := r.domain(target, s); err != nil {
		return err
	} else if !local {
		return r.elsewhere(target, s)
	}
	return r.mailbox(target, "", s)
}

// enter notes that the name of a row was reached as a. fresh is true where it must be
// expanded: the first time, and only if the message has not passed it before.
// Below itself it means its own mailbox.
func (r *resolver) enter(a addr.Address, on row, s step) (n *name, fresh bool, err error) {
	k := key(on.form)
	if n = r.names[k]; n != nil {
		n.reach(s.from)
		if n.open {
			err = r.back(n, a, s)
		} else {
			r.trail.Add("address "+a.String(), "already expanded", s.where)
		}
		return n, false, err
	}
	if passed, err := r.passed(on.trail); err != nil {
		return nil, false, err
	} else if passed {
		r.trail.Add("address "+a.String(), "not expanded: the message has passed it before", "Delivered-To")
		return nil, false, r.mailbox(a, "the message has passed it before", s)
	}
	switch {
	case s.depth > maxDepth:
		return nil, false, tooMuch(s.where, "aliases are nested more than %d deep", maxDepth)
	case len(r.graph) >= maxNames:
		return nil, false, tooMuch(s.where, "an address expands through more than %d aliases", maxNames)
	}
	n = &name{row: on.form, entry: a, where: join(s.where, on.where), at: len(r.graph), open: true}
	n.reach(s.from)
	r.names[k] = n
	r.graph = append(r.graph, n)
	return n, true, nil
}

// tooMuch is a fault of the tables, so it is temporary. Only the log shows the rows.
func tooMuch(where, format string, n int) error {
	return status.Temp("4.3.5", "aliases cannot be expanded", fmt.Errorf(format+" (%s)", n, where))
}

// back adds the mailbox of a name that is reached below itself as a. Where a is the
// bare name, it gets the extension with which the name was reached first.
func (r *resolver) back(n *name, a addr.Address, s step) error {
	if key(a) == key(n.row) {
		a = n.entry
	}
	r.trail.Add("address "+a.String(), "its mailbox, since its alias leads back to it", s.where)
	n.returned = true
	return r.mailbox(a, "its alias leads back to it", s)
}

// mailbox adds the mailbox of a, whatever aliases say. why explains why the alias
// was not used, where there is no mailbox.
func (r *resolver) mailbox(a addr.Address, why string, s step) error {
	u, err := Mailbox(r.control, a)
	if err != nil {
		return err
	}
	if u == nil && always(a) {
		return r.postmastersMailbox(a, why, s)
	}
	if u == nil {
		r.trail.Add("mailbox "+a.String(), "unknown", "control/users")
		return r.add(Target{Addr: a, Kind: Unknown, Where: s.where, Why: why}, s.from)
	}
	r.trail.Add("mailbox "+a.String(), u.Home, u.Where)
	return r.addFrom(Target{Addr: a, Kind: Local, User: u, Where: join(s.where, u.Where)}, s)
}

// postmastersMailbox adds the mailbox of the address that the settings have for a,
// without looking for aliases.
func (r *resolver) postmastersMailbox(a addr.Address, why string, s step) error {
	to, err := r.postmaster(a)
	if err != nil {
		return err
	}
	s.where = join(s.where, "control/postmaster")
	_, local, err := r.domain(to, s)
	if err != nil {
		return err
	}
	if !local {
		return r.elsewhere(to, s)
	}
	if u, err := Mailbox(r.control, to); err != nil {
		return err
	} else if u != nil {
		return r.add(Target{Addr: to, Kind: Local, User: u, Where: join(s.where, u.Where)}, s.from)
	}
	return r.add(Target{Addr: a, Kind: Unknown, Where: s.where, Why: why}, s.from)
}

// postmaster is where the settings send a.
func (r *resolver) postmaster(a addr.Address) (addr.Address, error) {
	address, err := r.control.Postmaster()
	if err != nil {
		return addr.Address{}, err
	}
	if address == "" {
		return addr.Address{}, status.Temp("4.3.5", "mail for "+visible.ASCII(a.String())+" has no mailbox",
			fmt.Errorf("neither control/postmaster nor control/users names one"))
	}
	to, err := addr.Parse(address)
	if err != nil {
		err = status.Temp("4.3.5", "mail for "+visible.ASCII(a.String())+" has no mailbox", err)
	}
	return to, err
}

// addFrom is add for what a list may lead to.
func (r *resolver) addFrom(t Target, s step) error {
	t.Owner = s.owner
	return r.add(t, s.from)
}

// targetKey is the same for targets that get one message. The commands of an alias are
// apart from its mailbox.
func targetKey(t Target) string {
	if t.Command != nil {
		return key(t.Addr) + "\n" + t.Command.ID()
	}
	return key(t.Addr)
}

// add puts a target on the list, once, and notes the name that leads to it.
func (r *resolver) add(t Target, from *name) error {
	k := targetKey(t)
	if from != nil {
		r.above[k] = append(r.above[k], from)
	}
	if _, there := r.index[k]; there {
		return nil
	}
	if len(r.targets) >= maxTargets {
		return tooMuch(t.Where, "an address expands to more than %d addresses", maxTargets)
	}
	r.index[k] = len(r.targets)
	r.targets = append(r.targets, t)
	return nil
}

// known reports whether mail goes to any of the targets.
func (r *resolver) known() bool {
	for _, t := range r.targets {
		if t.Kind != Unknown && t.Kind != Refused {
			return true
		}
	}
	return false
}
