// Package memory is the part of make bench that counts what mail servers hold while nothing
// happens: just started, and with many SMTP sessions that say nothing. It is the proportional set
// size of all processes of a server.
package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
	"paperpath/test/harness"
)

// Part is all of it.
func Part() bench.Part {
	return bench.Part{Name: "memory", Missing: func() string { return mta.Missing("postfix", "opensmtpd", "exim") }, Measure: measure}
}

const (
	// settle is how long sessions are idle before memory is counted.
	settle = 5 * time.Second

	turns = 3  // are enough: memory knows little noise
	aim   = 31 // MiB of mailsubmit with so many sessions:
	many  = 1000

	submitMiB = "mailsubmit MiB"
)

// comparison is the run, and what there is in this part.
type comparison struct {
	*bench.Run
	dir     string
	started int // servers, for their directories
}

// starter runs a server, just made, which can have so many sessions, in a directory of its own.
type starter func(dir string, sessions int) (*mta.MTA, error)

func measure(run *bench.Run) error {
	c := &comparison{Run: run, dir: filepath.Join(run.Dir, "memory")}
	numbers := []int{0, 100, many}
	if c.Short {
		numbers = numbers[1:2]
	}
	var rows []*bench.Row
	for _, n := range numbers {
		row := &bench.Row{Name: fmt.Sprintf("memory: %d idle sessions", n), Unit: "MiB", Turns: turns, Entrants: []bench.Entrant{
			c.entrant(bench.Ours, n, c.paperpath), c.entrant("Postfix", n, c.postfix),
			c.entrant(mta.OpenSMTPDName, n, c.peer(mta.OpenSMTPD)), c.entrant(mta.EximName, n, c.peer(mta.Exim)),
		}}
		if n == many {
			row.Bounds = []bench.Bound{{Figure: submitMiB, Aim: aim}}
		}
		if c.Short {
			row.Turns = 1
		}
		rows = append(rows, row)
	}
	return c.CompareAll(rows)
}

func (c *comparison) paperpath(dir string, sessions int) (*mta.MTA, error) {
	m, home, err := mta.Paperpath(c.Programs, dir, mta.Users(1))
	if err != nil {
		return nil, err
	}
	// The setting counts from the next session on.
	return m, home.Set("concurrency", fmt.Sprintf("mailsubmit: %d", 100+2*sessions))
}

func (c *comparison) postfix(dir string, _ int) (*mta.MTA, error) {
	certificate, err := c.certificate(dir)
	if err != nil {
		return nil, err
	}
	m, _, err := mta.Postfix(dir, certificate, mta.Users(1))
	return m, err
}

// peer is one that runs from its package.
func (c *comparison) peer(run func(dir, certificate string, users []string) (*mta.MTA, error)) starter {
	return func(dir string, _ int) (*mta.MTA, error) {
		certificate, err := c.certificate(dir)
		if err != nil {
			return nil, err
		}
		return run(dir, certificate, mta.Users(1))
	}
}

// certificate makes one for a server.
func (c *comparison) certificate(dir string) (string, error) {
	home, err := mta.Home(c.Programs, filepath.Join(dir, "home"), nil)
	if err != nil {
		return "", err
	}
	return mta.Certificate(home, dir)
}

// entrant measures a server with n idle sessions.
func (c *comparison) entrant(name string, n int, start starter) bench.Entrant {
	return bench.Entrant{Name: name, Measure: func(int) (res bench.Result, err error) {
		c.started++
		dir := filepath.Join(c.dir, fmt.Sprint(c.started))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return res, err
		}
		m, err := start(dir, n)
		if err != nil {
			return res, err
		}
		defer m.Stop()
		return c.idle(m, n)
	}}
}

// idle is the memory of a server with n sessions of which nobody has said more than EHLO. Each has to
// answer afterwards: nobody gains by hanging up.
func (c *comparison) idle(m *mta.MTA, n int) (res bench.Result, err error) {
	res.Awaited = n
	held, err := open(m.Addr, n)
	defer held.close()
	if err != nil {
		fmt.Fprintf(c.Progress, "%s: %d sessions, then: %v\n", m.Name, len(held), err)
	}
	time.Sleep(settle)
	octets, processes, err := m.Server.Memory()
	if err != nil {
		return res, err
	}
	res.Value = float64(octets) / (1 << 20)
	res.Figures = map[string]float64{"processes": float64(processes)}
	if m.Name == bench.Ours {
		res.Figures[submitMiB] = ofProgram(m.Server.PID(), "mailsubmit")
	}
	if res.Arrived, err = held.alive(); err != nil {
		fmt.Fprintf(c.Progress, "%s: %d of %d sessions still answer: %v\n%s\n", m.Name, res.Arrived, len(held), err, m.Log())
	}
	return res, nil
}

// ofProgram is the memory in MiB of a program below a process.
func ofProgram(pid int, name string) (sum float64) {
	for _, p := range harness.Descendants(pid) {
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p)); strings.TrimSpace(string(comm)) == name {
			sum += float64(harness.Resident(p)) / (1 << 20)
		}
	}
	return sum
}
