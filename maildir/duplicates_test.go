package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ids lists the mailbox, tells files of one key apart and returns id=text of
// each message, and what was done.
func ids(t *testing.T, d *Dir, mend bool) (all []string, did []Duplicate) {
	t.Helper()
	list, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	if list, did, err = d.SettleDuplicates(list, mend); err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		id := m.Key
		if m.NewKey != "" {
			id = m.NewKey
		}
		f, err := d.Open(&m)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id+"="+strings.TrimSpace(string(text)))
	}
	slices.Sort(all)
	return all, did
}

// One file under two names, as a power cut leaves it on btrfs, is one message;
// deleting it must not bring it back.
func TestOneFileUnderTwoNames(t *testing.T) {
	d, path := open(t)
	put(t, path, "new/1.a,S=2", "a\n")
	for _, other := range []string{"cur/1.a,S=2:2,S", "cur/1.a,S=2,W=3:2,"} {
		if err := os.Link(filepath.Join(path, "new/1.a,S=2"), filepath.Join(path, other)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.List()
	if err != nil || len(list) != 1 || list[0].Name != "1.a,S=2:2,S" {
		t.Fatalf("%v, %v", list, err)
	}
	if _, did, err := d.SettleDuplicates(list, false); err != nil || len(did) > 0 {
		t.Fatalf("whoever only reads has mended %v, %v", did, err)
	}
	if _, did, err := d.SettleDuplicates(list, true); err != nil || len(did) != 2 {
		t.Fatalf("%v, %v", did, err)
	}
	left, _ := filepath.Glob(path + "/???/*")
	if len(left) != 1 || filepath.Base(left[0]) != "1.a,S=2:2,S" {
		t.Errorf("left %q", left)
	}
}

// Two files of one key are two messages: the first one keeps it for life, the other has
// a new one from the first listing on, in every session.
func TestTwoFilesOfOneKey(t *testing.T) {
	const key = "1764000000.M000001R0123456789abcdef.mx"
	for _, c := range []struct{ first, later string }{
		{"cur/" + key + ",S=6:2,S", "new/" + key + ",S=6"},
		{"cur/" + key + ",S=6:2,", "cur/" + key + ",S=6:2,S"},
		{"new/" + key + ",S=6,W=7", "new/" + key + ",S=7,W=8"},
		{"cur/" + key + ":2,", "new/" + key},
		{"cur/" + key + "+z,S=6:2,S", "new/" + key + "+z"},
		{"cur/,S=6:2,S", "new/,W=7"},
	} {
		d, path := open(t)
		put(t, path, c.first, "first\n")
		put(t, path, c.later, "later\n")
		put(t, path, "new/"+key+"+b,S=6", "other\n")
		seen, did := ids(t, d, false)
		if len(seen) != 3 || len(did) != 0 {
			t.Fatalf("%s: %q, did %v", c.later, seen, did)
		}
		first, _, _ := strings.Cut(filepath.Base(c.first), ",")
		first, _, _ = strings.Cut(first, ":")
		if !slices.Contains(seen, first+"=first") {
			t.Errorf("%s: the first one has lost its key: %q", c.later, seen)
		}
		mended, did := ids(t, d, true)
		if !slices.Equal(mended, seen) || len(did) != 1 || did[0].Key != first {
			t.Errorf("%s: %q, before %q, did %v", c.later, mended, seen, did)
		}
		if again, did := ids(t, d, true); !slices.Equal(again, seen) || len(did) != 0 {
			t.Errorf("%s: %q the second time, %v", c.later, again, did)
		}
	}
}

// Whatever another program does to flags and directories changes no id.
func TestFirstFileKeepsItsKeyWhateverIsFlagged(t *testing.T) {
	d, path := open(t)
	put(t, path, "cur/1.k.mx,S=2:2,", "a\n")
	put(t, path, "cur/1.k.mx,S=3:2,", "bb\n")
	if err := os.Rename(path+"/cur/1.k.mx,S=2:2,", path+"/cur/1.k.mx,S=2:2,FS"); err != nil {
		t.Fatal(err)
	}
	if seen, _ := ids(t, d, true); !slices.Contains(seen, "1.k.mx=a") {
		t.Errorf("the message that had the key before is not the one that kept it: %q", seen)
	}
}

// Of two files with equal bytes one is removed, and stays away.
func TestEqualBytesOfOneKey(t *testing.T) {
	d, path := open(t)
	put(t, path, "cur/1.k.mx,S=2:2,S", "a\n")
	put(t, path, "new/1.k.mx,S=2", "a\n")
	put(t, path, "new/1.k.mx", "a\n")
	if seen, _ := ids(t, d, false); !slices.Equal(seen, []string{"1.k.mx=a"}) {
		t.Fatalf("%q", seen)
	}
	seen, did := ids(t, d, true)
	if !slices.Equal(seen, []string{"1.k.mx=a"}) || len(did) != 2 || !did[0].Identical || !did[1].Identical {
		t.Fatalf("%q, did %v", seen, did)
	}
	if left, _ := filepath.Glob(path + "/???/*"); len(left) != 1 {
		t.Errorf("left %q", left)
	}
}

// Files that agree in everything a new key is made of still get different keys.
func TestManyFilesOfOneKey(t *testing.T) {
	d, path := open(t)
	names := map[string]bool{}
	for i := range 5 {
		name := fmt.Sprintf("cur/1.k.mx:2,%s", "DFRST"[:i])
		put(t, path, name, fmt.Sprint(i))
		if err := os.Chtimes(filepath.Join(path, name), time.Unix(7, 0), time.Unix(7, 0)); err != nil {
			t.Fatal(err)
		}
	}
	seen, did := ids(t, d, true)
	for _, s := range seen {
		id, _, _ := strings.Cut(s, "=")
		names[id] = true
	}
	if len(names) != 5 || len(did) != 4 {
		t.Errorf("%q, did %v", seen, did)
	}
}

// A size that no file with such a name can have is ignored, and the name gets a single
// W=.
func TestImpossibleSizes(t *testing.T) {
	for name, want := range map[string][2]int64{
		"1.k,S=24,W=7": {24, -1}, "1.k,S=24,W=49": {24, -1}, "1.k,S=24,W=24": {24, 24}, "1.k,S=24,W=48": {24, 48},
		"1.k,S=24,S=25,W=30": {-1, 30}, "1.k,S=24,W=30,W=31": {24, -1}, "1.k,W=30": {-1, 30}, "1.k,S=-1,W=7": {-1, 7},
		"1.k,S=4611686018427387903,W=4611686018427387903": {-1, -1}, "1.k,S=99999999999999999999,W=3": {-1, 3},
		"1.k,S=1099511627775,W=1099511627775": {1<<40 - 1, 1<<40 - 1},
	} {
		m := parse("cur", name+":2,S")
		if m.Size != want[0] || m.WireSize != want[1] {
			t.Errorf("%s: S=%d W=%d, want %v", name, m.Size, m.WireSize, want)
		}
	}
	for name, want := range map[string]string{
		"1.k,S=24,W=7:2,S": "1.k,S=24,W=26:2,S", "1.k,W=7,S=24,P=3": "1.k,S=24,P=3,W=26", "1.k": "1.k,S=24,W=26",
		"1.k,S=24,S=25,W=30": "1.k,S=24,W=26", "1.k,S=24,W=26:2,": "1.k,S=24,W=26:2,",
	} {
		if got := parse("cur", name).sized(24, 26); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}

// Tools that copy a mailbox may leave out empty directories; the mail is there all the
// same.
func TestMissingDirectories(t *testing.T) {
	for _, gone := range []string{"tmp", "new", "cur", "tmp new", "tmp cur", "tmp new cur"} {
		for _, mend := range []bool{true, false} {
			path := filepath.Join(t.TempDir(), "Maildir")
			if err := Create(path); err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, sub := range []string{"new", "cur"} {
				if !strings.Contains(gone, sub) {
					put(t, path, sub+"/1."+sub+",S=2", "a\n")
					want++
				}
			}
			for _, sub := range strings.Fields(gone) {
				if err := os.Remove(filepath.Join(path, sub)); err != nil {
					t.Fatal(err)
				}
			}
			d, err := openDir(path, mend)
			if err != nil {
				t.Fatalf("without %s: %v", gone, err)
			}
			list, err := d.List()
			if err != nil || len(list) != want {
				t.Errorf("without %s: %v, %v", gone, list, err)
			}
			_, stored := d.Store("2.x", func(w io.Writer) error { _, err := io.WriteString(w, "b\n"); return err })
			if mend != (stored == nil) && gone != "cur" {
				t.Errorf("without %s, mend %v: stored %v", gone, mend, stored)
			}
			if left, _ := filepath.Glob(path + "/*"); mend && len(left) != 3 {
				t.Errorf("without %s: %q", gone, left)
			}
			if _, err := d.Find("3.y"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("without %s: find %v", gone, err)
			}
			d.Close()
		}
	}
}

// Something other than a directory is not taken for an empty one.
func TestFileForDirectory(t *testing.T) {
	for _, make := range []func(string) error{
		func(p string) error { return os.WriteFile(p, nil, 0o600) },
		func(p string) error { return os.Symlink("/tmp", p) },
		func(p string) error { return os.Symlink("/nonexistent", p) },
	} {
		path := filepath.Join(t.TempDir(), "Maildir")
		if err := Create(path); err != nil {
			t.Fatal(err)
		}
		os.Remove(path + "/cur")
		if err := make(path + "/cur"); err != nil {
			t.Fatal(err)
		}
		if d, err := Open(path); err == nil {
			d.Close()
			t.Error("opened")
		}
	}
}
