package host

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPackage builds the Debian package twice, the first time as an older version, and
// installs, upgrades, removes and purges it on the machine.
func TestPackage(t *testing.T) {
	needs(t, "systemd-nspawn", "make", "dpkg-deb")
	dir := t.TempDir()
	build(t, filepath.Join(dir, "old"), "0.0.9")
	build(t, filepath.Join(dir, "new"), "")
	t.Run("booted", func(t *testing.T) {
		machine(t, "package", 77, "--boot", "--bind-ro="+dir+":/package")
	})
	t.Run("chroot", func(t *testing.T) { // systemd does not run
		machine(t, "chroot", 15, "--bind-ro="+dir+":/package", "/bin/sh", "-c", "exec /bin/bash /test/run >/test/out/log 2>&1")
	})
}

// The package has no error that lintian knows.
func TestLintian(t *testing.T) {
	needs(t, "make", "dpkg-deb", "lintian")
	dir := t.TempDir()
	build(t, dir, "", "DEBCOMPRESS=gzip") // without is an error, and xz takes a minute
	cmd := exec.Command("lintian", "--allow-root", "--tag-display-limit", "0", "--fail-on", "error", deb(t, dir))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("lintian: %v", err)
	}
}

// The same sources give the same bytes, wherever and whenever they are built.
func TestPackageIsReproducible(t *testing.T) {
	needs(t, "make", "dpkg-deb")
	first, second := t.TempDir(), t.TempDir()
	build(t, first, "", "TZ=Asia/Kolkata", "LC_ALL=C")
	build(t, second, "", "TZ=America/Lima", "LC_ALL=C.UTF-8", "umask=077")
	a, errA := os.ReadFile(deb(t, first))
	b, errB := os.ReadFile(deb(t, second))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two builds differ: %d and %d octets (%v, %v)", len(a), len(b), errA, errB)
	}
}

// build makes a package in dir, which is not compressed unless env says so.
func build(t *testing.T, dir, version string, env ...string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `umask ${umask:-022}; make -s deb`)
	cmd.Dir = repository(t)
	cmd.Env = append(append(os.Environ(), "DEBCOMPRESS=none", "DEBVERSION="+version, "DEBOUT="+dir), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
}

// deb is the package in dir.
func deb(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "paperpath_*.deb"))
	if err != nil || len(names) != 1 {
		t.Fatalf("packages in %s: %q %v", dir, names, err)
	}
	return names[0]
}
