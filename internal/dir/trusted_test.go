package dir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nobody but root and one user may be able to put something else in a path's place.
func TestTrusted(t *testing.T) {
	top := t.TempDir()
	us := os.Geteuid()
	err := errors.Join(os.MkdirAll(top+"/a/b", 0o755), os.MkdirAll(top+"/open/b", 0o755),
		os.MkdirAll(top+"/sticky/b", 0o755),
		os.Chmod(top+"/open", 0o777), os.Chmod(top+"/sticky", 0o777|os.ModeSticky),
		os.Symlink("a/b", top+"/near"), os.Symlink(top+"/open/b", top+"/far"), os.Symlink("../open/../a",
			top+"/a/up"),
		os.Symlink("round", top+"/round"), os.WriteFile(top+"/a/file", nil, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a/b": "", "a/b/missing/c": "", "a/file": "", "near": "", "sticky/b": "",
		"open/b": "/open is writable by everyone", "far": "/open is writable by everyone",
		"a/up/b": "/open is writable by everyone", "round": "too many levels of symbolic links",
		"a/file/x": "not a directory",
	} {
		err := Trusted(filepath.Join(top, path), us)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

// What a third user has on the way they can exchange, be it a directory or a link.
func TestTrustedOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives files away: tested as root")
	}
	top := t.TempDir()
	const joe, bob = 61004, 61005
	err := errors.Join(os.MkdirAll(top+"/joe/home", 0o755), os.MkdirAll(top+"/bob", 0o755),
		os.Symlink("bob", top+"/link"),
		os.Symlink("../bob", top+"/joe/link"),
		os.Lchown(top+"/joe", joe, joe), os.Lchown(top+"/bob", bob, bob), os.Lchown(top+"/link", joe, joe))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		uid  int
		want string
	}{
		{"joe/home", joe, ""}, {"bob", bob, ""}, {"bob/new", bob, ""},
		{"joe/home", 0, "/joe belongs to uid 61004, not to root"},
		{"joe/home", bob, "/joe belongs to uid 61004, neither to root nor to uid 61005"},
		{"joe/link", bob, "/joe belongs to uid 61004"}, {"joe/link", joe, "/bob belongs to uid 61005"},
		{"link", bob, "/link belongs to uid 61004"},
	} {
		err := Trusted(filepath.Join(top, tt.path), tt.uid)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for uid %d: %v; want %q", tt.path, tt.uid, err, tt.want)
		}
	}
}
