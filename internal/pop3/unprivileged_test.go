package pop3

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// anybody is a uid that owns nothing.
const anybody = 61006

// asAnybody reports whether the test goes on. For root, whom no modes keep out, a
// process of another user runs it instead.
func asAnybody(t *testing.T) (here bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	scratch, err := os.MkdirTemp("", "anybody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(scratch) })
	if err := os.Chown(scratch, anybody, anybody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Dir, cmd.Env = scratch, append(os.Environ(), "TMPDIR="+scratch)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: anybody, Gid: anybody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as uid %d: %v\n%s", anybody, err, out)
	}
	return false
}
