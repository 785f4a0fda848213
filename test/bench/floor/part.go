// Package floor is the part of make bench that measures what no mail program can do without: files
// that are written, synced and renamed, round trips on the loopback interface, the start of a program.
package floor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
	"paperpath/test/harness"
)

// Part is all of it.
func Part() bench.Part {
	return bench.Part{Name: "floor", Missing: func() string { return "" }, Measure: measure}
}

// comparison is the run, and what there is in this part.
type comparison struct {
	*bench.Run
	dir string
}

func measure(run *bench.Run) error {
	c := &comparison{Run: run, dir: filepath.Join(run.Dir, "floor")}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	spawns, err := c.spawns()
	if err != nil {
		return err
	}
	return c.CompareAll(append(append(c.files(), c.roundTrips()), spawns...))
}

// less is what there is less of in a short run.
func (c *comparison) less(n int) int {
	if c.Short {
		return n / 10
	}
	return n
}

// entrant is one that does n pieces of work, which do takes the time of.
func entrant(name string, n int, do func() (time.Duration, error)) bench.Entrant {
	return bench.Entrant{Name: name, Measure: func(int) (res bench.Result, err error) {
		took, err := do()
		return bench.Result{Value: float64(n) / took.Seconds()}, err
	}}
}

// row compares such entrants.
func row(unit string, entrants []bench.Entrant, format string, args ...any) *bench.Row {
	return &bench.Row{Name: "floor: " + fmt.Sprintf(format, args...), Unit: unit, Faster: true, Entrants: entrants}
}

// roundTrips is a command and its reply, between two processes.
func (c *comparison) roundTrips() *bench.Row {
	n := c.less(5000)
	return row("round trips/s", []bench.Entrant{entrant("SMTP, NOOP", n, func() (took time.Duration, err error) {
		server, err := mta.Reference(c.dir, nil)
		if err != nil {
			return 0, err
		}
		defer server.Stop()
		conn, err := harness.Dial(server.Addr)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		_, err = conn.Expect("220", "")
		began := time.Now()
		for range n {
			if err == nil {
				_, err = conn.Expect("250", "NOOP")
			}
		}
		return time.Since(began), err
	})}, "loopback")
}

// spawns are the starts of programs.
func (c *comparison) spawns() (rows []*bench.Row, err error) {
	bare, err := mta.Helper("bare")
	if err != nil {
		return nil, err
	}
	spawner, err := mta.Helper("spawner")
	if err != nil {
		return nil, err
	}
	n := c.less(500)
	s := bench.Spawner{Messages: filepath.Join(c.dir, "messages")}
	if err := os.Mkdir(s.Messages, 0o755); err != nil {
		return nil, err
	}
	for i := range n {
		err = errors.Join(err, s.Write(i, "x", "\n"))
	}
	if err != nil {
		return nil, err
	}
	for _, atOnce := range []int{1, 8} {
		s.AtOnce = atOnce
		rows = append(rows, row("starts/s", []bench.Entrant{
			start("static Go program", s, spawner, bare),
			start("/bin/true", s, spawner, "/bin/true"),
			start("mailsubmit --version", s, spawner, c.Programs.Path("mailsubmit"), "--version", "--"),
		}, "start of a program, %d at once", s.AtOnce))
	}
	return rows, nil
}

// start is an entrant that only starts.
func start(name string, s bench.Spawner, spawner string, command ...string) bench.Entrant {
	return bench.Entrant{Name: name, Measure: func(int) (res bench.Result, err error) {
		return res, s.Run(spawner, command, func(x bench.Spawned) error {
			if x.Failed > 0 {
				return fmt.Errorf("%d of %d failed: %s", x.Failed, len(x.Took), x.Why)
			}
			res.Value, res.Figures = x.Figures()
			return nil
		})
	}}
}
