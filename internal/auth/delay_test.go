package auth

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/ratelimit"
)

// clocked is delays with a stopped clock; it records their waits.
type clocked struct {
	*delays
	now   time.Time
	waits []time.Duration
}

func newClocked(path string) *clocked {
	c := &clocked{now: time.Unix(1_700_000_000, 0)}
	c.delays = newDelays(ratelimit.OpenWithFallback(path, func(error) {}), func() time.Time { return c.now })
	c.wait = func(_ context.Context, d time.Duration) { c.waits = append(c.waits, d) }
	return c
}

// fail returns how long a wrong login waits.
func (c *clocked) fail(client, account string) time.Duration {
	c.waits = nil
	c.Failed(context.Background(), client, account)
	if len(c.waits) != 1 {
		return -1
	}
	return c.waits[0]
}

func TestDelayGrows(t *testing.T) {
	for name, path := range map[string]string{
		"on disk":                filepath.Join(t.TempDir(), "tally"),
		"in memory":              "/proc/nowhere/tally",
		"no regular file":        "/dev/null",
		"a directory in its way": t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(path)
			for i, want := range []time.Duration{500, 1000, 2000, 4000, 4000, 4000} {
				if got := c.fail("192.0.2.1", fmt.Sprint("user", i)); got != want*time.Millisecond {
					t.Errorf("client's wrong login %d waits %v", i+1, got)
				}
			}
			for i, want := range []time.Duration{500, 1000, 2000, 4000, 4000} {
				if got := c.fail(fmt.Sprintf("198.51.100.%d", i), "Alice@Example.ORG"); got != want*time.Millisecond {
					t.Errorf("account's wrong login %d waits %v", i+1, got)
				}
			}
			if got := c.fail("", "alice@example.org"); got != maxDelay {
				t.Errorf("on a Unix socket: %v", got)
			}
			if got := c.fail("192.0.2.2", "bob@example.org"); got != firstDelay {
				t.Errorf("another client and account: %v", got)
			}
			c.fail("2001:db8::1", "u1")
			c.fail("2001:db8::2", "u2")
			if got := c.fail("2001:db8:0:0:ffff::3", "u3"); got != 4*firstDelay {
				t.Errorf("the same /64: %v", got)
			}
			if got := c.fail("2001:db8:0:1::3", "u4"); got != firstDelay {
				t.Errorf("another /64: %v", got)
			}
		})
	}
}

func TestDelayForgets(t *testing.T) {
	c := newClocked(filepath.Join(t.TempDir(), "tally"))
	for range 100 {
		c.fail("192.0.2.1", "alice")
	}
	c.now = c.now.Add(forgetAfter * 2)
	if got := c.fail("192.0.2.1", "alice"); got != maxDelay {
		t.Errorf("after %v: %v", 2*forgetAfter, got)
	}
	c.now = c.now.Add(forgetAfter * 5)
	if got := c.fail("192.0.2.1", "alice"); got != firstDelay {
		t.Errorf("after an hour: %v", got)
	}
	c.now = c.now.Add(-24 * time.Hour) // the clock is set back
	if got := c.fail("192.0.2.1", "alice"); got != 2*firstDelay {
		t.Errorf("in the past: %v", got)
	}
}

// The table stays small, no matter which names are tried.
func TestDelayIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tally")
	c := newClocked(path)
	c.fail("192.0.2.1", strings.Repeat("../\x00\n", 1<<16))
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		c.fail("", fmt.Sprint("x", i))
	}
	if after, err := os.Stat(path); err != nil || after.Size() != before.Size() {
		t.Error(after, err)
	}
}

// Processes of one session each, as inetd starts them, count together.
func TestDelayAcrossProcesses(t *testing.T) {
	const env = "PAPERPATH_TEST_DELAY"
	if path := os.Getenv(env); path != "" {
		fmt.Println("waits", newClocked(path).fail("192.0.2.1", "alice"))
		return
	}
	path := filepath.Join(t.TempDir(), "tally")
	for _, want := range []string{"500ms", "1s", "2s", "4s", "4s"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDelayAcrossProcesses$")
		cmd.Env = append(os.Environ(), env+"="+path)
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "waits "+want+"\n") {
			t.Errorf("%q, %v, want %s", out, err, want)
		}
	}
}

// The wait ends with the server.
func TestDelayEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := newDelays(ratelimit.OpenWithFallback("/proc/nowhere/tally", func(error) {}), time.Now)
	start := time.Now()
	for range 8 {
		d.Failed(ctx, "192.0.2.1", "alice")
	}
	if took := time.Since(start); took > maxDelay {
		t.Error(took)
	}
}
