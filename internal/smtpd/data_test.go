package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"paperpath/internal/status"
)

// pieces is the input in pieces of n octets; 0: one piece.
func pieces(in string, n int) *script {
	if n == 0 {
		return &script{pieces: [][]byte{[]byte(in)}}
	}
	s := new(script)
	for b := []byte(in); len(b) > 0; {
		k := min(n, len(b))
		s.pieces = append(s.pieces, b[:k])
		b = b[k:]
	}
	return s
}

func newReader(conn net.Conn, maxSize int64) *dataReader {
	cfg := Config{MaxSize: maxSize}.withDefaults()
	return &dataReader{text: text{wire: newStream(conn, &cfg)}}
}

func TestDataReader(t *testing.T) {
	long := strings.Repeat("x", maxTextLine)
	const badLF, badCR, badNUL, big, lost = "bare LF", "bare CR", "NUL", "larger", "lost"
	tests := []struct {
		name, in  string
		text      string // where there is no error
		err, left string
	}{
		{"empty", ".\r\n", "", "", ""},
		{"empty line", "\r\n.\r\n", "\n", "", ""},
		{"text", "a\r\nb\r\n.\r\nQUIT\r\n", "a\nb\n", "", "QUIT\r\n"},
		{"stuffed dot", "..\r\n.\r\n", ".\n", "", ""},
		{"stuffed text", "..a\r\n...\r\n.\r\n", ".a\n..\n", "", ""},
		{"unstuffed dot goes", ".a\r\n.\r\n", "a\n", "", ""},
		{"dot inside a line", "a.\r\n .\r\n.\r\n", "a.\n .\n", "", ""},
		{"8 bit", "\xff\x80\x01\r\n.\r\n", "\xff\x80\x01\n", "", ""},
		{"LF.LF", "a\n.\nb\r\n.\r\n.", "", badLF, "."},
		{"LF.CRLF", "a\n.\r\nb\r\n.\r\n.", "", badLF, "."},
		{"CRLF.LF", "a\r\n.\nb\r\n.\r\n.", "", badLF, "."},
		{"CR.CR", "a\r.\rb\r\n.\r\n.", "", badCR, "."},
		{"CR.CRLF", "a\r.\r\nb\r\n.\r\n.", "", badCR, "."},
		{"CRLF.CR", "a\r\n.\rb\r\n.\r\n.", "", badCR, "."},
		{"CRLF.CR LF after all", "a\r\n.\r\r\n.\r\n.", "", badCR, "."},
		{"CR CRLF.CRLF", "a\r\r\n.\r\n.", "", badCR, "."},
		{"dot, stuffed and bare CR", "..\rx\r\n.\r\n.", "", badCR, "."},
		{"LF first", "\n.\r\n\r\n.\r\n.", "", badLF, "."},
		{"LF as the first line", "\n\r\n.\r\n.", "", badLF, "."},
		{"NUL", "a\x00b\r\n.\r\n.", "", badNUL, "."},
		{"NUL before the end", "a\r\n\x00.\r\nb\r\n.\r\n", "", badNUL, ""},
		{"NUL inside the end", "a\r\n.\x00\r\nb\r\n.\r\n", "", badNUL, ""},
		{"NUL between CR and LF", "a\r\x00\n.\r\nb\r\n.\r\n", "", badCR, ""},
		{"cut in the text", "a\r\nb", "", lost, ""},
		{"cut behind a line", "a\r\n", "", lost, ""},
		{"cut in the end", "a\r\n.\r", "", lost, ""},
		{"cut at once", "", "", lost, ""},
		{"defect and cut", "a\nb", "", lost, ""},
		{"longest line", long + "\r\n.\r\n", long + "\n", "", ""},
		{"line too long", long + "x\r\n.\r\n.", "", "too long", "."},
		{"line far too long", long + long + long + "\r\na\r\n.\r\n.", "", "too long", "."},
		{"exact size", strings.Repeat("12345678\r\n", 3<<20/10) + "1234\r\n.\r\n", strings.Repeat("12345678\n", 3<<20/10) + "1234\n", "", ""},
		{"one too many", strings.Repeat("12345678\r\n", 3<<20/10) + "12345\r\n.\r\n.", "", big, "."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{0, 1, 2, 3, 5, 4096, 33000} {
				if n > 0 && n < 100 && len(tt.in) > 1000 {
					continue
				}
				d := newReader(pieces(tt.in, n), 3<<20-3<<20%10+6)
				text, err := io.ReadAll(d)
				checkData(t, string(text), err, tt.text, tt.err)
				if left, _ := io.ReadAll(d.wire); string(left) != tt.left {
					t.Errorf("in pieces of %d: left %q, want %q", n, left, tt.left)
				}
			}
		})
	}
}

