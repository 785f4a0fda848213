// Package machinetest gives getent(1), in a test and the programs that it starts, other users
// than the machine's: it is the real program, with the wrapper of Debian's libnss-wrapper.
package machinetest

import (
	"os"
	"path/filepath"
	"testing"
)

// Users sets the users and groups, as in passwd(5) and group(5), for the rest of the test.
func Users(t testing.TB, passwd, group string) {
	t.Helper()
	for name, value := range Environment(t, passwd, group) {
		t.Setenv(name, value)
	}
}

// Environment is what a program needs in its environment for that.
func Environment(t testing.TB, passwd, group string) map[string]string {
	t.Helper()
	wrapper, _ := filepath.Glob("/usr/lib/*/libnss_wrapper.so")
	if len(wrapper) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("libnss-wrapper is missing")
		}
		t.Skip("needs libnss-wrapper")
	}
	env := map[string]string{"LD_PRELOAD": wrapper[0]}
	dir, err := os.MkdirTemp("", "machine") // where other users may read it
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	for name, text := range map[string]string{"PASSWD": passwd, "GROUP": group} {
		path := filepath.Join(dir, name)
		env["NSS_WRAPPER_"+name] = path
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return env
}
