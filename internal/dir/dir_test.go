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
	if _, err := d.OpenFile("link", unix.O_RDONLY, 0); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link was followed: %v", err)
	}
	linked := filepath.Join(t.TempDir(), "dir")
	os.Symlink(d.Path(), linked)
	if _, err := Open(linked); err == nil {
		t.Error("a link to a directory was followed")
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
