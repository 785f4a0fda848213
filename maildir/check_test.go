package maildir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// names of what failed there.
func failing(t *testing.T, dir string, opts CheckOptions) (list []string) {
	t.Helper()
	found, err := Check(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < len(trials()) {
		t.Errorf("%d of %d things were tried", len(found), len(trials()))
	}
	for _, p := range found {
		if p.Err != nil {
			t.Logf("%s: %v", p.Name, p.Err)
			if !p.Spared {
				list = append(list, p.Name)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return list
}

// The file systems of this machine that tests can write to.
func TestCheck(t *testing.T) {
	dirs := []string{t.TempDir()}
	if memory, err := os.MkdirTemp("/dev/shm", "paperpath"); err == nil {
		defer os.RemoveAll(memory)
		dirs = append(dirs, memory)
	}
	for _, dir := range dirs {
		if list := failing(t, dir, CheckOptions{}); len(list) > 0 {
			t.Errorf("%s fails in %q", dir, list)
		}
	}
}

// One directory by two paths is as good as by two mounts; two directories on one file system,
// and on two.
func TestCheckOtherMount(t *testing.T) {
	dir := t.TempDir()
	by := filepath.Join(t.TempDir(), "by")
	if err := os.Symlink(dir, by); err != nil {
		t.Fatal(err)
	}
	if list := failing(t, dir, CheckOptions{Other: by}); len(list) > 0 {
		t.Errorf("fails in %q", list)
	}
	other := t.TempDir()
	if list := failing(t, dir, CheckOptions{Other: other}); len(list) > 0 {
		t.Errorf("fails in %q", list)
	}
	if left, err := os.ReadDir(other); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A lock that another process does not see is a failure, and so is a directory that is not
// there.
func TestCheckFails(t *testing.T) {
	blind := CheckOptions{Locked: func(string) (bool, error) { return false, nil }}
	if list := failing(t, t.TempDir(), blind); len(list) != 1 || !strings.HasPrefix(list[0], "flock") {
		t.Errorf("fails in %q", list)
	}
	if _, err := Check("/nonexistent", CheckOptions{}); err == nil {
		t.Error("a missing directory was checked")
	}
	for name, try := range map[string]func(dir string) error{
		"a torn text": func(dir string) error { p, _ := putFile(dir, "a", "half"); return holds(p, "whole") },
		"two winners": func(string) error { return race(func(int) (bool, error) { return true, nil }) },
		"no winner":   func(string) error { return race(func(int) (bool, error) { return false, nil }) },
		"another name": func(dir string) error {
			putFile(dir, "b", "")
			return onlyName(dir, "a")
		},
		"no events": func(dir string) error { return notices(dir, t.TempDir()) },
	} {
		if try(t.TempDir()) == nil {
			t.Errorf("%s was not seen", name)
		}
	}
}
