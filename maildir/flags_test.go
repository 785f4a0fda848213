package maildir

import (
	"os"
	"path/filepath"
	"testing"

	gomaildir "github.com/emersion/go-maildir"
)

func TestSetFlags(t *testing.T) {
	for _, c := range []struct {
		file, want string
		flags      []Flag
	}{
		{"new/1.a,S=2", "cur/1.a,S=2:2,FS", []Flag{Seen, Flagged}},
		{"new/1.a", "cur/1.a:2,", nil},
		{"cur/1.a:2,SFz", "cur/1.a:2,R", []Flag{Replied, Replied}},
		{"cur/1.a:2,S", "cur/1.a:2,Sab", []Flag{'b', 'a', Seen}}, // keywords of Dovecot
		{"cur/1.a:1,x", "cur/1.a:1,x", []Flag{Seen}},             // not ours to change
		{"cur/1.a:2,S", "cur/1.a:2,S", []Flag{'\u00e9'}},         // two of them panic in go-maildir
		{"cur/1.a:2,S", "cur/1.a:2,S", []Flag{','}},
	} {
		d, path := open(t)
		put(t, path, c.file, "a\n")
		m, err := d.Find("1.a")
		if err != nil {
			t.Fatal(err)
		}
		valid := len(c.flags) != 1 || c.flags[0] < 0x80 && c.flags[0] != ','
		if err := d.SetFlags(&m, c.flags...); (err == nil) != valid {
			t.Errorf("%s %q: %v", c.file, string(c.flags), err)
		}
		if _, err := os.Stat(filepath.Join(path, c.want)); err != nil {
			t.Errorf("%s %q: %v", c.file, string(c.flags), err)
		}
	}
}

// go-maildir reads the flags that we write, and we read its own.
func TestFlagsBesideTheLibrary(t *testing.T) {
	d, path := open(t)
	put(t, path, "new/1.a,S=2", "a\n")
	m, err := d.Find("1.a")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetFlags(&m, Seen, Draft); err != nil {
		t.Fatal(err)
	}
	theirs, err := gomaildir.Dir(path).MessageByKey("1.a,S=2")
	if err != nil || len(theirs.Flags()) != 2 {
		t.Fatalf("%v, %v", theirs, err)
	}
	if err := theirs.SetFlags([]gomaildir.Flag{gomaildir.FlagReplied}); err != nil {
		t.Fatal(err)
	}
	// m has the name from before.
	if err := d.AddFlags(&m, Seen); err != nil || m.Name != "1.a,S=2:2,RS" {
		t.Errorf("%q, %v: a flag of another program is lost", m.Name, err)
	}
}

// Moving into a folder replaces no message there.
func TestMoveReplacesNothing(t *testing.T) {
	d, path := open(t)
	folder, err := OpenFolder(path, ".Lists", true)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	put(t, path, "cur/1.a:2,S", "ours\n")
	put(t, path, ".Lists/cur/1.a:2,S", "theirs\n")
	m, err := d.Find("1.a")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Move(&m, folder); err == nil {
		t.Error("a message took the place of another one")
	}
	for _, name := range []string{"Lists", "..", "./x", ".a/b", ""} {
		if _, err := OpenFolder(path, name, true); err == nil {
			t.Errorf("%q is opened as a folder", name)
		}
	}
}
