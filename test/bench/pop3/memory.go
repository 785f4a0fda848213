package main

import (
	"fmt"
	"strings"
	"time"

	"paperpath/test/bench"
)

// settle is how long sessions are idle before memory is counted.
const settle = 5 * time.Second

// idle is the memory in MiB of a server, just started, that holds n sessions
// which have logged in, said STAT and then nothing.
func (w *world) idle(n int, run func() (*bench.Server, error)) (mib float64, processes int, err error) {
	s, err := run()
	if err != nil {
		return 0, 0, err
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
			return 0, 0, err
		}
		held = append(held, c)
		if _, _, err := c.stat(); err != nil {
			return 0, 0, err
		}
	}
	time.Sleep(settle)
	octets, processes, err := s.Memory()
	if err != nil {
		return 0, 0, err
	}
	for _, c := range held { // nobody gained by hanging up
		if _, err := c.do("NOOP"); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return float64(octets) / (1 << 20), processes, nil
}

func idleUser(i int) string { return fmt.Sprintf("idle%d", i) }

// memory measures what is held by idle sessions, of servers just started: beside
// Dovecot as it is measured otherwise, and as it needs the least.
func (b *comparison) memory() error {
	numbers := []int{100, b.idlers()}
	if b.short {
		numbers = numbers[:1]
	}
	for _, n := range numbers {
		for _, ways := range []dovecotWays{oneEach, shared} {
			r := &row{name: fmt.Sprintf("memory, %d idle, Dovecot with %d a process", n, ways.atATime), unit: "MiB", aim: 2}
			if !strings.Contains(r.name, b.only) {
				continue
			}
			if err := b.compareIdle(r, n, ways); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return nil
}

// pairsOfMemory are enough: memory knows little noise.
const pairsOfMemory = 3

func (b *comparison) compareIdle(r *row, n int, ways dovecotWays) error {
	pairs := pairsOfMemory
	if b.short {
		pairs = 1
	}
	var ours, theirs figures
	for range pairs {
		x, own, err := b.world.idle(n, func() (*bench.Server, error) { return b.world.paperpath(b.programs) })
		if err != nil {
			return err
		}
		y, others, err := b.world.idle(n, func() (*bench.Server, error) { return b.world.dovecot(ways) })
		if err != nil {
			return err
		}
		ours.took, theirs.took = append(ours.took, x), append(theirs.took, y)
		r.note = fmt.Sprintf(" (%d and %d processes)", own, others)
	}
	b.table.add(r, ours, theirs)
	return nil
}
