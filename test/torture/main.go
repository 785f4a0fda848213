// Torture tests the promise of the programs: an acknowledged message arrives,
// whatever happens in between. It prints a table and, at the end, a line of
// counts; the exit status is 1 if anything failed or, with CI=true, if anything
// was skipped.
//
// The scenarios (scenario.go) are the steps of a message on its way. Option
// -kinds selects what is done to them, -only the scenarios or defects by part of a name:
//
//	order    a step makes its calls in the order that its acknowledgement needs
//	kill     SIGKILL before each state-changing call
//	error    each call fails, with each of six errors
//	cut      the power is cut before each state-changing call, spool and
//	         mailboxes on one image and on two ("cut ext4", "cut ext4 x2", ...)
//	sync     what accepting syncs on each kind of file system, and in which order
//	poison   files that are not entries, stages that panic, torn entries
//	model    internal/spool against its model
//	race     a step stops before each change while a competing program does all its work
//	crowd    programs built with the race detector, all at full speed
//	full     file systems without space, without inodes
//	large    100,000 deferred entries
//	variant  programs with a defect: the kinds named in variant.go must fail
//
// A row counts points, one for each try: the message was there once, twice (a
// failure unless spool(5) names the window), lost, torn, or something else was
// wrong.
//
// With -quick, an error sweep tries one error at each call that changes something and at
// each fourth that only reads; the power is cut before every second change, on one of the six
// arrangements of images a scenario, in turn, and in one of the ways in which the disk may
// be ahead; half of the rivals take turns before each change; and each crowd runs 20 rounds
// instead of 500.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"paperpath/test/harness"
)

// config is what was asked for.
type config struct {
	only    string // part of a row's name
	kinds   string // parts to run, comma-separated; "" is all
	workers int
	quick   bool
	errors  int // errno values a call; 0 is all
	near    string
}

func main() {
	if err := alone(); err != nil {
		fmt.Fprintln(os.Stderr, "torture: no mounts of its own, others may keep them:", err)
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	var c config
	f := flag.NewFlagSet("torture", flag.ContinueOnError)
	f.StringVar(&c.kinds, "kinds", os.Getenv("TORTURE_KINDS"), "comma-separated `KINDS` of test; empty is all")
	f.StringVar(&c.only, "only", os.Getenv("TORTURE_ONLY"), "only scenarios with `TEXT` in their name")
	f.IntVar(&c.workers, "j", 2*runtime.NumCPU(), "points at once")
	f.BoolVar(&c.quick, "quick", os.Getenv("TORTURE_QUICK") != "", "fewer errors, power cuts, rivals and rounds of crowds")
	f.IntVar(&c.errors, "errors", 0, "errors tried at a call, `N` of six; 0 is all")
	f.StringVar(&c.near, "dir", "/dev/shm", "`DIRECTORY` for homes, best in memory")
	if f.Parse(args) != nil {
		return 64
	}
	if c.quick && c.errors == 0 {
		c.errors = 1
	}
	start := time.Now()
	t := &table{out: os.Stdout}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := c.torture(ctx, t)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return 75
	}
	fmt.Fprintf(t.out, "in %v\n", time.Since(start).Round(time.Second))
	t.end()
	if t.failed > 0 || t.skipped > 0 && os.Getenv("CI") == "true" {
		return 1
	}
	return 0
}

// wants reports whether the kind of test was asked for.
func (c *config) wants(kind string) bool {
	if c.kinds == "" {
		return true
	}
	for _, k := range strings.Split(c.kinds, ",") {
		if k == kind {
			return true
		}
	}
	return false
}

