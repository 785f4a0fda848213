package accept

import (
	"fmt"
	"path/filepath"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
)

// Growth is the part in which there are more and more users, and messages in a mailbox: neither
// should cost anything.
func Growth() bench.Part {
	return bench.Part{Name: "growth", Missing: missing, Measure: measureGrowth}
}

func measureGrowth(run *bench.Run) error {
	numbers := []int{10, 100, 1000, 10000}
	if run.Short {
		numbers = numbers[1:2]
	}
	for _, n := range numbers {
		c := &comparison{Run: run, dir: filepath.Join(run.Dir, fmt.Sprintf("users%d", n)), users: mta.Users(n)}
		if err := c.grown(fmt.Sprintf("%d users", n), 0); err != nil {
			return err
		}
		c = &comparison{Run: run, dir: filepath.Join(run.Dir, fmt.Sprintf("messages%d", n)), users: mta.Users(1)}
		if err := c.grown(fmt.Sprintf("%d messages in the mailbox", n), n); err != nil {
			return err
		}
	}
	return nil
}

// grown measures servers of its own, whose first mailbox has messages already.
func (c *comparison) grown(what string, messages int) error {
	row := c.row(load{atOnce: 10, each: 10, total: 500, size: usual}, what, bench.Ours, "Postfix", mta.ReferenceName)
	row.Name = "growth: " + what
	if !c.Wants(row.Name) {
		return nil
	}
	defer c.stop()
	if err := c.startFew(); err != nil {
		return err
	}
	for _, m := range c.servers {
		if err := m.Boxes.Fill(c.users[0], messages); err != nil {
			return err
		}
	}
	return c.Compare(row)
}
