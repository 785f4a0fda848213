package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func put(t *testing.T, d *Dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(d.Join(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNoNameIsReplaced(t *testing.T) {
	a, b := open(t), open(t)
	put(t, a, "one", "1")
	put(t, b, "one", "old")
	for what, do := range map[string]func() error{
		"rename": func() error { return a.Rename("one", b, "one") },
		"link":   func() error { return a.Link("one", b, "one") },
		"create": func() error { _, err := b.Create("one", 0o600); return err },
	} {
		if err := do(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if text, _ := os.ReadFile(b.Join("one")); string(text) != "old" {
		t.Errorf("replaced by %q", text)
	}
	if err := a.Rename("one", b, "two"); err != nil {
		t.Error(err)
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	d := open(t)
	put(t, d, "one", "1")
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\x00b"} {
		_, opened := d.OpenFile(name, unix.O_RDONLY, 0)
		_, created := d.Create(name, 0o600)
		_, statted := d.StatName(name)
		for what, err := range map[string]error{"open": opened, "create": created, "stat": statted,
			"remove": d.Remove(name), "rename": d.Rename("one", d, name), "rename from": d.Rename(name, d, "two"),
			"link": d.Link("one", d, name)} {
			if err == nil {
				t.Errorf("%s of %q was done", what, name)
			}
		}
	}
	os.Symlink(d.Join("one"), d.Join("link"))
	if _, err := d.OpenFile("link", unix.O_RDONLY, 0); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a link was followed: %v", err)
	}
	linked := filepath.Join(t.TempDir(), "dir")
	os.Symlink(d.Path(), linked)
	if _, err := Open(linked); err == nil {
		t.Error("a link to a directory was followed")
	}
}

// TestOpenRegular: only a regular file is opened, and one that is to be made.
func TestOpenRegular(t *testing.T) {
	d := open(t)
	put(t, d, "file", "x")
	for name, mode := range map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "zero": unix.S_IFCHR, "disk": unix.S_IFBLK} {
		if err := unix.Mknod(d.Join(name), mode|0o600, int(unix.Mkdev(1, 5))); errors.Is(err, unix.EPERM) {
			t.Logf("%s is not tried: %v", name, err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(d.Join("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"file": nil, "none": fs.ErrNotExist, "fifo": ErrNotRegular, "socket": ErrNotRegular,
		"zero": ErrNotRegular, "disk": ErrNotRegular, "dir": ErrNotRegular} {
		if _, err := os.Lstat(d.Join(name)); err != nil && name != "none" {
			continue
		}
		for _, flags := range []int{unix.O_RDONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_APPEND} {
			if _, err := d.OpenFile(name, flags, 0); !errors.Is(err, want) {
				t.Errorf("%s with %#x: %v, want %v", name, flags, err, want)
			}
		}
		if _, err := OpenPath(d.Join(name), unix.O_WRONLY|unix.O_CREAT, 0o600); name != "none" && !errors.Is(err, want) || name == "none" && err != nil {
			t.Errorf("%s to be made: %v", name, err)
		}
	}
}

func TestNamesAndModes(t *testing.T) {
	d := open(t)
	old := unix.Umask(0o077)
	f, err := d.Create("group", 0o660)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if st, _ := os.Stat(d.Join("group")); st.Mode().Perm() != 0o660 {
		t.Errorf("mode %v whatever the umask", st.Mode())
	}
	os.Mkdir(d.Join("sub"), 0o700)
	put(t, d, ".hidden", "")
	count := func(list func(func(string) bool) error) (n int) {
		if err := list(func(string) bool { n++; return true }); err != nil {
			t.Error(err)
		}
		return n
	}
	var files strings.Builder
	if err := d.AppendRegular(&files); err != nil || count(d.Names) != 2 || files.String() != "group\x00" {
		t.Errorf("%d names, regular files %q, %v", count(d.Names), &files, err)
	}
	u, err := d.Unnamed("spare")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if count(d.Names) != 2 {
		t.Error("an unnamed file has a name")
	}
}

// A closed directory is not an empty one: what looks into it, or syncs it, fails.
func TestClosed(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for what, use := range map[string]func() error{
		"close":  d.Close,
		"sync":   d.Sync,
		"list":   func() error { return d.Names(func(string) bool { return true }) },
		"stat":   func() error { _, err := d.Stat(); return err },
		"name":   func() error { _, err := d.StatName("x"); return err },
		"create": func() error { _, err := d.Create("x", 0o600); return err },
		"remove": func() error { return d.Remove("x") },
		"rename": func() error { return d.Rename("x", d, "y") },
		"sub":    func() error { _, err := d.Sub("x", true); return err },
		"file":   func() error { _, err := d.File(); return err },
	} {
		if err := use(); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
