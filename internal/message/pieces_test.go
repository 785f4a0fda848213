package message

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPieces(t *testing.T) {
	src := "A: 1\nBcc: x\nB: 2\nbcc: y\n z\n\nbody\n"
	h, err := Read(strings.NewReader(src), 1000, 10)
	if err != nil {
		t.Fatal(err)
	}
	var p Pieces
	p.Text("Date: now\n")
	p.Without(strings.NewReader(src), int64(len(src)), h.All("Bcc"))
	want := "Date: now\nA: 1\nB: 2\n\nbody\n"
	if err := iotest.TestReader(io.NewSectionReader(&p, 0, p.Size()), []byte(want)); err != nil {
		t.Error(err)
	}
	var none Pieces
	if n, err := none.ReadAt(make([]byte, 1), 0); n != 0 || err != io.EOF || none.Size() != 0 {
		t.Errorf("nothing gave %d, %v", n, err)
	}
	var short Pieces
	short.Stretch(strings.NewReader("abc"), 0, 5)
	if _, err := short.ReadAt(make([]byte, 5), 0); err != io.ErrUnexpectedEOF {
		t.Errorf("a short source gave %v", err)
	}
}
