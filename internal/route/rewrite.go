package route

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
)

// recipient adds everything that a recipient leads to. Only what the sender wrote is looked
// up in control/rewrite, once: not what a row gives, nor what aliases give. An address of ours
// that is replaced counts as expanded: mail that it sends to other hosts is forwarded.
func (r *resolver) recipient(a addr.Address, s step) error {
	to, err := r.control.Rewrite(control.AsRecipient, a)
	if err != nil {
		return err
	}
	if to == nil {
		return r.address(a, s)
	}
	_, local, err := r.control.IsLocal(a.Domain)
	if err != nil {
		return err
	}
	r.trail.Add("recipient "+a.String(), to.String(), to.Where)
	if !local {
		s.where = join(s.where, to.Where)
		return r.address(to.Address, s)
	}
	n, fresh, err := r.enter(a, row{form: a, trail: a, where: to.Where}, s)
	if err != nil || !fresh {
		return err
	}
	defer func() { n.open = false }()
	return r.address(to.Address, s.through(n, to.Where))
}
