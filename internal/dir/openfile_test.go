package dir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFile: a File does what an os.File does for one that is regular.
func TestFile(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f, err := d.Create("one", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"To: a@example.org\n", "", "\nhello\n"} {
		if n, err := f.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("wrote %d of %d, %v", n, len(part), err)
		}
	}
	if n, err := f.WriteAt([]byte("b@example.net"), 4); n != 13 || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	const want = "To: b@example.net\n\nhello\n"
	buf := make([]byte, 100)
	if n, err := f.ReadAt(buf, 0); string(buf[:n]) != want || err != io.EOF {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if n, err := f.ReadAt(buf[:5], 4); string(buf[:n]) != want[4:9] || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if text, err := io.ReadAll(io.NewSectionReader(f, 4, 13)); !bytes.Equal(text, []byte("b@example.net")) || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if st, err := f.Stat(); st.Size != int64(len(want)) || err != nil {
		t.Errorf("%d octets, %v", st.Size, err)
	}
	if f.Name() != d.Join("one") {
		t.Errorf("its name is %s", f.Name())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Error(err)
	}
}

// TestFailingFile: errors say what failed, and a closed file is never another one's.
func TestFailingFile(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	made, err := d.Create("one", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	made.Write([]byte("x"))
	made.Close()
	reading, _, err := d.OpenRegular("one", unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reading.Write([]byte("y")); !errors.Is(err, unix.EBADF) {
		t.Errorf("a file that is open for reading: %v", err)
	}
	reading.Close()
	other, err := d.Create("two", 0o600) // it gets that descriptor
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for what, do := range map[string]func() error{
		"write":    func() error { _, err := reading.Write([]byte("y")); return err },
		"write at": func() error { _, err := reading.WriteAt([]byte("y"), 0); return err },
		"read":     func() error { _, err := reading.ReadAt(make([]byte, 1), 0); return err },
		"stat":     func() error { _, err := reading.Stat(); return err },
		"sync":     reading.Sync,
		"close":    reading.Close,
	} {
		var failed *fs.PathError
		if err := do(); !errors.Is(err, fs.ErrClosed) || !errors.As(err, &failed) || failed.Path != d.Join("one") {
			t.Errorf("%s of a closed file: %v", what, err)
		}
	}
	if st, err := other.Stat(); st.Size != 0 || err != nil {
		t.Errorf("the other file has %d octets, %v", st.Size, err)
	}
}
