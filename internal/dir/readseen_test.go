package dir

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What ReadSeen takes and refuses is what OpenSeen does.
func TestReadSeen(t *testing.T) {
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	long := strings.Repeat("n", 255)
	if err := errors.Join(os.WriteFile(at("file"), []byte("some text"), 0o600), os.WriteFile(at(long), nil, 0o600),
		os.Symlink("file", at("link")), os.Mkdir(at("dir"), 0o700), unix.Mkfifo(at("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d, err := Open(top)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for _, name := range []string{"file", long, long + "n", "link", "dir", "fifo", "missing", ".file", "dir/x", ""} {
		f, opened, want := d.OpenSeen(name, unix.O_RDONLY)
		n, st, err := d.ReadSeen(name, buf)
		if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
		if err != nil || want != nil {
			continue
		}
		f.Close()
		if int64(n) != opened.Size || st.Ino != opened.Ino || st.Mtim != opened.Mtim {
			t.Errorf("%q: %d octets of %+v, want %+v", name, n, st, opened)
		}
	}
	if n, _, err := d.ReadSeen("file", buf[:4]); n != 4 || err != nil || string(buf[:4]) != "some" {
		t.Errorf("%d octets %q, %v", n, buf[:4], err)
	}
	d.Close()
	if _, _, err := d.ReadSeen("file", buf); !errors.Is(err, unix.EBADF) {
		t.Errorf("of a closed directory: %v", err)
	}
	if names, err := os.ReadDir("/proc/self/fd"); err != nil || len(names) > 20 {
		t.Errorf("%d files are open, %v", len(names), err)
	}
}

// A look at a file that is due later leaves no trace in its inode.
func TestReadSeenLeavesNoTrace(t *testing.T) {
	top := t.TempDir()
	path, then := filepath.Join(top, "file"), time.Now().Add(time.Hour)
	if err := errors.Join(os.WriteFile(path, []byte("text"), 0o600), os.Chtimes(path, then, then)); err != nil {
		t.Fatal(err)
	}
	d, err := Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	before, err := d.StatName("file")
	if err != nil {
		t.Fatal(err)
	}
	if n, st, err := d.ReadSeen("file", make([]byte, 10)); n != 4 || st != before || err != nil {
		t.Errorf("%d octets of %+v, %v", n, st, err)
	}
	if after, err := d.StatName("file"); after != before || err != nil {
		t.Errorf("%+v, before %+v, %v", after, before, err)
	}
}

// A file of another user is read, though only its owner may leave no trace.
func TestReadSeenOfOthers(t *testing.T) {
	if os.Geteuid() == 0 { // as nobody, this thread alone
		runtime.LockOSThread() // and never unlocked: it ends with the test
		if _, _, err := unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0); err != 0 {
			t.Fatal(err)
		}
	}
	d, err := Open("/etc")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 2 {
		if n, _, err := d.ReadSeen("passwd", make([]byte, 10)); n != 10 || err != nil {
			t.Errorf("%d octets, %v", n, err)
		}
	}
	if !d.others.Load() {
		t.Error("the flag of owners is asked for again")
	}
}
