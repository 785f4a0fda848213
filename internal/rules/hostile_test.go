package rules

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// What is no file of rules keeps nobody waiting, costs no memory, and defers with a reason that
// names it once: as the rules themselves, and as a list in them.
func TestNoFileOfRules(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"fifo":     {func(p string) error { return unix.Mkfifo(p, 0o600) }, "is a fifo"},
		"device":   {func(p string) error { return os.Symlink("/dev/zero", p) }, "too many levels of symbolic links"},
		"loop":     {func(p string) error { return os.Symlink(filepath.Base(p), p) }, "too many levels of symbolic links"},
		"folder":   {func(p string) error { return os.Mkdir(p, 0o700) }, "is a directory"},
		"too long": {func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("#", maxFile+1)), 0o600) }, "is longer than"},
		"sparse":   {func(p string) error { os.WriteFile(p, nil, 0o600); return os.Truncate(p, 1<<40) }, "is longer than"},
		"too many": {func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("a@x.example\n", 101)), 0o600) }, "more than 100 instructions"},
		"NUL":      {func(p string) error { return os.WriteFile(p, []byte("a@x\x00.example\n"), 0o600) }, ""},
		"socket": {func(p string) error {
			l, err := net.Listen("unix", p)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				l.Close()
			}
			return err
		}, "no such device or address"},
	} {
		for _, file := range []string{".forward", ".qmail", "list"} {
			d := userHome(t, map[string]string{})
			if err := c.put(filepath.Join(d.home, file)); err != nil {
				t.Fatal(name, err)
			}
			if file == "list" {
				if err := os.WriteFile(filepath.Join(d.home, ".forward"), []byte(":include:list\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			r, err := d.Find("")
			if name == "NUL" && file == "list" { // the address is refused when it is used
				continue
			}
			if !status.IsTemporary(err) || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "rules cannot be used") > 1 ||
				strings.Count(err.Error(), d.home) > 1 || time.Since(began) > 20*time.Second {
				t.Errorf("%s, %s: %s, %v", name, file, show(r), err)
			}
		}
	}
}

// No list includes itself, or what lies elsewhere.
func TestListsElsewhere(t *testing.T) {
	d := userHome(t, map[string]string{"list": ":include:list\n", "in.forward": "x\n"})
	for _, path := range []string{".forward", "list", "/etc/passwd", "../x", "a/b", "..", ".", "", d.home, d.home + "/", d.home + "//list", d.home + "/../x", "./../x", "/dev/stdin", "list\x00"} {
		if err := os.WriteFile(filepath.Join(d.home, ".forward"), []byte(":include:"+path+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := d.Find(""); !status.IsTemporary(err) {
			t.Errorf("%q: %s, %v", path, show(r), err)
		}
	}
}

// Whatever a stranger writes behind the delimiter, the files that are looked for lie in the
// home itself, have names that can be, and are not too many.
func TestExtensionsOfStrangers(t *testing.T) {
	for _, ext := range []string{"..", ".", "../../etc/passwd", "a/b", "/", "/etc/passwd", "a.b", "-", "--", "-a-", "default", "a-default", "owner",
		"a\x00b", "\n", "a\nb", "a\x7f", strings.Repeat("a", 200), strings.Repeat("a", 201), strings.Repeat("-", 200), strings.Repeat("\u023a", 100),
		strings.Repeat("\u023a", 101), "\xff", "%s", "*", "~", "$HOME", "`id`", " ", "..-..", ":", "A.B/"} {
		list := candidates(ext)
		if len(list) > 210 {
			t.Errorf("%q: %d files", ext, len(list))
		}
		for _, r := range list {
			if strings.ContainsAny(r.File, "/\x00\n") || len(r.File) > 255 || !strings.HasPrefix(r.File, ".qmail") && !strings.HasPrefix(r.File, ".forward") {
				t.Errorf("%q: %q", ext, r.File)
			}
		}
		d := userHome(t, map[string]string{".qmail-default": "&x@x.example\n", ".qmail": "&y@x.example\n"})
		if r, err := d.Find(ext); err != nil || r == nil || len(r.Steps) != 1 {
			t.Errorf("%q: %s, %v", ext, show(r), err)
		}
	}
}
