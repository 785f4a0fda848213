package submit

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
)

// rewriter replaces the addresses in the messages of submitters as control/rewrite says. Mail
// of others is never changed: its signatures would break, and it is not ours.
func rewriter(c *control.Control) func(sender bool, a addr.Address) (addr.Address, error) {
	return func(sender bool, a addr.Address) (addr.Address, error) {
		use := control.AsRecipient
		if sender {
			use = control.AsSender
		}
		to, err := c.Rewrite(use, a)
		if to == nil || err != nil {
			return a, err
		}
		return to.Address, nil
	}
}

// rewrittenPath is the reverse path of what a submitter sends. The null one stays.
func rewrittenPath(c *control.Control, from spool.Path, t *explain.Trail) (spool.Path, error) {
	a, err := addr.Parse(from.Addr)
	if err != nil {
		return from, nil
	}
	to, err := c.Rewrite(control.AsSender, a)
	if to == nil || err != nil {
		return from, err
	}
	t.Add("sender "+from.Addr, to.String(), to.Where)
	from.Addr = to.String()
	return from, nil
}
