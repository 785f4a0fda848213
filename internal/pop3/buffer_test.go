package pop3

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// A session that waits holds no lent memory, and none with an answer in it is
// given back.
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
		t.Errorf("%d octets are held while the session waits", cap(w.Out))
	}
}

// Nothing that waits and a chunk behind it, all of it dots, is more than a lent
// buffer: appending never leaves it.
func TestOutHolds(t *testing.T) {
	var e encoder
	dst := make([]byte, flushAt-1, outSize)
	if got := e.append(dst, bytes.Repeat([]byte("\n"), chunkSize)); cap(got) != outSize {
		t.Errorf("%d octets do not fit", len(got))
	}
}
