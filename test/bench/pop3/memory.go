package pop3

import (
	"fmt"
	"time"

	"paperpath/test/bench"
)

// settle is how long sessions are idle before memory is counted.
const settle = 5 * time.Second

// idle is the memory in MiB of a server, just started, that holds n sessions
// which have logged in, said STAT and then nothing.
func (w *world) idle(n int, run func() (*bench.Server, error)) (res bench.Result, err error) {
	s, err := run()
	if err != nil {
		return res, err
	}
	defer s.Stop()
	var held []*client
	defer func() {
		for _, c := range held {
			c.close()
		}
	}()
	for i := range n {
		c, err := enter(s, idleUser(i))
		if err != nil {
			return res, err
		}
		held = append(held, c)
		if _, _, err := c.stat(); err != nil {
			return res, err
		}
	}
	time.Sleep(settle)
	octets, processes, err := s.Memory()
	if err != nil {
		return res, err
	}
	for _, c := range held { // nobody gained by hanging up
		if _, err := c.do("NOOP"); err != nil {
			return res, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return bench.Result{Value: float64(octets) / (1 << 20), Figures: map[string]float64{"processes": float64(processes)}}, nil
}

func idleUser(i int) string { return fmt.Sprintf("idle%d", i) }

// memory measures what is held by idle sessions, of servers just started: beside
// Dovecot as it is measured otherwise, and as it needs the least.
func (b *comparison) memory() error {
	numbers := []int{100, b.idlers()}
	if b.Short {
		numbers = numbers[:1]
	}
	var rows []*bench.Row
	for _, n := range numbers {
		for _, ways := range []dovecotWays{oneEach, shared} {
			rows = append(rows, b.memoryRow(n, ways))
		}
	}
	return b.CompareAll(rows)
}

// turnsOfMemory are enough: memory knows little noise.
const turnsOfMemory = 3

func (b *comparison) memoryRow(n int, ways dovecotWays) *bench.Row {
	turns := turnsOfMemory
	if b.Short {
		turns = 1
	}
	ours := func() (*bench.Server, error) { return b.world.paperpath(b.Programs) }
	theirs := func() (*bench.Server, error) { return b.world.dovecot(ways) }
	return &bench.Row{
		Name: fmt.Sprintf("pop3: memory, %d idle, Dovecot with %d a process", n, ways.atATime), Unit: "MiB",
		Turns: turns, Least: allowed, Aims: []bench.Aim{{Beside: "Dovecot", Times: 2}},
		Entrants: []bench.Entrant{
			{Name: bench.Ours, Measure: func(int) (bench.Result, error) { return b.world.idle(n, ours) }},
			{Name: "Dovecot", Measure: func(int) (bench.Result, error) { return b.world.idle(n, theirs) }},
		},
	}
}
