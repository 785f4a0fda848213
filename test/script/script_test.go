// Package script runs every program as a user would: testdata/PROG_subject.txtar
// asserts stdout, stderr, the exit status and the files left.
package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/internal/dns/dnstest"
	"paperpath/test/harness"
)

// programs is set once by TestMain, before any test runs.
var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		Setup:              setup,
		Cmds:               commands(),
		Condition:          condition,
		RequireUniqueNames: true,
	})
}

// keyT is the key of a script's testscript.T among its values.
type keyT struct{}

// setup puts the programs first in PATH, and points at a home that is not
// there so that no script meets one of this machine.
func setup(env *testscript.Env) error {
	env.Setenv("PATH", string(programs)+":"+os.Getenv("PATH"))
	env.Setenv("PAPERPATH_HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("PASSWORD", harness.Password)
	env.Setenv("OWNER", harness.Self())
	env.Values[keyT{}] = env.T()
	env.Values[nameserverT{}] = map[string]*dnstest.Server{}
	return nil
}

// condition knows [root], [tmpfs] (a tmpfs can be mounted here), [userns] (a user
// namespace can be made, which a chroot does not allow) and [tool:NAME]; what is
// missing is said in the report.
func condition(cond string) (bool, error) {
	switch {
	case cond == "root":
		return os.Geteuid() == 0, nil
	case cond == "tmpfs":
		return canMount(), nil
	case cond == "userns":
		return exec.Command("unshare", "-U", "true").Run() == nil, nil
	case strings.HasPrefix(cond, "tool:"):
		_, err := exec.LookPath(strings.TrimPrefix(cond, "tool:"))
		return err == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func canMount() bool {
	dir, err := os.MkdirTemp("", "paperpath-mount")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if mountTmpfs(dir, "size=64k") != nil {
		return false
	}
	return unmount(dir) == nil
}
