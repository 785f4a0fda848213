package route

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// Successor is a recipient when its mail goes to a by a rule of its owner: it keeps what the
// sender wants to hear, and the address that they wrote.
func Successor(r spool.Recipient, a addr.Address) spool.Recipient {
	return successor(r, a, false)
}

// Expanded reports whether an entry has been forwarded from a row before: a Delivered-To of
// its message names it, whoever handed it in, so its rules are not followed again.
func Expanded(c *control.Control, e *spool.Entry, row addr.Address) (bool, error) {
	p, err := passedBy(c, e)
	return p.Expanded(row), err
}
