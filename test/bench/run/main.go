// Run is make bench: Paperpath and programs of others take turns at the same work, on the
// same machine. It prints a table of medians and of the ratios of all turns, plots it, and
// writes a line of JSON for each measurement. It needs root, as other servers do, and these from
// test/peers/fetch.sh.
//
// The exit status is 1 if mail did not arrive, or not just once, if Paperpath breaks a bound
// that does not depend on the machine, or is far behind; noise alone does not fail it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"paperpath/internal/dir"
	"paperpath/test/bench"
	"paperpath/test/bench/accept"
	"paperpath/test/bench/floor"
	"paperpath/test/bench/memory"
	"paperpath/test/bench/pop3"
	"paperpath/test/bench/relay"
	"paperpath/test/bench/submit"
	"paperpath/test/harness"
)

// parts are all that is measured, in this order.
func parts() []bench.Part {
	return []bench.Part{floor.Part(), accept.Part(), submit.Part(), accept.Growth(), relay.Part(), pop3.Part(), memory.Part()}
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	r := &bench.Run{Progress: os.Stderr}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&r.Short, "short", false, "some minutes: less work, at most two turns, or three; only what no machine makes worse")
	f.StringVar(&r.Only, "only", "", "only rows with `TEXT` in their name, which begins with that of the part: pop3:")
	f.IntVar(&r.Turns, "pairs", 5, "measurements of each program in a row")
	f.StringVar(&r.Dir, "dir", os.TempDir(), "`DIRECTORY` for queues and mailboxes")
	keep := f.Bool("keep", false, "leave queues, mailboxes and logs where they are")
	lines := f.String("json", ".build/bench.json", "`FILE` for a line of JSON for each measurement")
	picture := f.String("svg", ".build/bench.svg", "`FILE` for a plot of the table")
	if f.Parse(args) != nil {
		return 64
	}
	if r.Short {
		r.Turns = min(r.Turns, 2)
	}
	passed, began, storage := false, time.Now(), durability(r.Dir)
	fmt.Fprintln(r.Progress, "bench: queues and mailboxes:", storage)
	report := func() error {
		fmt.Printf("# %d processors; medians of %d turns, everything on the same machine; behind the median of another: "+
			"how often as good the first one is (least to most)\n", runtime.NumCPU(), r.Turns)
		fmt.Printf("# queues and mailboxes: %s\n", storage)
		passed = r.End(os.Stdout)
		fmt.Printf("in %v; each measurement: %s; a plot: %s\n", time.Since(began).Round(time.Second), *lines, *picture)
		return plot(r, *picture)
	}
	if err := measure(r, *lines, *keep, report); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if !passed {
		return 1
	}
	return 0
}

// measure measures all parts and calls report, in a directory that goes afterwards, which takes
// long, unless it is to be kept.
func measure(r *bench.Run, lines string, keep bool, report func() error) (err error) {
	if r.Dir, err = os.MkdirTemp(r.Dir, "paperpath-bench"); err != nil {
		return err
	}
	end := func() error { return os.RemoveAll(r.Dir) }
	if keep {
		fmt.Fprintln(r.Progress, "bench: everything is in", r.Dir)
		end = func() error { return nil }
	}
	defer end()
	defer interruptible(end)()
	if err := os.Chmod(r.Dir, 0o755); err != nil { // servers' processes are somebody else
		return err
	}
	if r.Programs, err = harness.Build(r.Dir); err != nil {
		return err
	}
	out, err := os.Create(lines)
	if err != nil {
		return err
	}
	r.Lines = out
	for _, p := range parts() {
		r.Part(p)
	}
	return errors.Join(out.Close(), report())
}

// durability is on what file system the queues are, and how often Paperpath syncs a message there
// (spool(5)); others sync as often as they do on every one.
func durability(path string) string {
	d, err := dir.Open(path)
	if err != nil {
		return err.Error()
	}
	defer d.Close()
	m, err := d.Mount()
	switch {
	case err != nil:
		return err.Error()
	case m.NamesWithFiles():
		return m.Type + ", one sync a message"
	}
	return m.Type + " that does not keep a file's name with its data (no journal?), two syncs a message"
}

// plot writes the picture.
func plot(r *bench.Run, path string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.Plot(out), out.Close())
}

// interruptible ends all servers, then calls end, if the run is interrupted, until its result is called.
func interruptible(end func() error) func() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, interrupted := <-stop; !interrupted {
			return
		}
		below := func() []int { return harness.Descendants(os.Getpid()) }
		kill := func(sig syscall.Signal) {
			for _, pid := range below() {
				syscall.Kill(pid, sig)
			}
		}
		kill(syscall.SIGTERM)
		err := harness.Wait("the servers to end", 5*time.Second, func() bool { return len(below()) == 0 })
		kill(syscall.SIGKILL)
		fmt.Fprintln(os.Stderr, "bench: interrupted", errors.Join(err, end()))
		os.Exit(75)
	}()
	return func() { signal.Stop(stop); close(stop) }
}
