package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// The promises about a queue of this many deferred entries.
const (
	deferred   = 100000
	pairs      = 5
	tries      = 3               // of all pairs, and of a start
	messages   = 4               // in each half of a pair
	maxRatio   = 1.25            // of the time that a new message takes, median of the pairs
	maxStart   = 5 * time.Second // a fifth of a second on a quiet machine; the best of some tries
	maxMemory  = 120 << 20       // usually 50 MiB
	largeImage = 3 << 30
)

// largeRow compares a home with many deferred entries with an empty one.
func largeRow(t *table, p *pool) {
	w := <-p.workers
	defer func() { p.workers <- w }()
	fs := fileSystems["ext4"]
	fs.size = largeImage
	i, err := newImage(w.near, "large", fs, "-N", "300000")
	if err != nil {
		t.skip("large queue", err.Error())
		return
	}
	defer i.close()
	r := &row{name: fmt.Sprintf("large: %d deferred entries", deferred)}
	if err := largeRun(t, w, i.mount, r); err != nil {
		r.fail("on ext4", err)
	}
	t.row(r)
}

func largeRun(t *table, wk *worker, dir string, r *row) error {
	template, err := wk.pool.template(&scenario{})
	if err != nil {
		return err
	}
	var homes [2]*world // empty, full
	for i, name := range []string{"empty", "full"} {
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			return err
		}
		if homes[i], err = openWorld(wk.pool.programs, template, sub, sub); err != nil {
			return err
		}
		homes[i].tracer = wk.tracer
	}
	if err := homes[1].deferMany(deferred); err != nil {
		return err
	}
	if err := sameCalls(homes[0], homes[1]); err != nil {
		r.fail("system calls", err)
	} else {
		r.add(finding{}, false, "")
	}
	ratio, err := compareTimes(homes[0], homes[1])
	for try := 1; err == nil && ratio > maxRatio && try < tries; try++ { // a busy machine, perhaps
		ratio, err = compareTimes(homes[0], homes[1])
	}
	check := func(ok bool, format string, args ...any) {
		f := finding{}
		if !ok {
			f = finding{wrong, fmt.Sprintf(format, args...)}
		}
		r.add(f, false, "limit")
	}
	if err != nil {
		return err
	}
	check(ratio <= maxRatio, "a new message takes %.2f times as long", ratio)
	start, memory, err := homes[1].firstAttempt()
	for try := 1; err == nil && start > maxStart && try < tries; try++ {
		var again time.Duration
		var peak int64
		again, peak, err = homes[1].firstAttempt()
		start, memory = min(start, again), max(memory, peak)
	}
	if err != nil {
		return err
	}
	check(start <= maxStart, "mailrelay run begins after %v", start)
	check(memory <= maxMemory, "mailrelay run takes %d MiB", memory>>20)
	watching, err := homes[1].watchMemory()
	if err != nil {
		return err
	}
	check(watching <= maxMemory, "mailrelay watch takes %d MiB", watching>>20)
	fmt.Fprintf(t.out, "    measured: %d deferred: a new message takes %.2f times as long, mailrelay run begins after %v and takes %d MiB, watch %d MiB\n",
		deferred, ratio, start.Round(time.Millisecond), memory>>20, watching>>20)
	return nil
}

