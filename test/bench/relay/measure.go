package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// result is one measurement; as JSON it is a line of the file beside the table.
type result struct {
	Row          string  `json:"row"`
	Server       string  `json:"server"`
	Pair         int     `json:"pair"`
	Seconds      float64 `json:"seconds"` // until the last message arrived
	Recipients   int     `json:"recipients"`
	Missing      int     `json:"missing"`
	Twice        int     `json:"twice"`
	Sessions     int     `json:"sessions"`
	Transactions int     `json:"transactions"`
	CPU          float64 `json:"cpu_seconds"` // of the server
	PeakMiB      float64 `json:"peak_mib,omitempty"`
}

// relayer is one of the two that are compared.
type relayer interface {
	fill([]letter) error
	begin() error
	queued() int
}

// ours measures mailrelay, on a home of its own.
func (c *comparison) ours(r *row, pair int) (res result, err error) {
	o, err := newPaperpath(c.programs, filepath.Join(c.dir, "home"), c.routes)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, o.end()) }()
	if err := o.fill(r.letters); err != nil {
		return res, fmt.Errorf("fill relay/: %w", err)
	}
	res, err = c.send(r, o, func() *bench.Server { return o.server })
	res.Server, res.Pair = "mailrelay", pair
	res.PeakMiB = float64(harness.PeakResident(o.server.PID())) / (1 << 20)
	if err != nil || res.Missing > 0 {
		fmt.Fprintln(os.Stderr, o.home.Describe())
	}
	return res, err
}

// theirs measures Postfix.
func (c *comparison) theirs(r *row, pair int) (res result, err error) {
	p := c.postfix
	if err := p.fill(r.letters); err != nil {
		return res, err
	}
	res, err = c.send(r, p, func() *bench.Server { return p.server })
	res.Server, res.Pair = "Postfix", pair
	if err == nil && r.awaited == r.recipients() && res.Missing == 0 {
		return res, p.end()
	}
	return res, errors.Join(err, p.restart())
}

func (r *row) recipients() (n int) {
	for _, l := range r.letters {
		n += len(l.to)
	}
	return n
}

// send takes the time from the moment at which a relayer with a full queue begins to
// work, until all that can arrive has arrived.
func (c *comparison) send(r *row, what relayer, server func() *bench.Server) (res result, err error) {
	c.sink.await(r.awaited)
	var spent float64
	if s := server(); s != nil {
		spent = s.Spent()
	}
	began := time.Now()
	if err := what.begin(); err != nil {
		return res, err
	}
	select {
	case <-c.sink.done:
	case <-time.After(r.limit):
	}
	got := c.sink.count()
	res = result{Row: r.name, Seconds: got.last.Sub(began).Seconds(), Missing: r.awaited - got.recipients}
	res.CPU = server().Spent() - spent
	if res.Missing > 0 {
		res.Seconds = r.limit.Seconds()
	} else if r.awaited == r.recipients() { // nothing may come again
		err = harness.Wait("an empty queue", time.Minute, func() bool { return what.queued() == 0 })
	}
	got = c.sink.count()
	res.Recipients, res.Twice = got.recipients, got.twice
	res.Sessions, res.Transactions = got.sessions, got.transactions
	return res, err
}
