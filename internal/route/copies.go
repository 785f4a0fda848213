package route

import (
	"fmt"

	"paperpath/internal/control"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// CopyBytes returns how many octets the copies of one message may take
// (control/limits).
func CopyBytes(c *control.Control) (int64, error) { return c.Limit("copybytes") }

// Copies counts what a message for several recipients will be split into, while
// they are named one after another: one copy for each mailbox, one for all other
// hosts together, and one more for each recipient that leads to other hosts by
// aliases. The zero value has none.
type Copies struct {
	seen    map[string]bool // of the mailboxes so far
	remote  bool
	aliased int64
}

// Add notes the targets of recipient r and returns how many copies there are. What
// the message is not sent to after all is taken back by undo.
func (c *Copies) Add(r spool.Recipient, targets []Target) (copies int64, undo func()) {
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	before := *c
	var added []string
	for _, t := range targets {
		if t.Kind == Remote && len(t.Through) > 0 {
			c.aliased = before.aliased + 1
		} else if t.Kind == Remote {
			c.remote = true
		} else if k := copyKey(r, t); !c.seen[k] {
			c.seen[k] = true
			added = append(added, k)
		}
	}
	return c.Count(), func() {
		c.remote, c.aliased = before.remote, before.aliased
		for _, k := range added {
			delete(c.seen, k)
		}
	}
}

// Count returns how many copies there are.
func (c *Copies) Count() int64 {
	n := int64(len(c.seen)) + c.aliased
	if c.remote {
		n++
	}
	return n
}

// copyKey is equal for what shares a copy.
func copyKey(r spool.Recipient, t Target) string { return foldKey(t, successor(r, t.Addr)) }

// TooLarge refuses for good what would be copied beyond the limit (RFC 5321
// 4.2.3: 552). A single copy only takes the message's place.
func TooLarge(copies, octets, limit int64) error {
	if copies < 2 || octets <= limit/copies {
		return nil
	}
	return tooLarge(copies, octets, limit)
}

func tooLarge(copies, octets, limit int64) error {
	e := status.Refuse("5.3.4", fmt.Sprintf("the message is too large for so many mailboxes: %d copies of %d octets, %d together at most",
		copies, octets, limit))
	e.Reply = 552
	return e
}

// tooLarge returns the results of an entry whose children would take more than
// copybytes: all recipients have failed. They are nil where it may be split.
func (s *Stage) tooLarge(e *spool.Entry, children []spool.Child) []settle.Result {
	if len(children) < 2 {
		return nil
	}
	limit, err := CopyBytes(s.Control)
	copies, sum := int64(len(children)), e.CopyBytes(children)
	if err == nil && sum > limit {
		err = tooLarge(copies, sum/copies, limit)
	}
	if err == nil {
		return nil
	}
	var results []settle.Result
	for _, i := range e.Pending() {
		results = append(results, settle.Result{Index: i, Err: err})
	}
	return results
}