// deferMany makes n entries that wait in relay/ for half an hour.
func (w *world) deferMany(n int) error {
	due := time.Now().Add(30 * time.Minute)
	inbox := filepath.Join(w.home, "spool/relay")
	for i := range n {
		key := fmt.Sprintf("1764000000.M%06dR%016x.mx", i%1000000, i)
		text := "Return-Path: <bob@example.net>\nDelivered-To: x@elsewhere.example\nReceived: by mx.example.net\n with local id " +
			key + "; Mon, 23 Nov 2026 12:00:00 +0000\nSubject: token-x\n\n"
		if err := os.WriteFile(filepath.Join(inbox, "cur", sized(key, text)+":2,"), []byte(text), 0o600); err != nil {
			return err
		}
		reason := filepath.Join(inbox, "reason", key)
		if err := os.WriteFile(reason, []byte("relay 2026-11-23T12:00:00Z deferred: not now\n"), 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(reason, due, due); err != nil {
			return err
		}
	}
	return nil
}

// wholePath returns the steps of a new message for a local mailbox.
func wholePath() []scenario {
	return []scenario{
		{program: "mailsubmit", args: fixed("-f", "bob@example.net", "alice@example.net"), input: letter(token, small)},
		{program: "mailcheck", args: fixed("run")},
		{program: "mailroute", args: fixed("run")},
		{program: "maildeliver", args: fixed("run")},
	}
}

// sameCalls compares the system calls that a new message takes in the two homes. In
// either home their number may vary by one or two with threads and time, but in a few
// rounds each program must make the same calls in both at least once.
func sameCalls(empty, full *world) error {
	seen := map[string][2]map[string]bool{}
	for range 6 {
		alike := true
		for _, s := range wholePath() {
			if seen[s.program][0] == nil {
				seen[s.program] = [2]map[string]bool{{}, {}}
			}
			for j, w := range []*world{empty, full} {
				names, err := w.callNames(&s)
				if err != nil {
					return err
				}
				seen[s.program][j][names] = true
			}
			alike = alike && meet(seen[s.program])
		}
		if alike {
			return nil
		}
	}
	for _, s := range wholePath() {
		if !meet(seen[s.program]) {
			return fmt.Errorf("%s makes other calls beside many entries than in an empty home", s.program)
		}
	}
	return nil
}

// callNames are the calls of a step on its home, sorted.
func (w *world) callNames(s *scenario) (string, error) {
	r, err := w.step(s, func(*call) act { return act{} })
	var names []string
	for _, c := range r.calls {
		if w.holds(c.path) {
			names = append(names, c.name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " "), err
}

func meet(sets [2]map[string]bool) bool {
	for s := range sets[0] {
		if sets[1][s] {
			return true
		}
	}
	return false
}

// compareTimes returns the median of the ratios of some interleaved pairs.
func compareTimes(empty, full *world) (float64, error) {
	var ratios []float64
	for range pairs {
		var took [2]time.Duration
		for j, w := range []*world{empty, full} {
			start := time.Now()
			for _, s := range slices.Repeat(wholePath(), messages) {
				if _, err := w.programs.Must(w.home, strings.NewReader(string(s.input)), s.program, s.args(w)...); err != nil {
					return 0, err
				}
			}
			took[j] = time.Since(start)
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2], nil
}

// firstAttempt lets mailrelay run over the queue with one new entry in it, and
// returns how long that took to reach the next host and the peak of memory.
func (w *world) firstAttempt() (time.Duration, int64, error) {
	if _, err := w.put(spool.InboxRelay, "token-new", to(elsewhere)...); err != nil {
		return 0, 0, err
	}
	cmd := exec.Command(w.programs.Path("mailrelay"), "run")
	cmd.Env = w.programs.Env(w.home)
	before, start := len(w.sink.Received()), time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var arrived time.Duration
	var peak int64
	// What the kernel reports at the end includes the parent before exec.
	err := harness.Wait("mailrelay run", patience, func() bool {
		if arrived == 0 && len(w.sink.Received()) > before {
			arrived = time.Since(start)
		}
		peak = max(peak, harness.PeakResident(cmd.Process.Pid))
		return len(ended) > 0
	})
	if err == nil {
		err = <-ended
	}
	if arrived == 0 {
		err = errors.Join(err, errors.New("the new message did not reach the next host"))
	}
	return arrived, peak, err
}

// watchMemory returns the peak of memory of a mailrelay that watches the queue,
// once it has looked at all of it and has nothing to do.
func (w *world) watchMemory() (int64, error) {
	cmd := exec.Command(w.programs.Path("mailrelay"), "watch")
	cmd.Env = w.programs.Env(w.home)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	still, last := 0, ""
	err := harness.Wait("mailrelay watch to come to rest", patience, func() bool {
		now := processorTime(cmd.Process.Pid)
		if still++; now != last {
			still, last = 0, now
		}
		return still > 10 && strings.Contains(w.log(), "prog=mailrelay event=watching")
	})
	peak := harness.PeakResident(cmd.Process.Pid)
	cmd.Process.Signal(syscall.SIGTERM)
	return peak, errors.Join(err, cmd.Wait())
}

// processorTime is what a process has used, as the kernel writes it.
func processorTime(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	if words := strings.Fields(rest); len(words) > 12 {
		return words[11] + " " + words[12]
	}
	return ""
}
