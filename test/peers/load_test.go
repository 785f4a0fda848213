package peers

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"paperpath/test/harness"
)

// mxAlone starts a system with nothing but the role mx, so that what it takes
// stays in the spool, and returns mailsubmit's process id.
func mxAlone(t *testing.T, h *harness.Home) int {
	t.Helper()
	set(t, h, "services", "mailsubmit smtp --role mx --listen "+h.Addr["mx"])
	return harness.Descendants(start(t, h).PID())[0]
}

// smtp-source sends with 100 sessions at once. Every message that was acknowledged is
// in the spool, and then in the mailbox, exactly once. The limit per client address
// does not hold it up: loopback has none.
func TestSMTPSource(t *testing.T) {
	const messages, sessions = 2000, 100
	h := newHome(t)
	set(t, h, "concurrency", "mailsubmit: 200", "client: 2")
	mxAlone(t, h)
	began := time.Now()
	smtpSource(t, h, sessions, messages, alice)
	harness.Report("measured: smtp-source, %d sessions at once: %d messages taken in %.1f s", sessions, messages, time.Since(began).Seconds())
	accepted, queued := len(h.Events("event=accepted")), len(h.Queued())
	if accepted != messages || queued != messages {
		t.Fatalf("sent %d, accepted %d, in the spool %d", messages, accepted, queued)
	}
	for _, stage := range []string{"mailroute", "maildeliver"} {
		if _, err := programs.Must(h.Dir, nil, stage, "run"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(arrived(h, "alice")); n != messages || len(h.Queued()) != 0 {
		t.Errorf("%d messages in the mailbox, %d left in the spool", n, len(h.Queued()))
	}
}

// A thousand connections at once, of which ten send an octet every five seconds: the
// others are through within two seconds on a quiet machine, and nothing stays open. What
// the test refuses is five times that, and if other processes take part of the machine's
// time, it grows by that part.
func TestThousandConnections(t *testing.T) {
	const all, slow = 1000, 10
	h := newHome(t)
	// One address cannot have the last tenth of all, and once four fifths are taken
	// slow clients have to hurry: see concurrency in control(5).
	set(t, h, "concurrency", fmt.Sprintf("mailsubmit: %d", all+all/3))
	pid := mxAlone(t, h)
	warm(t, h.Addr["mx"])
	descriptors, threads := files(t, pid), tasks(t, pid)
	stop := dribble(t, h.Addr["mx"], slow)
	t.Cleanup(stop)
	var late bool
	for round := 0; round == 0 || late && round < 5; round++ { // the test cannot know how busy a shared disk is
		before := usage(t, pid)
		took := rush(t, h.Addr["mx"], all-slow)
		spent := usage(t, pid).since(before)
		p99, limit := took[len(took)*99/100], time.Duration(float64(10*time.Second)/spent.share())
		late = p99 > limit
		harness.Report("measured: %d connections at once, %d of them slow: 99th percentile %.2f s (limit %.1f s: other processes have %.0f%% of the machine), median %.2f s, %.2f ms of CPU a message",
			all, slow, p99.Seconds(), limit.Seconds(), 100-100*spent.share(), took[len(took)/2].Seconds(), 10*spent.server/float64(len(took)))
	}
	if late {
		t.Error("the 99th percentile is late each time")
	}
	stop()
	if err := harness.Wait("descriptors to be closed", time.Minute, func() bool { return files(t, pid) <= descriptors }); err != nil {
		t.Errorf("%v: %d before, %d now", err, descriptors, files(t, pid))
	}
	harness.Report("measured: descriptors before %d, after %d; threads before %d, after %d; resident %.1f MiB, at most %.1f MiB",
		descriptors, files(t, pid), threads, tasks(t, pid), float64(harness.Resident(pid))/(1<<20), float64(harness.PeakResident(pid))/(1<<20))
	if n := len(h.Queued()); n%(all-slow) != 1 {
		t.Errorf("%d messages in the spool, want a multiple of %d and one", n, all-slow)
	}
}

// warm makes the server open what it keeps open.
func warm(t *testing.T, addr string) {
	t.Helper()
	if _, err := harness.SendMail(addr, sender, []string{alice}, letter("warm", "\nx\n")); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, pid int) int { return entries(t, fmt.Sprintf("/proc/%d/fd", pid)) }
func tasks(t *testing.T, pid int) int { return entries(t, fmt.Sprintf("/proc/%d/task", pid)) }

func entries(t *testing.T, dir string) int {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// dribble opens n sessions that send an octet of a command every five seconds,
// until stop is called.
func dribble(t *testing.T, addr string, n int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			tick := time.NewTicker(5 * time.Second)
			defer tick.Stop()
			for _, octet := range []byte("EHLO slow.example.org\r\nMAIL FROM:<" + sender + ">\r\n") {
				if _, err := c.Write([]byte{octet}); err != nil {
					t.Error("a slow session was closed:", err)
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// rush sends n messages over n connections that are all open at the same time
// and returns how long each session took from its connection to its end.
func rush(t *testing.T, addr string, n int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			began := time.Now()
			_, errs[i] = harness.SendMail(addr, sender, []string{alice}, letter("rush", "\nhello\n"))
			took[i] = time.Since(began)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	return took
}