func (c *config) torture(ctx context.Context, t *table) error {
	near, err := os.MkdirTemp(c.near, "paperpath-torture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(near)
	far, err := os.MkdirTemp("", "paperpath-torture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(far)
	for _, dir := range []string{near, far} {
		if err := os.Chmod(dir, 0o711); err != nil { // other users pass through
			return err
		}
	}
	bin := filepath.Join(near, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	programs, err := harness.Build(bin)
	if err != nil {
		return err
	}
	p, err := newPool(ctx, programs, near, far, c.workers)
	if err != nil {
		return err
	}
	all := scenarios()
	if err := checkTable(all); err != nil {
		return err
	}
	t.head()
	if err := canTrace(p.all[0].tracer); err != nil {
		t.skip("all that is traced", err.Error())
		if c.wants("poison") {
			t.row(poisonRow(p))
		}
		return nil
	}
	return c.parts(t, p, all)
}

// kind is a kind of test that every scenario goes through.
type kind struct {
	name string
	run  func(*pool, *scenario) *row
}

func (c *config) sweeps() []kind {
	return []kind{
		{"order", lintScenario},
		{"kill", killSweep},
		{"error", func(p *pool, s *scenario) *row { return failSweep(p, s, c.errors) }},
	}
}

// cuts returns the power cuts that this machine can do; the others are
// skipped.
func (c *config) cuts(t *table, p *pool) (all []*powerCut) {
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		for _, two := range []bool{false, true} {
			name := (&powerCut{fs: fs, two: two}).name()
			if !c.wants("cut") && !c.wants(name) && !(c.wants("variant") && name == "cut ext4") {
				continue
			}
			cut, err := newPowerCut(p, fs, two, c.quick)
			if err != nil {
				t.skip(name, err.Error())
				continue
			}
			all = append(all, cut)
		}
	}
	return all
}

func (c *config) parts(t *table, p *pool, all []scenario) error {
	cuts, kinds := c.cuts(t, p), c.sweeps()
	for _, cut := range cuts {
		defer cut.close()
		kinds = append(kinds, kind{cut.name(), cut.sweep})
	}
	var torn func() *row
	if c.wants("poison") && c.only == "" {
		torn = tornRow(p)
	}
	for _, k := range kinds {
		all := c.share(k, cuts, all)
		for i := range all {
			if strings.Contains(all[i].name, c.only) && p.ctx.Err() == nil {
				t.row(k.run(p, &all[i]))
			}
		}
	}
	if c.wants("sync") && c.only == "" {
		syncRows(t, p)
	}
	if c.wants("poison") && c.only == "" {
		t.row(poisonRow(p))
		t.row(panicRow(p))
		t.row(torn())
	}
	if c.wants("model") && c.only == "" {
		t.row(modelRow(c.quick))
	}
	if c.wants("race") {
		raceRows(t, p, all, c.only, c.quick)
	}
	if c.wants("crowd") {
		crowdRows(t, p, c.rounds(), c.only)
	}
	if c.wants("full") && c.only == "" {
		for _, f := range fulls() {
			fullRow(t, p, f)
		}
		fullSplitRow(t, p)
	}
	if c.wants("large") && c.only == "" {
		largeRow(t, p)
	}
	if c.wants("variant") {
		for _, cut := range cuts {
			cut.quick = false // what a defect does may show in one of the ways alone
		}
		return variantRows(t, p, kinds, all, c.only)
	}
	return nil
}

// share returns the scenarios that go through a kind of test: all, none if it was not
// asked for, and with -quick those whose turn it is on an arrangement of images.
func (c *config) share(k kind, cuts []*powerCut, all []scenario) (some []scenario) {
	at := slices.IndexFunc(cuts, func(cut *powerCut) bool { return cut.name() == k.name })
	if !c.wants(k.name) && !(c.wants("cut") && at >= 0) {
		return nil
	}
	if !c.quick || at < 0 {
		return all
	}
	for i := range all {
		if i%len(cuts) == at {
			some = append(some, all[i])
		}
	}
	return some
}

// rounds is how many rounds each crowd runs.
func (c *config) rounds() int {
	if c.quick {
		return 20
	}
	return 500
}

// modelRow runs internal/spool against its model, longer than make check does.
func modelRow(quick bool) *row {
	r := &row{name: "model: random operations on internal/spool"}
	checks := "-rapid.checks=150"
	if quick {
		checks = "-rapid.checks=50"
	}
	root, err := moduleRoot()
	if err == nil {
		cmd := exec.Command("go", "test", "-count=1", "./internal/spool", "-run", "^TestModel$", checks, "-rapid.nofailfile")
		cmd.Dir = root
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %.3000s", err, out)
		}
	}
	if err != nil {
		r.fail("go test", err)
		return r
	}
	r.add(finding{}, false, "")
	return r
}
