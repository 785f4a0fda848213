package deliver

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// asNobody runs a test of what root never does: as root, once more as another user. done says
// that this was it.
func asNobody(t *testing.T) (done bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	const nobody = 61007
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "TMPDIR=/tmp", "HOME=/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as uid %d: %v\n%s", nobody, err, out)
	}
	return true
}

// As root no program of a user runs and no file grows, whatever control/user-programs says:
// the mail waits.
func TestNothingAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("is about root: tested as root")
	}
	for name, rule := range map[string]string{"a program": "|touch HOME/box\n", "a file": "./box\n", "behind others": "./Maildir/\n|touch HOME/box\n"} {
		p := newFixture(t)
		p.write("user-programs", "yes\n")
		p.ownHome(map[string]string{".qmail": rule})
		p.accept("deliver", "alice@example.net")
		p.stageRun("deliver", p.stage.Handle)
		if got := p.places(); got != "deferred 1" {
			t.Errorf("%s: %s\n%s", name, got, p.log.String())
		}
		p.logged("maildeliver runs as root here")
	}
}
