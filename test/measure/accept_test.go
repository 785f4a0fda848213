package measure

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"paperpath/internal/dir"
	"paperpath/test/harness"
)

// TestAcceptCalls bounds what a message of a stranger costs in a session that stays open,
// with all default checks. System calls do not depend on the machine.
func TestAcceptCalls(t *testing.T) {
	const n = 100
	needTrace(t)
	h := newHome(t)
	mail := signedMail(t, h)
	h.Addr["mx"] = harness.FreeAddr()
	cmd := serve(t, h, "mailsubmit", "smtp", "--listen", h.Addr["mx"])
	if err := harness.Wait("the server", time.Minute, func() bool { return len(h.Events("event=listening")) > 0 }); err != nil {
		t.Fatal(err)
	}
	untouched(t, h)
	c := stranger(t, h)
	defer c.Close()
	transfer(t, c, mail, 1) // from now on the DNS is known
	out := filepath.Join(t.TempDir(), "trace")
	tracer := exec.Command("strace", "-f", "-o", out, "-p", strconv.Itoa(cmd.Process.Pid))
	said, err := tracer.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil { // "Process N attached"
		t.Fatal(err)
	}
	transfer(t, c, mail, n)
	tracer.Process.Signal(os.Interrupt)
	tracer.Wait() // it reports the interrupt
	calls := counted(t, out)
	bound(t, "mailsubmit, a message in a session that stays open", calls, n, 60, 8)
	if syncs, most := calls["fsync"]+calls["fdatasync"]+calls["syncfs"], n*syncsOf(t, h); syncs > most {
		t.Errorf("%d syncs for %d messages, more than %d", syncs, n, most)
	}
	if verdicts := len(h.Events("event=checked", "dkim=pass", "dmarc=pass")); verdicts != n+1 {
		t.Errorf("%d of %d messages passed the checks\n%s", verdicts, n+1, h.Describe())
	}
}

// syncsOf is how many syncs a message that is accepted costs: one, or two where a synced file has no
// durable name yet (spool(5)). The rows sync of make torture have each kind of file system.
func syncsOf(t *testing.T, h *harness.Home) int {
	t.Helper()
	d, err := dir.Open(filepath.Join(h.Dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if m, err := d.Mount(); err == nil && m.NamesWithFiles() {
		return 1
	}
	return 2
}

// untouched waits until nobody has changed the settings for a while: before, they are looked
// at more closely.
func untouched(t *testing.T, h *harness.Home) {
	t.Helper()
	if err := harness.Wait("settings that nobody changes", time.Minute, func() bool {
		info, err := os.Stat(filepath.Join(h.Dir, "control"))
		return err == nil && time.Since(info.ModTime()) > 2*time.Second
	}); err != nil {
		t.Fatal(err)
	}
}
