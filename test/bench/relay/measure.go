package relay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// The figures beside the time.
const (
	userTime     = "user ms/rcpt"
	systemTime   = "system ms/rcpt"
	peak         = "peak MiB"
	sessions     = "sessions"
	transactions = "transactions"
)

// relayer is one of the two that are compared.
type relayer interface {
	fill([]letter) error
	stand() error // start, with the queue put away
	begin() error // have the queue again
	queued() int
}

// putAway is a queue whose files are elsewhere for a time.
type putAway struct{ dir, aside string }

// away moves the files of dir beside it, so that back need only rename them.
func (w *putAway) away(dir string) error {
	*w = putAway{dir, dir + ".aside"}
	if err := os.Mkdir(w.aside, 0o700); err != nil {
		return fmt.Errorf("put a queue away: %w", err)
	}
	return move(w.dir, w.aside)
}

// back moves them to where they were.
func (w *putAway) back() error {
	return errors.Join(move(w.aside, w.dir), os.Remove(w.aside))
}

func move(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("move a queue: %w", err)
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return fmt.Errorf("move a queue: %w", err)
		}
	}
	return nil
}

// ours measures mailrelay, on a home of its own.
func (c *comparison) ours(r *row) (res bench.Result, err error) {
	o, err := newPaperpath(c.Programs, filepath.Join(c.Dir, "home"), c.routes)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, o.end()) }()
	if err := o.fill(r.letters); err != nil {
		return res, fmt.Errorf("fill relay/: %w", err)
	}
	if err := o.stand(); err != nil {
		return res, err
	}
	res, err = c.send(r, o, func() *bench.Server { return o.server })
	if res.Figures != nil {
		res.Figures[peak] = float64(harness.PeakResident(o.server.PID())) / (1 << 20)
	}
	if err != nil || res.Arrived < res.Awaited {
		fmt.Fprintln(c.Progress, o.home.Describe())
	}
	return res, err
}

// theirs measures Postfix.
func (c *comparison) theirs(r *row) (res bench.Result, err error) {
	p := c.postfix
	if err := errors.Join(p.fill(r.letters), p.stand()); err != nil {
		return res, err
	}
	res, err = c.send(r, p, func() *bench.Server { return p.server })
	if err == nil && r.awaited == r.recipients() && res.Arrived == res.Awaited {
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

// send takes the time from the moment at which a relayer that runs already, as on a server, gets
// its queue, until all that can arrive has arrived.
func (c *comparison) send(r *row, what relayer, server func() *bench.Server) (res bench.Result, err error) {
	c.sink.Await(r.awaited)
	spent := server().Spent()
	began := time.Now()
	if err := what.begin(); err != nil {
		return res, err
	}
	select {
	case <-c.sink.Done():
	case <-time.After(r.limit):
	}
	got := c.sink.Count()
	took, used := got.Last.Sub(began).Seconds(), server().Spent().Minus(spent)
	if got.Recipients < r.awaited {
		took = r.limit.Seconds()
	} else if r.awaited == r.recipients() { // nothing may come again
		err = harness.Wait("an empty queue", time.Minute, func() bool { return what.queued() == 0 })
	}
	got = c.sink.Count()
	res = bench.Result{Value: took, Awaited: r.awaited, Arrived: got.Recipients, Twice: got.Twice, Figures: figures(used, got.Recipients)}
	res.Figures[sessions], res.Figures[transactions] = float64(got.Sessions), float64(got.Transactions)
	return res, err
}

// figures are the processor time of each recipient.
func figures(used bench.Spent, recipients int) map[string]float64 {
	each := 1e3 / float64(max(recipients, 1))
	return map[string]float64{userTime: used.User * each, systemTime: used.System * each}
}
