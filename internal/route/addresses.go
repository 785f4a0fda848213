package route

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
)

// Addresses returns the addresses that a leads to, to see whether a belongs to a
// user.
func Addresses(c *control.Control, a addr.Address) ([]addr.Address, error) {
	targets, err := Resolve(c, "", a, nil)
	var list []addr.Address
	for _, t := range targets {
		list = append(list, t.Addr)
	}
	return list, err
}