func checkData(t *testing.T, text string, err error, want, wantErr string) {
	t.Helper()
	if wantErr == "" {
		if err != nil || text != want {
			t.Errorf("got %d octets, %v; want %d", len(text), err, len(want))
		}
		return
	}
	var e *status.Error
	if !errors.As(err, &e) || !strings.Contains(e.Text, wantErr) {
		t.Errorf("error %v, want %q", err, wantErr)
	}
}

// The contract of io.Reader, with destinations of every size.
func TestDataReaderIsReader(t *testing.T) {
	in := "a\r\n..b\r\n\r\nccc\r\n.\r\n"
	if err := iotest.TestReader(newReader(pieces(in, 0), 0), []byte("a\n.b\n\nccc\n")); err != nil {
		t.Error(err)
	}
	text, err := io.ReadAll(iotest.OneByteReader(newReader(pieces(in, 0), 0)))
	if string(text) != "a\n.b\n\nccc\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// endless is a connection that brings n octets of lines, then the end.
type endless struct {
	script
	n, at int64
	block string // lines, over and over
}

func newEndless(n int64, line string) *endless {
	e := &endless{n: n, block: strings.Repeat(line, 64<<10/len(line))}
	e.script = *pieces("\r\n.\r\n", 0)
	return e
}

func (e *endless) Read(b []byte) (int, error) {
	if e.at >= e.n {
		return e.script.Read(b)
	}
	k := copy(b, e.block[int(e.at)%len(e.block):])
	e.at += int64(k)
	return k, nil
}

// A message far beyond the limit is read to its end with no more memory than a
// small one, with lines or without: less than an octet for each KiB.
func TestDataReaderMemory(t *testing.T) {
	const size, limit = 64 << 20, 8 << 20
	for _, line := range []string{strings.Repeat("x", 76) + "\r\n", "x"} {
		conn := newEndless(size, line)
		d := newReader(conn, limit)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := io.Copy(io.Discard, d)
		runtime.ReadMemStats(&after)
		if err == nil || n > limit || conn.at < size {
			t.Errorf("copied %d of %d, %v", n, conn.at, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > size>>10 {
			t.Errorf("%d octets allocated", grown)
		}
	}
}

func BenchmarkDataReader(b *testing.B) {
	const size = 25 << 20
	line := strings.Repeat("x", 76) + "\r\n"
	b.SetBytes(size)
	for b.Loop() {
		if _, err := io.Copy(io.Discard, newReader(newEndless(size, line), 0)); err != nil {
			b.Fatal(err)
		}
	}
}

// reference reads a message the slow way: the end is the first CRLF.CRLF of
// CRLF + in.
func reference(in []byte) (text []byte, flawed bool, left []byte, ended bool) {
	in = append([]byte("\r\n"), in...)
	end := bytes.Index(in, []byte("\r\n.\r\n"))
	if end < 0 {
		return nil, false, nil, false
	}
	body, left := in[:end+2], in[end+5:]
	text = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n."), crlf), crlf, []byte("\n"))[1:]
	stray := bytes.ReplaceAll(body, crlf, nil)
	return text, bytes.ContainsAny(stray, "\r\n\x00"), left, true
}

func FuzzDataReader(f *testing.F) {
	for _, s := range []string{".\r\n", "a\r\n.\r\nb", "a\n.\nb\r\n.\r\n", "\r\r\n.\r\n", ".\r\r\n.\r\n", "..\r\n.\r\n",
		"\r\n.\rx\r\n.\r\n", "\x00\r\n.\r\n", "a\r\n..b\r\n.c\r\n.\r\nd"} {
		f.Add([]byte(s), byte(1))
		f.Add([]byte(s), byte(0))
	}
	f.Fuzz(func(t *testing.T, in []byte, n byte) {
		text, flawed, left, ended := reference(in)
		d := newReader(pieces(string(in), int(n)), 0)
		got, err := io.ReadAll(d)
		gotLeft, _ := io.ReadAll(d.wire)
		switch {
		case !ended:
			if status.Exit(err) != status.TempFail || err == nil {
				t.Errorf("no end, but %v", err)
			}
		case flawed != (err != nil):
			t.Errorf("flawed %v, error %v", flawed, err)
		case !flawed && !bytes.Equal(got, text):
			t.Errorf("got %q, want %q", got, text)
		case !bytes.Equal(gotLeft, left):
			t.Errorf("left %q, want %q", gotLeft, left)
		}
	})
}

// FuzzSession: whatever comes, the replies are well formed, nothing of the
// client's comes back raw, and the Session is called in order.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@x.test> SIZE=3\r\nRCPT TO:<b@y.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nAUTH LOGIN\r\n*\r\n"))
	f.Add([]byte("HELO \x1b\r\nMAIL FROM:<\"a\\\"\"@x> BODY=7BIT\r\nVRFY\x00\r\n\r\nBDAT 1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := &script{pieces: [][]byte{in}}
		sess := &fake{}
		cfg := Config{Hostname: "mx.test", Auth: true, AuthInClear: true, MaxSize: 100}
		err := Serve(t.Context(), conn, cfg, func(c *Conn) Session { sess.conn = c; return sess })
		if err != nil && strings.HasPrefix(err.Error(), "panic: ") && !strings.HasPrefix(err.Error(), "panic: on purpose") {
			t.Error(err)
		}
		if sess.open {
			t.Error("transaction left open")
		}
		out := conn.out.String()
		if !strings.HasSuffix(out, "\r\n") {
			t.Errorf("%q", out)
		}
		for _, line := range strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n") {
			if !wellFormedReply(line) {
				t.Errorf("reply %q", line)
			}
		}
	})
}

func wellFormedReply(line string) bool {
	if len(line) < 4 || len(line) > 510 || line[0] < '2' || line[0] > '5' || line[3] != ' ' && line[3] != '-' {
		return false
	}
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return false
		}
	}
	return true
}

// FuzzReadLine compares with bytes.Cut at CRLF.
func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\r\nb\r\n"), byte(1))
	f.Add([]byte("a\n\rb\r\r\nc\x00\r\n\r\n"), byte(0))
	f.Fuzz(func(t *testing.T, in []byte, n byte) {
		cfg := Config{CommandTimeout: time.Hour}.withDefaults()
		w := newStream(pieces(string(in), int(n)), &cfg)
		for {
			want, rest, found := bytes.Cut(in, crlf)
			line, err := w.readLine(maxLine)
			switch {
			case !found:
				if err != io.EOF {
					t.Fatalf("%q, %v at the end", line, err)
				}
				return
			case len(want)+2 > maxAuthLine || len(want)+2 > maxLine && !bytes.EqualFold(want[:5], []byte("AUTH ")):
				if err != errLong {
					t.Fatalf("a line of %d octets: %v", len(want), err)
				}
			case bytes.ContainsAny(want, "\r\n\x00"):
				if err != errBytes {
					t.Fatalf("%q: %v", want, err)
				}
			case err != nil || !bytes.Equal(line, want):
				t.Fatalf("%q, %v; want %q", line, err, want)
			}
			in = rest
		}
	})
}
