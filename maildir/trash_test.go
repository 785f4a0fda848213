package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

func TestParkAndExpire(t *testing.T) {
	d, path := open(t)
	if _, err := OpenTrash(path, false); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no trash yet: %v", err)
	}
	trash, err := OpenTrash(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer trash.Close()
	put(t, path, "new/1.a,S=2,W=3", "x\n")
	put(t, path, "cur/2.b,P=5,S=2:2,FS", "x\n") // was parked once, and put back
	put(t, path, ".Trash/cur/3.c:2,S", "x\n")   // an IMAP user's
	put(t, path, ".Trash/new/4.d,P=x", "x\n")   // nonsense
	list, _ := d.List()
	first, second := time.Unix(1000, 0), time.Unix(2000, 0)
	for i, now := range []time.Time{first, second} {
		if err := d.MoveToTrash(&list[i], trash, now); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (all []string) {
		list, _ := trash.List()
		for _, m := range list {
			all = append(all, m.Name)
		}
		return all
	}
	want := []string{"1.a,S=2,W=3,P=1000:2,", "2.b,S=2,P=2000:2,FS", "3.c:2,S", "4.d,P=x"}
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("trash holds %q, want %q", got, want)
	}
	for _, row := range []struct {
		before time.Time
		n      int
	}{{first, 0}, {second, 1}, {second.Add(time.Second), 1}, {time.Now().Add(time.Hour), 0}} {
		if n, err := trash.Expire(row.before); n != row.n || err != nil {
			t.Errorf("before %v: %d expired, %v", row.before.Unix(), n, err)
		}
	}
	if got := names(); !slices.Equal(got, want[2:]) {
		t.Errorf("trash holds %q, want %q", got, want[2:])
	}
}

// TestOddSizeFile: nothing is written into a fifo in the place of a file.
func TestOddSizeFile(t *testing.T) {
	_, path := open(t)
	if err := unix.Mkfifo(filepath.Join(path, "maildirsize"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(filepath.Join(path, "maildirsize"), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close() // somebody listens, so that a write would not fail
	if err := ReduceQuota(path, 1, 1); !errors.Is(err, dir.ErrNotRegular) {
		t.Errorf("error %v", err)
	}
}

func TestQuota(t *testing.T) {
	d, path := open(t)
	if HasQuota(path) {
		t.Error("nobody keeps count")
	}
	if err := ReduceQuota(path, 5, 1); err != nil {
		t.Error(err)
	}
	put(t, path, "maildirsize", "1000S,10C\n25 3\n")
	for name, want := range map[string]int64{"new/1.a,S=7": 7, "new/2.b": 2, "cur/3.c,S=9:2,T": 0} {
		put(t, path, name, "x\n")
		m := parse(filepath.Dir(name), filepath.Base(name))
		if got := d.QuotaSize(&m); got != want {
			t.Errorf("%s weighs %d, want %d", name, got, want)
		}
	}
	if err := ReduceQuota(path, 9, 2); err != nil || !HasQuota(path) {
		t.Error(err)
	}
	if text, _ := os.ReadFile(filepath.Join(path, "maildirsize")); string(text) != "1000S,10C\n25 3\n-9 -2\n" {
		t.Errorf("maildirsize is %q", text)
	}
}
