package maildir

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Mailboxes that the users of a group share: whoever of them makes a directory or a file lets the
// others have it, and a directory of another group is nobody's of ours.
func TestSharedByAGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives directories to others: tested as root")
	}
	const member, gid, other = 64101, 64100, 64200
	base := filepath.Join(t.TempDir(), "mail")
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	share := func(path string, gid int) {
		t.Helper()
		if err := os.Chown(path, member, gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o770|fs.ModeSetgid); err != nil {
			t.Fatal(err)
		}
	}
	share(base, gid)
	p := Place{Base: base, Rel: "example.net/alice/Maildir", UID: 64102, GID: gid}
	if err := p.Create(); err != nil {
		t.Fatal(err)
	}
	if _, err := (Place{Base: base, Rel: p.Rel, UID: p.UID}).Complete(); err == nil {
		t.Error("without the group it would do, too")
	}
	d, err := OpenFolder(p.Path(), ".Junk", true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	name, err := d.Store("1700000000.M1R0123456789abcdef.mx", func(w io.Writer) error { _, err := io.WriteString(w, "\n"); return err })
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{"": 0o770, "tmp": 0o770, "new": 0o770, ".Junk": 0o770, ".Junk/cur": 0o770,
		".Junk/maildirfolder": 0o660, ".Junk/new/" + name: 0o660} {
		info, err := os.Stat(filepath.Join(p.Path(), path))
		if err != nil || info.Mode().Perm() != want || info.IsDir() != (info.Mode()&fs.ModeSetgid != 0) {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if ok, err := p.Complete(); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	share(filepath.Join(p.Path(), "new"), other)
	if _, err := p.Complete(); err == nil || !strings.Contains(err.Error(), "belongs to uid 64101") {
		t.Errorf("a directory of another group: %v", err)
	}
}
