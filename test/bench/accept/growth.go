package accept

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
	"paperpath/test/harness"
)

// Growth is the part in which there are more and more users, messages in a mailbox, and entries
// that are deferred: none of them should cost anything.
func Growth() bench.Part {
	return bench.Part{Name: "growth", Missing: missing, Measure: measureGrowth}
}

func measureGrowth(run *bench.Run) error {
	numbers, deferred := []int{10, 100, 1000, 10000}, 100000
	if run.Short {
		numbers, deferred = numbers[1:2], 2000
	}
	for _, n := range numbers {
		c := &comparison{Run: run, dir: filepath.Join(run.Dir, fmt.Sprintf("users%d", n)), users: mta.Users(n)}
		if err := c.grown(fmt.Sprintf("%d users", n), func() error { return nil }); err != nil {
			return err
		}
		c = &comparison{Run: run, dir: filepath.Join(run.Dir, fmt.Sprintf("messages%d", n)), users: mta.Users(1)}
		if err := c.grown(fmt.Sprintf("%d messages in the mailbox", n), func() error { return c.fill(n) }); err != nil {
			return err
		}
	}
	c := &comparison{Run: run, dir: filepath.Join(run.Dir, "deferred"), users: mta.Users(usualUsers)}
	return c.grown(fmt.Sprintf("%d deferred entries", deferred), func() error { return c.postpone(deferred) })
}

// fill gives the first user messages.
func (c *comparison) fill(messages int) error {
	for _, m := range c.servers {
		if err := m.Boxes.Fill(c.users[0], messages); err != nil {
			return err
		}
	}
	return nil
}

// postpone has n messages wait in the queues of Paperpath, which gets a runner for them, and of
// Postfix, which has one.
func (c *comparison) postpone(n int) error {
	if err := errors.Join(mta.DeferPaperpath(c.home, n), mta.DeferPostfix(c.postfix, n)); err != nil {
		return err
	}
	cmd := exec.Command(c.Programs.Path("mailrelay"), "watch")
	cmd.Env = c.Programs.Env(c.home.Dir)
	runner, err := bench.Start("mailrelay", "", cmd, func(string) error { return nil })
	if err != nil {
		return err
	}
	c.servers = append(c.servers, &mta.MTA{Name: "mailrelay", Server: runner})
	unix.Sync() // what was written belongs to no turn, and neither does the first look at it
	quiet, spent := 0, 0.0
	return harness.Wait("mailrelay to have looked at its queue", time.Minute, func() bool {
		quiet++
		if now := runner.Spent().All(); now != spent {
			quiet, spent = 0, now
		}
		return quiet == 40
	})
}

// grown measures servers of its own, which have been prepared.
func (c *comparison) grown(what string, prepare func() error) error {
	row := c.row(load{atOnce: 10, each: 10, total: 500, size: usual}, what, bench.Ours, "Postfix", mta.ReferenceName)
	row.Name = "growth: " + what
	if !c.Wants(row.Name) {
		return nil
	}
	defer c.stop()
	if err := c.startFew(); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	return c.Compare(row)
}
