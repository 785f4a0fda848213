package pop3

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// A session that waits has no borrowed memory, and gives none back that still has
// output.
func TestLentMemory(t *testing.T) {
	var sent bytes.Buffer
	w := newStream(&badConn{commands: strings.NewReader(""), write: sent.Write}, &Config{})
	w.print("+OK\r\n")
	w.growOut()
	if cap(w.Out) != outSize || string(w.Out) != "+OK\r\n" {
		t.Fatalf("%d octets of room for %q", cap(w.Out), w.Out)
	}
	w.releaseOut()
	w.print("more\r\n")
	if _, err := w.Read(make([]byte, 1)); err != io.EOF || sent.String() != "+OK\r\nmore\r\n" {
		t.Errorf("sent %q, %v", &sent, err)
	}
	if w.Out != nil {
		t.Errorf("%d octets are kept while the session waits", cap(w.Out))
	}
}

// The most output that waits and one chunk that doubles fit in a borrowed buffer:
// append never allocates another one.
func TestOutHolds(t *testing.T) {
	var e encoder
	dst := make([]byte, flushAt-1, outSize)
	if got := e.append(dst, bytes.Repeat([]byte("\n"), chunkSize)); cap(got) != outSize {
		t.Errorf("%d octets do not fit", len(got))
	}
}
