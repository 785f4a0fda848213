package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func rename(t *testing.T, path, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(path, from), filepath.Join(path, to)); err != nil {
		t.Fatal(err)
	}
}

// Two messages of one key, which no deliverer of ours makes, are not mixed up.
func TestNeverAnotherMessage(t *testing.T) {
	d, path := open(t)
	put(t, path, "new/1.a,S=2", "a\n")
	put(t, path, "new/1.a,S=3", "bb\n")
	put(t, path, "new/1.ab", "c\n")
	list, err := d.List()
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	rename(t, path, "new/1.a,S=2", "cur/1.a,S=2:2,S")
	rename(t, path, "new/1.a,S=3", "cur/1.a,S=3:2,S")
	rename(t, path, "new/1.ab", "cur/1.ab:2,S")
	for i, want := range []string{"a\n", "bb\n", "c\n"} {
		f, err := d.Open(&list[i])
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(f)
		f.Close()
		if string(got) != want {
			t.Errorf("message %d is %q, want %q", i, got, want)
		}
	}
	// One of them goes: it is not taken for the other.
	os.Remove(filepath.Join(path, "cur/1.a,S=2:2,S"))
	if f, err := d.Open(&list[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed message is %v, %v", f, err)
	}
}

func TestSized(t *testing.T) {
	d, path := open(t)
	put(t, path, "new/1.a", "x\n")
	put(t, path, "cur/2.b,S=2:2,F", "x\n")
	put(t, path, "cur/3.c,S=2,W=3:2,", "x\n")
	list, _ := d.List()
	for i, want := range []string{"1.a,S=2,W=3", "2.b,S=2,W=3:2,F", "3.c,S=2,W=3:2,"} {
		m := list[i]
		if err := d.AddSizes(&m, 2, 3); err != nil || m.Name != want || m.Sub != list[i].Sub {
			t.Errorf("%s became %s/%s, %v", list[i].Name, m.Sub, m.Name, err)
		}
		if list[i].Name != want { // a reader that knew the old name finds it
			f, err := d.Open(&list[i])
			if err != nil {
				t.Error(err)
				continue
			}
			f.Close()
		}
	}
}

func TestOldAndSeen(t *testing.T) {
	d, path := open(t)
	for _, name := range []string{"new/1.a", "new/2.b:2,F", "cur/3.c:2,", "cur/4.d:1,x", "cur/5.e:2,aS"} {
		put(t, path, name, "x\n")
	}
	list, _ := d.List()
	for i, want := range []string{"1.a:2,", "2.b:2,F", "3.c:2,", "4.d:1,x", "5.e:2,aS"} {
		if err := d.MoveToCur(&list[i]); err != nil || list[i].Name != want || list[i].Sub != "cur" {
			t.Errorf("old: %s/%s, %v", list[i].Sub, list[i].Name, err)
		}
	}
	for i, want := range []string{"1.a:2,S", "2.b:2,FS", "3.c:2,S", "4.d:1,x", "5.e:2,Sa"} {
		if err := d.MarkSeen(&list[i]); err != nil || list[i].Name != want {
			t.Errorf("seen: %s, %v", list[i].Name, err)
		}
	}
	gone := Message{Key: "9.z", Name: "9.z", Sub: "new"}
	if err := d.MoveToCur(&gone); err != nil {
		t.Error(err)
	}
}

// An IMAP server that moves everything at once costs two listings, not one a
// message.
func TestManyMoveAtOnce(t *testing.T) {
	const n = 2000
	d, path := open(t)
	for i := range n {
		put(t, path, fmt.Sprintf("new/%06d.a", i), "")
	}
	list, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		rename(t, path, "new/"+list[i].Name, "cur/"+list[i].Name+":2,")
		if i%10 == 0 {
			os.Remove(filepath.Join(path, "cur", list[i].Name+":2,"))
		}
	}
	gone := 0
	for i := range list {
		if err := d.MarkSeen(&list[i]); errors.Is(err, fs.ErrNotExist) {
			gone++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if gone != n/10 {
		t.Errorf("%d are gone, want %d", gone, n/10)
	}
}

func TestIndexed(t *testing.T) {
	d, path := open(t)
	if d.HasIMAPIndex() {
		t.Error("nobody keeps an index here")
	}
	put(t, path, "dovecot-uidlist", "3 V1\n")
	if !d.HasIMAPIndex() {
		t.Error("Dovecot's index is not seen")
	}
}
