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

// Copies counts into how many copies a message will be split, while its recipients
// become known one by one: one copy for each mailbox, one for all other hosts
// together, and one more for each recipient that leads to other hosts through
// aliases. The zero value has counted none.
type Copies struct {
	seen    map[string]bool // of the mailboxes so far
	remote  bool
	aliased int64
}

// Add counts the targets of recipient r and returns how many copies there are. undo
// takes them back if the recipient is refused after all.
func (c *Copies) Add(r spool.Recipient, targets []Target) (copies int64, undo func()) {
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	before := *c
	var added []string
	for _, t := range targets {
		if t.elsewhere() && len(t.Through) > 0 {
			c.aliased = before.aliased + 1
		} else if t.elsewhere() && t.Kind != Held {
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

// copyKey is the same for recipients that share a copy.
func copyKey(r spool.Recipient, t Target) string {
	return foldKey(t, forList(forCommand(successor(r, t.Addr, false), t), t))
}

// TooLarge refuses a message whose copies would together exceed the limit (RFC 5321
// 4.2.3: 552). A single copy replaces the message and costs nothing.
func TooLarge(copies, octets, limit int64) error {
	if copies < 2 || octets <= limit/copies {
		return nil
	}
	return tooLarge(copies, octets, limit)
}

func tooLarge(copies, octets, limit int64) error {
	e := status.Refuse("5.3.4", fmt.Sprintf("message is too large for so many mailboxes: %d copies of %d octets, the limit is %d octets",
		copies, octets, limit))
	e.Reply = 552
	return e
}

// tooLarge returns the results of an entry whose children would exceed copybytes:
// all recipients have failed. It returns nil where the entry may be split.
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
