package dir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
