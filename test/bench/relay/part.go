// Package relay is the part of make bench in which a queue is full and is sent: mailrelay and
// Postfix to the same sink, and mailroute with maildeliver, and Postfix, to Maildirs. The
// queue is full and synced before the clock starts; the clock stops when all has arrived.
package relay

import (
	"errors"
	"path/filepath"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
)

// Part is all of it.
func Part() bench.Part { return bench.Part{Name: "relay", Missing: missing, Measure: measure} }

// missing is what the machine lacks.
func missing() string { return mta.Missing("postfix") }

// comparison is the run, and what there is in this part.
type comparison struct {
	*bench.Run
	sink    *bench.Sink
	postfix *postfix
	routes  []string
}

func measure(run *bench.Run) (err error) {
	c := &comparison{Run: run}
	transports, err := c.hosts()
	if err != nil {
		return err
	}
	defer c.sink.Close()
	if c.postfix, err = newPostfix(filepath.Join(c.Dir, "postfix"), transports); err != nil {
		return err
	}
	defer func() { c.postfix.server.Stop() }()
	var all error
	for _, r := range c.rows() {
		all = errors.Join(all, c.Compare(&r.Row))
	}
	return all
}
