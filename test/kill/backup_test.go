package kill

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// A home is copied while mail flows through it and entries are moved to and fro; what was
// acknowledged before is in the copy, or has reached the next host.
func TestBackup(t *testing.T) {
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	h := newHome(t, sink)
	f := newFlow(h, uint64(time.Now().UnixNano()))
	system := startSystem(t, h)
	f.begin()
	stop, moved := make(chan struct{}), make(chan struct{})
	go moveToAndFro(h, stop, moved)
	const copies = 4
	var before [copies]map[string][]string
	for n := range copies {
		if err := harness.Wait("more mail", time.Minute, func() bool { return f.count() >= 60*(n+1) }); err != nil {
			t.Fatal(err)
		}
		before[n] = f.snapshot()
		dir := copyOf(h, n)
		if _, err := programs.Must(h.Dir, nil, "mailctl", "backup", dir); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-moved
	f.end()
	if err := system.Stop(); err != nil {
		t.Error(err)
	}
	for n := range copies {
		checkCopy(t, h, sink, f, n, before[n])
	}
}

func copyOf(h *harness.Home, n int) string { return fmt.Sprintf("%s.%d", h.Dir, n) }

// snapshot returns what has been acknowledged so far.
func (f *flow) snapshot() map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.acknowledged)
}

// moveToAndFro moves entries backward along the path until stop.
func moveToAndFro(h *harness.Home, stop, done chan struct{}) {
	defer close(done)
	for {
		for _, verb := range []string{"hold", "release", "reroute"} {
			select {
			case <-stop:
				programs.Run(h.Dir, nil, "mailctl", "queue", "release", "--all")
				return
			default:
				programs.Run(h.Dir, nil, "mailctl", "queue", verb, "--all")
			}
		}
	}
}

// checkCopy verifies a copy, and runs it until its queue is empty.
func checkCopy(t *testing.T, h *harness.Home, sink *harness.Sink, f *flow, n int, before map[string][]string) {
	t.Helper()
	c := &harness.Home{Dir: copyOf(h, n), Programs: h.Programs, Addr: h.Addr}
	if _, err := programs.Must(c.Dir, nil, "mailctl", "backup", "verify", c.Dir); err != nil {
		t.Error(err)
	}
	queued := len(c.Queued())
	if _, err := programs.Must(c.Dir, nil, "mailctl", "queue", "release", "--all"); err != nil {
		t.Error(err)
	}
	drain(t, c)
	found := map[string]map[string]int{elsewhere: atSink(t, sink, f)}
	for _, user := range []string{"alice", "bob"} {
		found[user] = inMailbox(t, c.Mailbox(user))
	}
	found[held] = inHold(t, c)
	for token, n := range found["alice"] { // to whom what was held in the copy has been released
		if strings.Contains(token, held) {
			found[held][token] += n
		}
	}
	lost, doubled := 0, 0
	for token, boxes := range before {
		for _, box := range boxes {
			switch got := found[box][token]; {
			case got == 0:
				lost++
				t.Errorf("copy %d: %s was acknowledged before it, but is not in %s", n, token, box)
			case got > 1 && box != elsewhere:
				doubled++
				t.Errorf("copy %d: %s is %d times in %s", n, token, got, box)
			}
		}
	}
	harness.Report("measured: mailctl backup under load: %d messages acknowledged before, %d entries under way, %d lost, %d doubled in mailboxes",
		len(before), queued, lost, doubled)
}
