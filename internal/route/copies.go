package route

import (
	"fmt"

	"paperpath/internal/control"
	"paperpath/internal/dsn"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// maxCopyBytes is how many octets the copies of one message may take, if
// control/limits does not say.
const maxCopyBytes = 1 << 30

// CopyBytes returns how many octets the copies of one message may take
// (control/limits).
func CopyBytes(c *control.Control) (int64, error) { return c.Limit("copybytes", maxCopyBytes) }

// Copies counts what a message for several recipients will be split into, while
// they are named one after another: one copy for each mailbox, one for all other
// hosts together. The zero value has none.
type Copies struct {
	seen   map[string]bool // of the mailboxes so far
	remote bool
}

// Add notes the targets of recipient r and returns how many copies there are. What
// the message is not sent to after all is taken back by undo.
func (c *Copies) Add(r spool.Recipient, targets []Target) (copies int64, undo func()) {
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	remote := c.remote
	var added []string
	for _, t := range targets {
		if t.Place == Remote {
			c.remote = true
		} else if k := copyKey(r, t); !c.seen[k] {
			c.seen[k] = true
			added = append(added, k)
		}
	}
	return c.Count(), func() {
		c.remote = remote
		for _, k := range added {
			delete(c.seen, k)
		}
	}
}

// Count returns how many copies there are.
func (c *Copies) Count() int64 {
	if c.remote {
		return int64(len(c.seen)) + 1
	}
	return int64(len(c.seen))
}

// copyKey is equal for what shares a copy.
func copyKey(_ spool.Recipient, t Target) string { return key(t.Addr) }

// TooLarge refuses for good what would be copied beyond the limit (RFC 5321
// 4.2.3: 552). A single copy only takes the message's place.
func TooLarge(copies, octets, limit int64) error {
	if copies < 2 || octets <= limit/copies {
		return nil
	}
	e := status.Refuse("5.3.4", fmt.Sprintf("the message is too large for so many mailboxes: %d copies of %d octets, %d together at most",
		copies, octets, limit))
	e.Reply = 552
	return e
}

// tooLarge returns the results of an entry whose children would take more than
// copybytes: all recipients have failed. They are nil where it may be split.
func (s *Stage) tooLarge(e *spool.Entry, children []spool.Child) []dsn.Result {
	if len(children) < 2 {
		return nil
	}
	limit, err := CopyBytes(s.Control)
	if err == nil {
		copies := int64(len(children))
		err = TooLarge(copies, e.CopyBytes(children)/copies, limit)
	}
	if err == nil {
		return nil
	}
	var results []dsn.Result
	for _, i := range e.Pending() {
		results = append(results, dsn.Result{Index: i, Err: err})
	}
	return results
}
