package spool

import (
	"context"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadOnly: by the descriptor that a process of another user gets of an entry, it can neither
// write there nor move the place of ours.
func TestReadOnly(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxDeliver, "From: a@b\n\nx\n", "bob@example.net")
	handled := false
	f.run(InboxDeliver, func(_ context.Context, e *Entry) Outcome {
		handled = true
		before, err := unix.Seek(e.file.Fd(), 0, io.SeekCurrent)
		if err != nil {
			t.Fatal(err)
		}
		file, err := e.ReadOnly()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteAt([]byte("forged"), 0); err == nil {
			t.Error("it can be written")
		}
		if err := file.Truncate(0); err == nil {
			t.Error("it can be cut")
		}
		if n, err := io.Copy(io.Discard, file); n != e.Size || err != nil {
			t.Errorf("read %d of %d octets, %v", n, e.Size, err)
		}
		if after, err := unix.Seek(e.file.Fd(), 0, io.SeekCurrent); after != before || err != nil {
			t.Errorf("our place went from %d to %d, %v", before, after, err)
		}
		return DropBecause("test")
	})
	if !handled {
		t.Error("the entry was not handled")
	}
}
