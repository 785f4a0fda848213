package auth

import (
	"fmt"
	"path/filepath"
	"strings"

	"paperpath/internal/control"
)

// costsFile is the file from which processes learn what SCRAM exchanges show if a
// program looks up the users, so that there are no rows to look at: iterations and
// length of the salt, one kind per line.
func costsFile(c *control.Control) string { return filepath.Join(c.Home(), "run", "likeness-scram") }

// maxCosts is how many kinds are kept: a site has one, perhaps with an older one beside
// it.
const maxCosts = 16

// scramCosts returns the costs for made-up keys: those of the rows, or those seen of a
// program's users.
func scramCosts(c *control.Control) (map[control.ScramCost]int, error) {
	costs, err := c.ScramCosts()
	if err != nil || len(costs) > 0 {
		return costs, err
	}
	if program, err := c.AsksForUsers(); err != nil || !program {
		return nil, err
	}
	costs = map[control.ScramCost]int{}
	for line := range strings.Lines(readShort(costsFile(c))) {
		var cost control.ScramCost
		if n, _ := fmt.Sscan(line, &cost.Iterations, &cost.Salt); n == 2 && cost.Salt > 0 && len(costs) < maxCosts {
			costs[cost] = 1
		}
	}
	return costs, nil
}

// keepCost adds the cost of k to the file. If it cannot, made-up keys have the cost of
// new ones.
func keepCost(c *control.Control, k Keys) {
	program, err := c.AsksForUsers()
	if err != nil || !program {
		return
	}
	costs, err := scramCosts(c)
	cost := control.ScramCost{Iterations: k.Iterations, Salt: len(k.Salt)}
	if err != nil || costs[cost] > 0 || len(costs) >= maxCosts {
		return
	}
	text := fmt.Sprintln(cost.Iterations, cost.Salt)
	for had := range costs {
		text += fmt.Sprintln(had.Iterations, had.Salt)
	}
	writeShort(costsFile(c), strings.TrimSuffix(text, "\n"))
}
