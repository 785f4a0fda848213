package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paperpath/internal/clock"
	"paperpath/test/harness"
)

// stages are the inboxes in the reverse order of the paper path: what a crash has left
// on both sides of a step is worked on at the far side first, which is when a repeat
// would show.
var stages = []struct{ inbox, program string }{
	{"relay", "mailrelay"}, {"deliver", "maildeliver"}, {"route", "mailroute"}, {"check", "mailcheck"},
}

// drain runs the stages until nothing is queued. Time passes between: what is
// deferred is due.
func (w *world) drain() error {
	start := time.Now()
	for round := 1; ; round++ {
		idle := true
		for _, s := range stages {
			if len(w.entries(s.inbox)) == 0 && len(w.complete(s.inbox)) == 0 {
				continue
			}
			idle = false
			w.oldLocks()
			if err := w.awaitLinks(s.inbox); err != nil {
				return err
			}
			if err := w.work(s.program, start.Add(time.Duration(round)*5*time.Hour)); err != nil {
				return err
			}
		}
		if idle {
			return w.clean(start.Add(100 * time.Hour))
		}
		if round == 8 {
			return fmt.Errorf("stuck after %d rounds: %s: %s", round, strings.Join(w.entries("check", "route", "deliver", "relay"), " "),
				w.reason("check", "route", "deliver", "relay"))
		}
	}
}

// awaitLinks waits until entries that a power cut has left under two names are
// old enough for one of them to go.
func (w *world) awaitLinks(inbox string) error {
	return harness.Wait("old links", time.Minute, func() bool {
		for _, path := range w.entries(inbox) {
			var st syscall.Stat_t
			if syscall.Lstat(path, &st) == nil && st.Nlink == 2 && time.Since(time.Unix(st.Ctim.Unix())) < 2*time.Second {
				return false
			}
		}
		return true
	})
}

// digested keeps the daily digest of hold/ away from a run at that time: no
// scenario is about it, and the time goes in strides here.
func (w *world) digested(at time.Time) {
	path := filepath.Join(w.home, "run", "digest")
	if os.WriteFile(path, []byte("x\n"), 0o600) == nil {
		os.Chtimes(path, at, at)
	}
}

// work runs a stage once, at a shifted time.
func (w *world) work(program string, at time.Time) error {
	w.digested(at)
	if err := w.hand(); err != nil {
		return err
	}
	name, args := w.command(program, "run", "--now", at.UTC().Format(time.RFC3339))
	r, err := w.programs.Run(w.home, nil, name, args...)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("exit status %d: %.300s", r.Status, r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("%s run without faults: %w", program, err)
	}
	return nil
}

// clean runs each stage whose inbox holds drafts or reasons, at a time when all of them
// are old, by a clock that got there without a step, and says what its cleaner has
// left.
func (w *world) clean(at time.Time) error {
	left := func(inbox string) (all []string) {
		for _, sub := range []string{"tmp", "reason"} {
			names, _ := filepath.Glob(filepath.Join(w.home, "spool", inbox, sub, "*"))
			all = append(all, names...)
		}
		return all
	}
	for _, s := range stages {
		if len(left(s.inbox)) == 0 {
			continue
		}
		if err := errors.Join(w.recordClock(at), w.work(s.program, at)); err != nil {
			return err
		}
		if rest := left(s.inbox); len(rest) > 0 {
			return fmt.Errorf("the cleaner leaves %s", strings.Join(rest, " "))
		}
	}
	if made := w.entries("check", "route", "deliver", "relay"); len(made) > 0 {
		return fmt.Errorf("the cleaner takes for an entry what is not complete: %s", strings.Join(made, " "))
	}
	return nil
}

// recordClock makes the home believe that at is the time.
func (w *world) recordClock(at time.Time) error {
	err := os.Remove(filepath.Join(w.home, clock.Record))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, clock.Begin(w.home, at))
}
