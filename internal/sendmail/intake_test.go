package sendmail

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"paperpath/internal/status"
)

func take(r io.Reader, size int, dotEnds bool, limit int64) (string, error) {
	var out bytes.Buffer
	in := intake{r: bufio.NewReaderSize(r, size), w: &out, limit: limit, dotEnds: dotEnds}
	err := in.copy()
	return out.String(), err
}

func TestIntake(t *testing.T) {
	for _, c := range []struct {
		in, want string
		dots     bool
	}{
		{"A: b\n\nc\n", "A: b\n\nc\n", true},
		{"A: b\r\n\r\nc\r\n", "A: b\n\nc\n", true},
		{"a\rb\r\n", "a b\n", true},
		{"a\r\r\nb", "a\nb", true},
		{"a\x00b\n", "a b\n", true},
		{"end\r", "end ", true},
		{"a\n.\nb\n", "a\n", true},
		{"a\n.\r\nb\n", "a\n", true},
		{"a\n.", "a\n", true},
		{"a\n.\nb\n", "a\n.\nb\n", false},
		{"a\n..\n.b\n", "a\n..\n.b\n", true},
		{".\n", "", true},
		{"8 bit: \xff\xfe é\n", "8 bit: \xff\xfe é\n", true},
		{strings.Repeat("x", 100) + "\r\n.\r\n", strings.Repeat("x", 100) + "\n", true},
		{strings.Repeat("x", 15) + "\r\ny\n", strings.Repeat("x", 15) + "\ny\n", true},
		{strings.Repeat("x", 15) + ".\nz\n", strings.Repeat("x", 15) + ".\nz\n", true},
		{strings.Repeat("x", 16) + ".\nz\n", strings.Repeat("x", 16) + ".\nz\n", true},
		{strings.Repeat("\r", 40) + "\n", "\n", true},
		{strings.Repeat("\r", 40) + "x\n", strings.Repeat(" ", 40) + "x\n", true},
		{"A: b\r\r\n\r\r\nbody\r\r\n", "A: b\n\nbody\n", true},
		{"a\n.\r\r\nb\n", "a\n", true},
		{"a\n.\r\r\nb\n", "a\n.\nb\n", false},
		{"a\n.\r.\n\r.\n.\x00\n", "a\n. .\n .\n. \n", true},
		{".\r", ". ", true},
	} {
		for _, size := range []int{16, 4096} {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.in),
				"by octet": iotest.OneByteReader(strings.NewReader(c.in))} {
				if got, err := take(r, size, c.dots, 1000); err != nil || got != c.want {
					t.Errorf("%q %s with %d: %q, %v, want %q", c.in, name, size, got, err, c.want)
				}
			}
		}
	}
}

// endless is a message without an end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestIntakeStopsAtTheLimit(t *testing.T) {
	if _, err := take(strings.NewReader("0123456789"), 16, false, 10); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	src := &endless{}
	_, err := take(src, 4096, false, 100000)
	if status.Exit(err) != status.Refused || !strings.Contains(err.Error(), "control/databytes") {
		t.Errorf("over the limit: %v", err)
	}
	if src.read > 110000 {
		t.Errorf("%d octets were read to refuse 100000", src.read)
	}
	if _, err := take(iotest.OneByteReader(strings.NewReader(strings.Repeat("\r", 30))), 16, false, 20); status.Exit(err) != status.Refused {
		t.Errorf("CRs without an end: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := take(broken, 16, false, 100); status.Exit(err) != status.TempFail {
		t.Errorf("a broken input: %v", err)
	}
}
