package route

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
)

// row is a row of control/aliases as an address meets it, or what the settings have in
// place of one.
type row struct {
	form    addr.Address // the name that it is expanded under, once
	trail   addr.Address // what a Delivered-To of a message that has passed it names
	targets []target
	where   string
}

// local adds what an address of a local domain leads to: every question about such an
// address, at RCPT, in route/ and in deliver/, ends here or in Mailbox. The first of
// these decides: an alias of a, a's own row in control/users, the machine's account of that
// name where control/accounts has the domain, then these for each shorter name of a
// (addr.Address.Names); the domain alias, after which these are asked again for
// the same name in the new domain, once; the names that every domain has; the catch-all;
// control/masquerade.
func (r *resolver) local(a addr.Address, s step) error {
	if is, err := r.unforwarded(a, s); is || err != nil {
		return err
	}
	names, err := Names(r.control, a)
	if err != nil {
		return err
	}
	for _, form := range names {
		found, err := r.row(a, form, s)
		if found || err != nil {
			return err
		}
	}
	whole, err := r.control.DomainAlias(a.Domain)
	if err != nil {
		return err
	}
	user := names[len(names)-1]
	if whole != nil && whole.Domain != "" && !s.renamed {
		return r.renamed(a, row{form: a, trail: user, where: whole.Where}, whole.Domain, s)
	}
	if found, err := r.builtIn(a, s); found || err != nil {
		return err
	}
	if whole != nil && whole.Domain == "" {
		r.trail.Add("catch-all @"+a.Domain, whole.String(), whole.Where)
		return r.alias(a, row{a, user, targetsOf(whole), whole.Where}, whole, s)
	}
	return r.nowhere(a, s)
}

// renamed adds what the same name leads to in the domain that a domain alias names.
func (r *resolver) renamed(a addr.Address, on row, domain string, s step) error {
	to := addr.Address{Local: a.Local, Domain: domain}
	r.trail.Add("domain alias @"+a.Domain, to.String(), on.where)
	n, fresh, err := r.enter(a, on, s)
	if err != nil || !fresh {
		return err
	}
	defer func() { n.open = false }()
	s = s.through(n, on.where)
	s.renamed = true
	return r.address(to, s)
}

// row asks for an alias and then for a mailbox of one form of a.
func (r *resolver) row(a, form addr.Address, s step) (bool, error) {
	alias, err := r.control.Alias(form.String())
	if err != nil {
		return false, err
	}
	if alias != nil {
		r.trail.Add("alias "+form.String(), alias.String(), alias.Where)
		return true, r.alias(a, row{form, form, targetsOf(alias), alias.Where}, alias, s)
	}
	u, err := r.control.Owner(form.String())
	if err != nil {
		return false, err
	}
	if u == nil { // a broken alias row may be more specific than what comes next
		return false, r.control.AliasHidden()
	}
	r.trail.Add("mailbox "+form.String(), u.Home, u.Where)
	return true, r.addFrom(Target{Addr: a, Kind: Local, User: u, Where: join(s.where, u.Where)}, s)
}

// alias adds what a row of control/aliases has for a.
func (r *resolver) alias(a addr.Address, on row, alias *control.Alias, s step) error {
	if alias.Error != nil {
		return r.add(Target{Addr: a, Kind: Refused, Route: alias.Error, Where: join(s.where, alias.Where)}, s.from)
	}
	return r.expand(a, on, s)
}

// builtIn adds what the names that every domain has lead to where no table has them. An
// account of a daemon is such a name in a domain of control/accounts.
func (r *resolver) builtIn(a addr.Address, s step) (found bool, err error) {
	daemon, err := r.control.IsDaemon(a.String())
	switch {
	case err != nil:
		return false, err
	case toPostmaster(a) || daemon:
		to := addr.Address{Local: "postmaster", Domain: a.Domain}
		r.trail.Add(a.Local, to.String(), "no alias and no mailbox")
		return true, r.expand(a, row{a, a, []target{{address: to}}, ""}, s)
	case isPostmaster(a):
		to, err := r.postmaster(a)
		if err != nil {
			return false, err
		}
		r.trail.Add("postmaster", to.String(), "control/postmaster or the first user")
		return true, r.expand(a, row{a, a, []target{{address: to}}, "control/postmaster"}, s)
	}
	return false, nil
}

// nowhere is for a local address that is not in any table.
func (r *resolver) nowhere(a addr.Address, s step) error {
	mask, err := r.control.Masquerade()
	if err != nil {
		return err
	}
	if to, masked := mask.Of(a); masked {
		r.trail.Add(a.String(), to.String(), "control/masquerade")
		return r.expand(a, row{a, a, []target{{address: to}}, "control/masquerade"}, s)
	}
	r.trail.Add("mailbox "+a.String(), "unknown", "control/users")
	return r.add(Target{Addr: a, Kind: Unknown, Where: s.where}, s.from)
}

// Mailbox returns the owner of a's own mailbox, whatever aliases say: the row of
// exactly this address, else that of its longest shorter name. nil without an error means
// that there is none.
func Mailbox(c *control.Control, a addr.Address) (*control.User, error) {
	names, err := Names(c, a)
	if err != nil {
		return nil, err
	}
	for _, form := range names {
		u, err := c.Owner(form.String())
		if u != nil || err != nil {
			return u, err
		}
	}
	return nil, nil
}

// Names returns the names under which tables may have a, the longest first: a, and what
// is left of it before each of control/delimiters.
func Names(c *control.Control, a addr.Address) ([]addr.Address, error) {
	delimiters, err := c.Delimiters()
	if err != nil {
		return nil, err
	}
	return a.Names(delimiters), nil
}

// AddressForms returns Names as text.
func AddressForms(c *control.Control, a addr.Address) (list []string, err error) {
	names, err := Names(c, a)
	for _, name := range names {
		list = append(list, name.String())
	}
	return list, err
}
