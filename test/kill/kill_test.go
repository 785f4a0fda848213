// Package kill ends stages with SIGKILL at random moments while mail flows, and
// then tests the promise of the system: an acknowledged message arrives.
//
// KILLS sets the number of kills (default 40), PAPERPATH_SEED repeats the choices
// of a run; the moments themselves depend on the machine.
package kill

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

func number(name string, def int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return def
}

// elsewhere is the address that goes to the next host.
const elsewhere = "far@elsewhere.example"

// newHome has two mailboxes, a route to the sink, and aliases that split: a
// local one, a mixed one, and one for a remote address alone.
func newHome(t *testing.T, sink *harness.Sink) *harness.Home {
	t.Helper()
	h, err := programs.NewHome(t.TempDir()+"/home", "alice", "bob")
	if err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string][]string{
		"aliases": {"both: alice, bob", "all: alice, bob, " + elsewhere, "away: " + elsewhere},
		"routes":  {"elsewhere.example: " + sink.Addr},
		"retry":   {"steps: 1s"},
		"checks":  {"from: hold"},
	} {
		if err := h.Set(name, rows...); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestKill(t *testing.T) {
	kills, seed := int(number("KILLS", 40)), number("PAPERPATH_SEED", time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	t.Logf("KILLS=%d PAPERPATH_SEED=%d", kills, seed)
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	h := newHome(t, sink)
	f := newFlow(h, uint64(seed))
	system := startSystem(t, h)
	f.begin()
	killed := victims{ever: map[string]int{}, now: map[string]int{}}
	for n := range kills {
		system = killOne(t, h, system, f, rnd, killed)
		time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond) // the random moment is the test
		if n%40 == 39 {
			t.Logf("%d kills, %d messages acknowledged", n+1, f.count())
		}
	}
	f.end()
	system.Kill()
	drain(t, h)
	check(t, h, sink, f, killed.ever)
}

func startSystem(t *testing.T, h *harness.Home) *harness.System {
	t.Helper()
	s, err := h.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// victims counts the processes that were killed, by name: ever, and below mailctl since that was
// started.
type victims struct{ ever, now map[string]int }

// mayAllWait reports whether mailctl may be waiting to start every service again: it waits a second
// after the first end, twice as long each time, and a minute at most.
func (v victims) mayAllWait() bool {
	often := 0
	for _, n := range v.now {
		if n >= 3 { // 4 s
			often++
		}
	}
	return often >= 3
}

// killOne kills one process of the system at random: a stage, a server, a
// mailsubmit that reads stdin, or, one time in sixteen, mailctl and all below
// it, which is then started again.
func killOne(t *testing.T, h *harness.Home, s *harness.System, f *flow, rnd *rand.Rand, killed victims) *harness.System {
	t.Helper()
	if rnd.IntN(16) == 0 {
		return killAll(t, h, s, killed)
	}
	candidates, patience := func() []int { return harness.Descendants(s.PID()) }, time.Minute
	submitter, mayAllWait := rnd.IntN(4) == 0, killed.mayAllWait()
	switch {
	case submitter:
		candidates = f.submitters
	case mayAllWait:
		patience = 5 * time.Second
	}
	err := harness.Wait("a process to kill", patience, func() bool {
		pids := candidates()
		if len(pids) == 0 {
			return false
		}
		pid := pids[rnd.IntN(len(pids))]
		name := process(pid)
		if name == "" || syscall.Kill(pid, syscall.SIGKILL) != nil {
			return false // it has ended by itself
		}
		killed.ever[name]++
		if !submitter {
			killed.now[name]++
		}
		return true
	})
	if err != nil && !submitter && mayAllWait {
		return killAll(t, h, s, killed)
	}
	if err != nil {
		t.Fatalf("%v (killed since the start: %v)\n%s", err, killed.now, h.Describe())
	}
	return s
}

// killAll kills mailctl and all below it, and starts it again.
func killAll(t *testing.T, h *harness.Home, s *harness.System, killed victims) *harness.System {
	t.Helper()
	s.Kill()
	clear(killed.now)
	killed.ever["all"]++
	return startSystem(t, h)
}

// process returns the program and its verb.
func process(pid int) string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	words := strings.Split(string(text), "\x00")
	name := words[0][strings.LastIndex(words[0], "/")+1:]
	if len(words) > 1 && !strings.HasPrefix(words[1], "-") {
		name += " " + words[1]
	}
	return name
}

// drain starts the system once more and waits until nothing is queued: for longer than the minute
// for which a host that could not be reached once is left alone.
func drain(t *testing.T, h *harness.Home) {
	t.Helper()
	s := startSystem(t, h)
	err := harness.Wait("an empty queue", 3*time.Minute, func() bool { return len(h.Queued()) == 0 })
	if err != nil {
		t.Fatalf("%v\n%s", err, h.Describe())
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	inHold(t, h) // nothing else is held
}
