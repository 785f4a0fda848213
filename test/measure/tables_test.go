package measure

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// rows are those of a large table; PAPERPATH_ROWS says how many.
func rows(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PAPERPATH_ROWS")
	if text == "" {
		return 100000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// largeTable writes control/aliases with n rows, which nobody has changed for a minute.
func largeTable(t *testing.T, h *harness.Home, n int) {
	t.Helper()
	path := filepath.Join(h.Dir, "control", "aliases")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, "user%d@example.net: target%d@example.org\n", i, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	old := time.Now().Add(-time.Minute)
	os.Chtimes(path, old, old)
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
// once its database is there. CPU time counts: the machine may be busy.
func TestLargeTable(t *testing.T) {
	h := newHome(t)
	n := rows(t)
	largeTable(t, h, n)
	made, most := mailroute(t, h, "user1@example.net")
	var asked []string
	for i := range 2000 {
		asked = append(asked, fmt.Sprintf("user%d@example.net", i*7919%n))
	}
	begin, one := 10*time.Second, int64(0)
	all := 10 * time.Second
	for range 7 {
		cpu, resident := mailroute(t, h, asked[0])
		begin, one = min(begin, cpu), max(one, resident)
		cpu, resident = mailroute(t, h, asked...)
		all, one = min(all, cpu), max(one, resident)
	}
	each := (all - begin) / time.Duration(len(asked)-1)
	harness.Report("measured: a table of %d rows: made in %v of CPU and %d MiB; then mailroute starts in %v of CPU (limit 50 ms), "+
		"a routing decision takes %v (limit 500 us), resident %d MiB (limit 40)", n, made, most>>20, begin, each, one>>20)
	if begin > 50*time.Millisecond || one > 40<<20 || each > 500*time.Microsecond {
		t.Error("more than the limit")
	}
}
