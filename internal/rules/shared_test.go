package rules

import (
	"io/fs"
	"os"
	"testing"
)

// In a home that the users of a group share a file may be of any of them, but of nobody else.
func TestSharedHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives the home to a group: tested as root")
	}
	const gid = 64100
	d := userHome(t, map[string]string{".qmail": "&q@x"})
	if err := os.Chown(d.home, 64101, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.home, 0o770|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	find := func(want bool) {
		t.Helper()
		if r, err := d.Find(""); (r != nil && err == nil) != want {
			t.Errorf("%s, %v", show(r), err)
		}
	}
	find(false)
	d.ShareWith(gid)
	find(true)
	d.ShareWith(gid + 1)
	find(false)
	d.ShareWith(gid)
	if err := os.Chmod(d.home+"/.qmail", 0o662); err != nil {
		t.Fatal(err)
	}
	find(false)
}
