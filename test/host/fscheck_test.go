package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// mounted makes a file system in a file and mounts it, for the rest of the test.
func mounted(t *testing.T, kind string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root (test/host)")
	}
	dir := t.TempDir()
	at, image := filepath.Join(dir, "at"), filepath.Join(dir, "image")
	run := func(args ...string) {
		t.Helper()
		if _, err := exec.LookPath(args[0]); err != nil {
			missing(t, args[0]+" (test/host)")
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, sub := range []string{"at", "lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(image)
	if err == nil {
		err = f.Truncate(400 << 20) // xfs takes no smaller one
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	switch kind {
	case "tmpfs":
		run("mount", "-t", "tmpfs", "none", at)
	case "overlay": // its upper directory on a file system of a kind that it takes
		below := mounted(t, "ext4")
		for _, sub := range []string{"upper", "work"} {
			if err := os.Mkdir(filepath.Join(below, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		run("mount", "-t", "overlay", "none", "-o", "lowerdir="+filepath.Join(dir, "lower")+
			",upperdir="+filepath.Join(below, "upper")+",workdir="+filepath.Join(below, "work"), at)
	case "vfat": // not every kernel has its own
		run("mkfs.vfat", image)
		run("fusefat", "-o", "rw+", image, at)
	default:
		run("mkfs."+kind, "-q", image)
		run("mount", "-o", "loop", image, at)
	}
	t.Cleanup(func() { run("umount", at) })
	return at
}

// fscheck returns what mailctl fscheck prints.
func fscheck(t *testing.T, dirs ...string) (out string, exit int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(repository(t), "bin", "mailctl"), append([]string{"fscheck"}, dirs...)...)
	text, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dirs[0])
	for _, n := range names {
		if n.Name() != "lost+found" {
			t.Errorf("%s is left", n.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// mailctl fscheck says of each of Linux' usual file systems that it will do, and of FAT what it
// cannot.
func TestFscheck(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs", "btrfs", "tmpfs", "overlay"} {
		t.Run(kind, func(t *testing.T) {
			out, exit := fscheck(t, mounted(t, kind))
			if exit != 0 || strings.Count(out, "pass  ") != 22 || strings.Contains(out, "fail") || strings.Contains(out, "note") {
				t.Errorf("exit status %d\n%s", exit, out)
			}
			harness.Report("measured: mailctl fscheck on %s: 22 pass", kind)
		})
	}
	t.Run("vfat", func(t *testing.T) {
		out, exit := fscheck(t, mounted(t, "vfat"))
		for _, line := range []string{"fail  names with colon, comma and =: ", "fail  link gives a second name: ",
			"note  capitals make another name: junk and JUNK are one name\n", "fail  mode 0600 stays: ", "pass  names of 255 octets\n"} {
			if !strings.Contains("\n"+out, "\n"+line) {
				t.Errorf("no %q in\n%s", line, out)
			}
		}
		if exit != 65 {
			t.Errorf("exit status %d", exit)
		}
	})
	t.Run("two mounts", func(t *testing.T) {
		out, _ := fscheck(t, mounted(t, "ext4"), mounted(t, "xfs"))
		if !strings.Contains(out, "note  the other directory: a message moves there by rename: invalid cross-device link: it is copied\n") {
			t.Error(out)
		}
	})
}
