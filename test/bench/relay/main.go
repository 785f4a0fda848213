// Relay compares mailrelay with Postfix: both have a full queue and send it to the same
// sink, in turn, on the same machine. It prints a table of medians and of the ratio for
// each pair of runs, and writes a line of JSON for each measurement. It needs root, as
// Postfix does, and Postfix from test/peers/fetch.sh.
//
// The exit status is 1 if a message did not arrive, or not just once, or if mailrelay
// breaks a bound that does not depend on the machine; noise alone does not fail it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"paperpath/test/harness"
)

// comparison is what was asked for, and what there is.
type comparison struct {
	short    bool
	chunking bool
	only     string
	pairs    int
	dir      string
	lines    string

	programs harness.Programs
	sink     *sink
	postfix  *postfix
	routes   []string
	json     *os.File
	table    table
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	c := &comparison{table: table{out: os.Stdout}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&c.short, "short", false, "at most a minute: fewer messages, one pair")
	f.BoolVar(&c.chunking, "chunking", true, "the sink offers CHUNKING, which only mailrelay uses")
	f.StringVar(&c.only, "only", "", "only rows with `TEXT` in their name")
	f.IntVar(&c.pairs, "pairs", 3, "measurements of each server in a row")
	f.StringVar(&c.dir, "dir", os.TempDir(), "`DIRECTORY` for the queues")
	f.StringVar(&c.lines, "json", ".build/bench-relay.json", "`FILE` for a line of JSON for each measurement")
	if f.Parse(args) != nil {
		return 64
	}
	if c.short {
		c.pairs = 1
	}
	if missing := missing(); missing != "" {
		fmt.Println("bench: nothing was compared. MISSING:", missing)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	begin := time.Now()
	if err := c.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	fmt.Printf("in %v; each measurement: %s\n", time.Since(begin).Round(time.Second), c.lines)
	if !c.table.end() {
		return 1
	}
	return 0
}

// missing is what the machine lacks.
func missing() string {
	if os.Getuid() != 0 {
		return "root, for Postfix"
	}
	if harness.Unpacked("postfix") == "" {
		return "postfix (test/peers/fetch.sh)"
	}
	return ""
}

func (c *comparison) run() error {
	dir, err := os.MkdirTemp(c.dir, "paperpath-bench")
	if err != nil {
		return err
	}
	c.dir = dir
	defer os.RemoveAll(dir)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		if c.postfix != nil {
			c.postfix.server.Stop()
		}
		os.RemoveAll(dir)
		os.Exit(75)
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // Postfix's processes are somebody else
		return err
	}
	if c.programs, err = harness.Build(dir); err != nil {
		return err
	}
	if c.json, err = os.Create(c.lines); err != nil {
		return err
	}
	defer c.json.Close()
	transports, err := c.hosts()
	if err != nil {
		return err
	}
	defer c.sink.close()
	if c.postfix, err = newPostfix(filepath.Join(dir, "postfix"), transports); err != nil {
		return err
	}
	defer func() { c.postfix.server.Stop() }()
	return c.compare()
}

// compare measures the rows.
func (c *comparison) compare() error {
	fmt.Printf(`# Postfix 3.7 and mailrelay, %d processors; medians of %d pairs in turn, sink on the same machine
# the queue is full and synced before the clock starts; the clock stops when the sink has all of it
# Postfix's settings stand in test/bench/relay/postfix.go; both have a table (transport_maps,
# control/routes) with an address and a port for each domain, and ask no DNS; pairs are ours/theirs
`, runtime.NumCPU(), c.pairs)
	c.table.head()
	for _, r := range rows(c.short) {
		if !strings.Contains(r.name, c.only) {
			continue
		}
		if err := c.pairsOf(r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

func (c *comparison) pairsOf(r *row) error {
	var ours, theirs []result
	for i := range c.pairs {
		x, err := r.ours(c, r, i)
		if err != nil {
			return err
		}
		y, err := r.theirs(c, r, i)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, x), append(theirs, y)
		if err := errors.Join(c.note(x), c.note(y)); err != nil {
			return err
		}
	}
	c.table.add(r, ours, theirs)
	return nil
}

// note writes a line of JSON.
func (c *comparison) note(x result) error { return json.NewEncoder(c.json).Encode(x) }
