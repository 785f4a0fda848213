// Package host runs what an administrator does on a machine with systemd: a small Debian
// (fetch.sh) that boots in a container, on which make install has been run.
package host

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

// bootTime is enough for a boot and a script, on a busy machine too.
const bootTime = 10 * time.Minute

func TestUnits(t *testing.T) { boot(t, "units", 50) }

// boot runs a script on the machine, on which make install has been run, with further
// options of systemd-nspawn.
func boot(t *testing.T, script string, least int, options ...string) {
	needs(t, "systemd-nspawn", "make")
	dest := t.TempDir()
	install := exec.Command("make", "-C", repository(t), "install", "DESTDIR="+dest)
	if text, err := install.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, text)
	}
	machine(t, script, least, append(options, "--boot", "--bind-ro="+dest+":/dest")...)
}

// needs skips the test, or fails it with CI=true, if it cannot run here.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root (test/host)")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" (test/host)")
		}
	}
	if _, err := os.Stat(filepath.Join(repository(t), ".build", "host")); err != nil {
		missing(t, ".build/host (test/host/fetch.sh makes it)")
	}
}

// machine starts the machine with options of systemd-nspawn, runs the script in it, and
// reports the steps that failed. least is how many must have been done.
func machine(t *testing.T, script string, least int, options ...string) {
	root := repository(t)
	out := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	const shared = "/run/systemd/nspawn/propagate" // nspawn wants it, where systemd is not the machine's
	if err := os.MkdirAll(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--quiet", "--register=no", "--keep-unit", "--volatile=overlay",
		"--private-network", "--machine=paperpath-" + script, "--directory=" + filepath.Join(root, ".build", "host"),
		"--bind=" + out + ":/test/out", "--bind-ro=" + filepath.Join(root, "test", "host", "testdata", script) + ":/test/run"},
		options...)
	cmd := exec.CommandContext(ctx, "systemd-nspawn", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // it halts the machine
	cmd.WaitDelay = time.Minute
	console, err := cmd.CombinedOutput()
	log, _ := os.ReadFile(filepath.Join(out, "log"))
	t.Logf("%s", log)
	if !strings.Contains(string(log), "== end\n") { // what halts the machine may complain after it
		t.Fatalf("the script was not finished: %v\n%s", err, console)
	}
	done := len(regexp.MustCompile(`(?m)^ok: `).FindAll(log, -1))
	if failed := regexp.MustCompile(`(?m)^FAILED: .*`).FindAllString(string(log), -1); len(failed) > 0 {
		t.Errorf("%d done, failed:\n%s", done, strings.Join(failed, "\n"))
	}
	if done < least {
		t.Errorf("only %d steps were done, not %d", done, least)
	}
}

// missing skips a test, or fails it with CI=true.
func missing(t *testing.T, what string) {
	t.Helper()
	if harness.Missing(what) {
		t.Fatal(what + " is missing")
	}
	t.Skip(what + " is missing")
}

func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
