package peers

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
	"paperpath/internal/submit"
	"paperpath/test/harness"
)

// After sessions that end in every way the server has no more goroutines and
// descriptors than before. It runs in this process, so that they can be counted.
func TestNothingLeaks(t *testing.T) {
	h := newHome(t)
	set(t, h, "concurrency", "mailsubmit: 500")
	events, err := os.Create(filepath.Join(h.Dir, "log", "here"))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	at := &home.Home{Place: rights.Place{Name: "mailsubmit", Dir: h.Dir}, Control: control.Open(h.Dir, time.Now),
		Log: maillog.To(events, "mailsubmit", time.Now)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	addr := h.Addr["mx"]
	go func() { done <- submit.Listen(ctx, at, submit.MX, []string{addr}, nil) }()
	awaitPort(t, "the server", addr)
	warm(t, addr)
	settle(t)
	goroutines, descriptors := runtime.NumGoroutine(), files(t, os.Getpid())
	for range 3 {
		breakOff(t, addr)
	}
	more := func() bool { return runtime.NumGoroutine() > goroutines || files(t, os.Getpid()) > descriptors }
	if err := harness.Wait("the sessions to end", time.Minute, func() bool { return !more() }); err != nil {
		stacks := make([]byte, 1<<20)
		t.Errorf("goroutines: %d before, %d now; descriptors: %d before, %d now\n%s", goroutines, runtime.NumGoroutine(),
			descriptors, files(t, os.Getpid()), stacks[:runtime.Stack(stacks, true)])
	}
	harness.Report("measured: after %d broken sessions: goroutines before %d, after %d; descriptors before %d, after %d",
		3*50*len(ends), goroutines, runtime.NumGoroutine(), descriptors, files(t, os.Getpid()))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if drafts := h.Glob("spool/*/tmp/*"); len(drafts) != 0 {
		t.Errorf("drafts are left: %q", drafts)
	}
}

// settle waits until the number of goroutines stays the same.
func settle(t *testing.T) {
	t.Helper()
	last, same := 0, 0
	if err := harness.Wait("goroutines to settle", time.Minute, func() bool {
		n := runtime.NumGoroutine()
		if n != last {
			last, same = n, 0
		}
		same++
		return same > 5
	}); err != nil {
		t.Fatal(err)
	}
}

// ends are what clients say before they close without a word.
var ends = []string{
	"",
	"EHLO client.example.org\r\n",
	"EHLO client.example.org\r\nMAIL FROM:<" + sender + ">\r\nRCPT TO:<" + alice + ">\r\n",
	"EHLO client.example.org\r\nMAIL FROM:<" + sender + ">\r\nRCPT TO:<" + alice + ">\r\nDATA\r\nSubject: cut\r\n\r\nhal",
	"EHLO client.example.org\r\nMAIL FROM:<" + sender + ">\r\nRCPT TO:<" + alice + ">\r\nBDAT 1000 LAST\r\nSubject: cut\r\n",
	"EHLO client.example.org\r\nSTARTTLS\r\n",
	"EHLO client.example.org\r\nSTARTTLS\r\n\x16\x03\x01\x02\x00\x01\x00garbage",
	"QUIT\r\n",
	strings.Repeat("x", 1<<16),
	strings.Repeat("WRONG\r\n", 30),
}

// breakOff holds 50 sessions for each of ends; half of them are reset.
func breakOff(t *testing.T, addr string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, said := range ends {
		for i := range 50 {
			wg.Go(func() {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				c.Write([]byte(said))
				if i%2 == 0 {
					c.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
			})
		}
	}
	wg.Wait()
}
