package pop3

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// hostileBodies are messages with line ends and dots at the edges of chunks and lines.
func hostileBodies() []string {
	bodies := []string{"", "\n", "\r", "\r\n", ".", ".\n", "..", "\n.", "\r\n.", "\r.", "\n\n", "\n.\n", ".\r\n.",
		"a", "a\n", "a\r", "a\r\n", "a\n.", "a\r\n.\r\n", "\n.\n.\n", "\x00", "\x00\n.\x00", "\r\r\n", "\r\n\n", "\n\r", "\n\r\n",
		"a\r.\rb", "\xff\xfe\n", "a: b\n\n.\n", "\r\n.\n\r.\n"}
	for _, n := range []int{chunkSize - 2, chunkSize - 1, chunkSize, chunkSize + 1, 2*chunkSize - 1, 2 * chunkSize, 3 * chunkSize} {
		for _, tail := range []string{"", "\n", "\r\n", "\n.", "\r\n.\r\n", ".", "\r", "\r\r\n", "\n.\n.\n"} {
			bodies = append(bodies, strings.Repeat("x", n)+tail)
		}
		bodies = append(bodies, strings.Repeat("\n", n), strings.Repeat(".\n", n/2), strings.Repeat("\r\n", n/2), "x"+strings.Repeat("\r\n", n/2))
	}
	return bodies
}

// reference is the simplest implementation of the reply to RETR or TOP. lines is -1
// for the whole message.
func reference(body string, lines int) string {
	var out strings.Builder
	inBody := false
	for body != "" {
		if inBody && lines == 0 {
			break
		}
		line, rest, ended := strings.Cut(body, "\n")
		if ended {
			line = strings.TrimSuffix(line, "\r")
		}
		body = rest
		switch {
		case inBody:
			lines--
		case line == "" && ended && lines >= 0:
			inBody = true
		}
		if strings.HasPrefix(line, ".") {
			out.WriteString(".")
		}
		out.WriteString(line + "\r\n")
	}
	return out.String() + ".\r\n"
}

// unstuffed is how many octets a client has after removing the dots of a reply.
func unstuffed(reply string) int64 {
	text := strings.TrimSuffix(reply, ".\r\n")
	n := len(text)
	for _, line := range strings.Split(text, "\r\n") {
		if strings.HasPrefix(line, ".") {
			n--
		}
	}
	return int64(n)
}

// encodeAll encodes all of r, in the pieces in which it comes.
func encodeAll(t *testing.T, r io.Reader, limit *top) string {
	t.Helper()
	out := new(bytes.Buffer)
	s := sendTo(out)
	if err := s.send(r, limit); err != nil {
		t.Fatal(err)
	}
	if err := s.wire.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func checkEncoding(t *testing.T, body string, lines int) {
	t.Helper()
	want, wantTop := reference(body, -1), reference(body, lines)
	for name, r := range map[string]func() io.Reader{
		"chunks": func() io.Reader { return strings.NewReader(body) },
		"bytes":  func() io.Reader { return iotest.OneByteReader(strings.NewReader(body)) },
		"eof":    func() io.Reader { return iotest.DataErrReader(strings.NewReader(body)) },
		"halves": func() io.Reader { return iotest.HalfReader(strings.NewReader(body)) },
	} {
		if len(body) > 1000 && name != "chunks" && name != "eof" {
			continue
		}
		if got := encodeAll(t, r(), nil); got != want {
			t.Fatalf("%s: RETR of %.60q is %.80q, want %.80q", name, body, got, want)
		}
		if got := encodeAll(t, r(), &top{lines: lines}); got != wantTop {
			t.Fatalf("%s: TOP %d of %.60q is %.80q, want %.80q", name, lines, body, got, wantTop)
		}
		size, err := measure(r(), make([]byte, chunkSize))
		if err != nil || size != unstuffed(want) {
			t.Fatalf("%s: size of %.60q is %d (%v), want %d", name, body, size, err, unstuffed(want))
		}
	}
}

func TestEncoding(t *testing.T) {
	for i, body := range hostileBodies() {
		checkEncoding(t, body, i%4)
	}
}

func FuzzEncoding(f *testing.F) {
	for i, body := range hostileBodies() {
		if len(body) < 100 {
			f.Add(body, i%4)
		}
	}
	f.Fuzz(func(t *testing.T, body string, lines int) {
		checkEncoding(t, body, max(0, lines))
	})
}

func TestMeasureFails(t *testing.T) {
	r := iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 2*chunkSize)))
	if _, err := measure(r, make([]byte, chunkSize)); err == nil {
		t.Error("a failed read gave a size")
	}
}

func BenchmarkEncoder(b *testing.B) {
	piece := []byte(strings.Repeat(strings.Repeat("x", 70)+"\n", chunkSize/71))
	out := make([]byte, 0, 2*chunkSize)
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		var e encoder
		out = e.append(out[:0], piece)
	}
}
