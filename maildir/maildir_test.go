package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gomaildir "github.com/emersion/go-maildir"
	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

func open(t *testing.T) (*Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example.net", "bob", "Maildir")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, path
}

func put(t *testing.T, path, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestDeliver(t *testing.T) {
	d, path := open(t)
	if err := d.Deliver("1.a.h,S=3,W=4", text("hi\n")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(path, "new", "1.a.h,S=3,W=4"))
	if err != nil || string(b) != "hi\n" {
		t.Errorf("delivered %q, %v", b, err)
	}
	if err := d.Deliver("1.a.h,S=3,W=4", text("no\n")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing name gave %v", err)
	}
	broken := errors.New("source broke")
	if err := d.Deliver("2.a.h,S=3,W=4", func(w io.Writer) error {
		io.WriteString(w, "h")
		return broken
	}); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	for sub, want := range map[string]int{"tmp": 0, "new": 1, "cur": 0} {
		if names, _ := os.ReadDir(filepath.Join(path, sub)); len(names) != want {
			t.Errorf("%s holds %v", sub, names)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(path, "new", "1.a.h,S=3,W=4")); string(b) != "hi\n" {
		t.Errorf("replaced by %q", b)
	}
}

func TestDeliverAfterACrashThatLeftItsDraft(t *testing.T) {
	d, path := open(t)
	put(t, path, "tmp/1.a.h", "half")
	if err := d.Deliver("1.a.h", text("whole\n")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(path, "new/1.a.h")); string(b) != "whole\n" {
		t.Errorf("delivered %q", b)
	}
}

func TestListReadsNamesAlone(t *testing.T) {
	d, path := open(t)
	put(t, path, "new/3.c.h,S=10,W=12", "")
	put(t, path, "cur/1.a.h,S=7,W=8:2,RS", "")
	put(t, path, "cur/2.b.h:2,", "")
	put(t, path, "new/4.d.h:2,S", "")
	put(t, path, "new/5.e.h,S=x,W=-1", "")
	put(t, path, "new/.hidden", "")
	list, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, fmt.Sprintf("%s %s %s %d %d", m.Key, m.Sub, m.Flags, m.Size, m.WireSize))
	}
	want := "1.a.h cur RS 7 8|2.b.h cur  -1 -1|3.c.h new  10 12|4.d.h new S -1 -1|5.e.h new  -1 -1"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("list is\n%s, want\n%s", s, want)
	}
}

func TestAMessageIsFoundAgainByKey(t *testing.T) {
	d, path := open(t)
	put(t, path, "new/1.a.h,S=3", "hi\n")
	list, _ := d.List()
	m := list[0]
	if err := os.Rename(filepath.Join(path, "new/1.a.h,S=3"), filepath.Join(path, "cur/1.a.h,S=3:2,F")); err != nil {
		t.Fatal(err)
	}
	f, err := d.Open(&m)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if m.Sub != "cur" || m.Flags != "F" {
		t.Errorf("message is now %+v", m)
	}
	if err := d.MarkSeen(&m); err != nil || m.Name != "1.a.h,S=3:2,FS" {
		t.Errorf("seen as %q, %v", m.Name, err)
	}
	stale := list[0]
	if err := d.Remove(&stale); err != nil {
		t.Error(err)
	}
	if err := d.Remove(&list[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing it again gave %v", err)
	}
}

func TestOnlyRegularFilesAreMessages(t *testing.T) {
	d, path := open(t)
	secret := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(secret, []byte("x"), 0o600)
	if err := os.Symlink(secret, filepath.Join(path, "new/1.link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, "new/2.dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(path, "new/3.fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := d.List(); err != nil || len(list) != 0 {
		t.Fatalf("list %v, %v", list, err)
	}
	for _, name := range []string{"1.link", "2.dir", "3.fifo"} {
		m := Message{Key: name, Name: name, Sub: "new"}
		if f, err := d.Open(&m); err == nil {
			f.Close()
			t.Errorf("opened %s", name)
		}
	}
}

func TestLock(t *testing.T) {
	d, path := open(t)
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Lock(); !errors.Is(err, ErrBusy) {
		t.Errorf("second lock gave %v", err)
	}
	unlock()
	if again, err := other.Lock(); err != nil {
		t.Error(err)
	} else {
		again()
	}
}

func TestCleanTakesOldFilesOnly(t *testing.T) {
	d, path := open(t)
	put(t, path, "tmp/draft", "x")
	made := time.Now()
	// A message may have an old mtime before it is placed.
	if err := os.Chtimes(filepath.Join(path, "tmp/draft"), made, made.Add(-2*dir.CleanAge)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age          time.Duration
		believed     bool
		asked, stays bool
	}{
		{0, true, false, true},
		{dir.CleanAge - time.Minute, true, false, true},
		{dir.CleanAge + time.Minute, false, true, true},
		{dir.CleanAge + time.Minute, true, true, false},
		{dir.CleanAge + time.Minute, true, false, false}, // none is left to ask for
	} {
		asked := false
		err := d.Clean(made.Add(c.age), func() bool { asked = true; return c.believed })
		if _, gone := os.Stat(filepath.Join(path, "tmp/draft")); err != nil || asked != c.asked || (gone == nil) != c.stays {
			t.Errorf("%+v: asked %v, %v, %v", c, asked, gone, err)
		}
	}
}

// TestGoMaildirAgrees holds our Maildirs against another implementation.
func TestGoMaildirAgrees(t *testing.T) {
	d, path := open(t)
	if err := d.Deliver("1764000000.M000001R0123456789abcdef.mx,S=3,W=4", text("hi\n")); err != nil {
		t.Fatal(err)
	}
	list, _ := d.List()
	if err := d.MarkSeen(&list[0]); err != nil {
		t.Fatal(err)
	}
	msgs, err := gomaildir.Dir(path).Messages()
	if err != nil || len(msgs) != 1 {
		t.Fatalf("it sees %v, %v", msgs, err)
	}
	if flags := msgs[0].Flags(); len(flags) != 1 || flags[0] != gomaildir.FlagSeen {
		t.Errorf("flags %v", flags)
	}
}
