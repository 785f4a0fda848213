package measure

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// number is how many there are to be of something, as an environment variable says.
func number(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// largeTable writes control/aliases with n rows, which nobody has changed for a minute.
func largeTable(t *testing.T, h *harness.Home, n int) { largeTableFor(t, h, n, "target") }

// largeTableFor is largeTable whose rows lead to a name; it returns what the last leads to.
func largeTableFor(t *testing.T, h *harness.Home, n int, to string) string {
	t.Helper()
	path := filepath.Join(h.Dir, "control", "aliases")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, "user%d@example.net: %s%d@example.org\n", i, to, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	old := time.Now().Add(-time.Minute)
	os.Chtimes(path, old, old)
	return fmt.Sprintf("%s%d@example.org", to, n-1)
}

// mailroute asks for addresses and returns the CPU time and the largest resident size.
func mailroute(t *testing.T, h *harness.Home, addresses ...string) (cpu time.Duration, resident int64) {
	t.Helper()
	cmd := exec.Command(programs.Path("mailroute"), addresses...)
	cmd.Env = programs.Env(h.Dir)
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v %.500s", err, out)
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), use.Maxrss << 10
}

// TestLargeTable: what a table of very many rows costs whoever starts, and looks something up,
// once its database is there. CPU time counts: the machine may be busy, or slow, which a Go program
// that does nothing shows.
func TestLargeTable(t *testing.T) {
	h := newHome(t)
	n := number(t, "PAPERPATH_ROWS", 100000)
	largeTable(t, h, n)
	made, most := mailroute(t, h, "user1@example.net")
	// Five seconds for a million rows; the processor may have other work in its caches.
	if limit := 500*time.Millisecond + time.Duration(n)*3*5*time.Microsecond; made > limit || most > 100<<20 {
		t.Errorf("its database is made in %v of CPU (limit %v) and %d MiB (limit 100)", made, limit, most>>20)
	}
	var asked []string
	for i := range 2000 {
		asked = append(asked, fmt.Sprintf("user%d@example.net", i*7919%n))
	}
	nothing := nothingProgram(t)
	var floor []time.Duration
	begin, one := 10*time.Second, int64(0)
	all := 10 * time.Second
	for range 7 {
		cpu, resident := mailroute(t, h, asked[0])
		begin, one = min(begin, cpu), max(one, resident)
		cpu, resident = mailroute(t, h, asked...)
		all, one = min(all, cpu), max(one, resident)
		floor = append(floor, cpuOf(t, nothing))
	}
	each := (all - begin) / time.Duration(len(asked)-1)
	limit, eachLimit := max(50*time.Millisecond, 10*median(floor)), time.Millisecond
	harness.Report("measured: a table of %d rows: made in %v of CPU and %d MiB; then mailroute starts in %v of CPU (limit %v; a Go program that does nothing %v), "+
		"a routing decision takes %v (limit %v), resident %d MiB (limit 40)", n, made, most>>20, begin, limit, median(floor), each, eachLimit, one>>20)
	if begin > limit || one > 40<<20 || each > eachLimit {
		t.Error("more than the limit")
	}
}

// TestKilledWhileMaking: whoever is killed while the database of a table is made leaves none that
// is believed. The one before it stays until the new one is whole, and answers nothing any more.
func TestKilledWhileMaking(t *testing.T) {
	h := newHome(t)
	const n = 30000
	largeTable(t, h, n)
	mailroute(t, h, "user1@example.net")
	path := filepath.Join(h.Dir, "run", "table-aliases")
	torn := 0
	for i := range 12 {
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := largeTableFor(t, h, n, fmt.Sprintf("new%d", i))
		cmd := exec.Command(programs.Path("mailroute"), "user1@example.net")
		cmd.Env = programs.Env(h.Dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			part, err := os.Stat(path + ".tmp")
			if err == nil && part.Size() >= before.Size()*int64(i)/12 {
				break
			}
			select {
			case <-ended: // so soon that it was not seen
				deadline = time.Time{}
			default:
			}
		}
		cmd.Process.Kill()
		<-ended
		if _, err := os.Stat(path + ".tmp"); err == nil {
			torn++
		}
		if after, err := os.Stat(path); err != nil || os.SameFile(before, after) && after.Size() != before.Size() {
			t.Errorf("the database before it: %v", err)
		}
		ask := exec.Command(programs.Path("mailroute"), fmt.Sprintf("user%d@example.net", n-1))
		ask.Env = programs.Env(h.Dir)
		if out, err := ask.Output(); err != nil || !strings.Contains(string(out), changed) {
			t.Errorf("%v: %.200s, want %s", err, out, changed)
		}
	}
	if torn == 0 {
		t.Error("none was killed while it made the database")
	}
}
