package route

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/status"
)

// target is one target of a row: an address of ours, or the text of a table. What comes
// from a message is an address and never such text.
type target struct {
	address addr.Address
	text    string // if not "", as control.Alias has it
}

func targetsOf(a *control.Alias) []target {
	list := make([]target, len(a.Targets))
	for i, text := range a.Targets {
		list[i].text = text
	}
	return list
}

// expand adds the targets that a row has for a.
func (r *resolver) expand(a addr.Address, on row, s step) error {
	n, fresh, err := r.enter(a, on, s)
	if err != nil || !fresh {
		return err
	}
	defer func() { n.open = false }()
	if s.owner, err = r.owner(on.form, s.owner); err != nil {
		return err
	}
	s = s.through(n, on.where)
	for _, t := range on.targets {
		if err := r.target(a, t, on.where, s); err != nil {
			return err
		}
	}
	return nil
}

// target adds one target of a row at where that was looked up for a.
func (r *resolver) target(a addr.Address, t target, where string, s step) error {
	if r.looked++; r.looked > maxLooked {
		return tooMuch(s.where, "an address expands to more than %d targets", maxLooked)
	}
	if t.text == "" {
		return r.address(t.address, s)
	}
	form, text := control.FormOf(t.text)
	switch form {
	case control.ProgramTarget, control.FileTarget:
		command := control.NewCommand(t.text, a.String(), where)
		return r.addFrom(Target{Addr: a, Kind: Piped, Command: command, Where: s.where}, s)
	case control.IncludeTarget:
		return r.include(a, text, s)
	}
	to, err := addr.Parse(text)
	switch {
	case err != nil:
		return status.Temp("4.3.5", "an alias has an invalid target", fmt.Errorf("%s: %w", where, err))
	case form == control.OwnTarget:
		return r.itself(to, s)
	}
	return r.address(to, s)
}

// include adds the members of a list, once for each domain that its bare names are in. A
// list that includes itself adds nothing.
func (r *resolver) include(a addr.Address, path string, s step) error {
	k := path + "\n" + addr.FoldDomain(a.Domain)
	if r.included[k] {
		r.trail.Add("list "+path, "already included", s.where)
		return nil
	}
	if s.depth++; s.depth > maxDepth {
		return tooMuch(s.where, "lists are nested more than %d deep", maxDepth)
	}
	r.included[k] = true
	members, err := r.control.Include(path)
	if err != nil {
		return status.Temp("4.3.5", "an alias has a list that cannot be read", fmt.Errorf("%s: %w", s.where, err))
	}
	r.trail.Add("list "+path, fmt.Sprintf("%d members", len(members)), s.where)
	for _, m := range members {
		in := s
		in.where = join(s.where, m.Where)
		if err := r.target(a, target{text: control.InDomain(m.Target, a.Domain)}, m.Where, in); err != nil {
			return err
		}
	}
	return nil
}

const ownerPrefix = "owner-"

// owner returns the reverse path of what the row of list sends on: owner-LIST, if there is
// such an alias, so that failures go to whoever looks after the list (RFC 5321 3.9.2). A
// message without a reverse path keeps none: nobody gets reports of reports.
func (r *resolver) owner(list addr.Address, above string) (string, error) {
	if list.Local == "" || r.from == "" || strings.HasPrefix(addr.Fold(list.Local), ownerPrefix) {
		return above, nil
	}
	owner := addr.Address{Local: ownerPrefix + list.Local, Domain: list.Domain}
	row, err := r.control.Alias(owner.String())
	switch {
	case err != nil:
		return "", err
	case row == nil:
		return above, nil
	}
	r.trail.Add("owner of "+list.String(), owner.String(), row.Where)
	return owner.String(), nil
}
