package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func summary(h *Header) string {
	var b strings.Builder
	for _, f := range h.Fields {
		fmt.Fprintf(&b, "%s=%s|", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "end %d", h.End)
	if h.Junk > 0 {
		fmt.Fprintf(&b, " junk %d", h.Junk)
	}
	if h.NUL {
		b.WriteString(" nul")
	}
	if !h.Blank {
		b.WriteString(" open")
	}
	if h.CRLF {
		b.WriteString(" crlf")
	}
	return b.String()
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"A: b\nC: d\n\nbody: x\n", "A=b|C=d|end 10"},
		{"A: b\n c\n\td\n\n", "A=b c\td|end 11"},
		{"A : b\n\n", "A=b|end 6"},
		{"A:\n\n", "A=|end 3"},
		{"A: b", "A=b|end 4 open"},
		{"", "end 0 open"},
		{"\nbody\n", "end 0"},
		{"just text\nmore\n\n", "end 15 junk 2"},
		{" folded\nA: b\n\n", "A=b|end 13 junk 1"},
		{"A: b\njunk\n c\nD: e\n\n", "A=b c|D=e|end 18 junk 1"},
		{"A: b\nFrom\n : c\nD: e\n\n", "A=b|From=c|D=e|end 20"},
		{"A: b\nFrom \n \t\n\t : c\n d\n\n", "A=b|From=c d|end 23"},
		{"From\n : c\n\n", "From=c|end 10"},
		{"A: b\nFrom\n c: d\n : e\n\n", "A=b c: d : e|end 21 junk 1"},
		{"A: b\nFrom x\n : e\n\n", "A=b : e|end 17 junk 1"},
		{"A: b\nFrom\nC: d\n : e\n\n", "A=b|C=d : e|end 20 junk 1"},
		{": x\nÄ: y\nA: z\n\n", "A=z|end 15 junk 2"},
		{"A: b\x00\n\n", "A=b\x00|end 6 nul"},
		{"A: b\r\n c\r\nD: e\r\n\r\nF: g\r\n", "A=b c|D=e|end 16 crlf"},
		{"A: b\n\r\nC: d\n", "A=b|end 5"},
		{"A: b\rC: d\n\n", "A=b\rC: d|end 10"},
		{"From x@y Mon\nA: b\n>From z\nB: c\n\n", "A=b|B=c|end 31 junk 2"},
		{"A: \n  \n\tb\n\n", "A=b|end 10"},
		{"A: " + strings.Repeat("x", 10000) + "\nB: c\n\n", "A=" + strings.Repeat("x", 10000) + "|B=c|end 10009"},
	} {
		h, err := Read(strings.NewReader(c.in), 1<<20, 1000)
		if got := summary(h); err != nil || got != c.want {
			t.Errorf("%.40q is %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	endless := strings.Repeat("A: b\n", 1000)
	if _, err := Read(strings.NewReader(endless), 100, 10000); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long gave %v", err)
	}
	if _, err := Read(strings.NewReader(strings.Repeat("x", 1<<20)), 1000, 10); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line without an end gave %v", err)
	}
	if _, err := Read(strings.NewReader(endless), 1<<20, 999); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many gave %v", err)
	}
	if _, err := Read(strings.NewReader(endless), 4999, 1000); !errors.Is(err, ErrTooLong) {
		t.Errorf("an octet too long gave %v", err)
	}
	if h, err := Read(strings.NewReader(endless), 5000, 1000); err != nil || len(h.Fields) != 1000 {
		t.Errorf("exactly at the limits: %v", err)
	}
}

func TestByName(t *testing.T) {
	h, _ := Read(strings.NewReader("To: a\nX: y\nTO: b\n\n"), 100, 10)
	if n := len(h.All("to")); n != 2 || h.Value("tO") != "a" || !h.Has("x") || h.Has("y") || h.Value("y") != "" {
		t.Errorf("%d fields, %+v", n, h)
	}
}

// FuzzRead: the fields cover the header without gaps or overlaps, and no octet
// of the body is taken for one.
func FuzzRead(f *testing.F) {
	f.Add([]byte("A: b\n c\njunk\nD: e\n\nF: g\n"))
	f.Add([]byte(" x\n: y\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := Read(bytes.NewReader(p), 1<<16, 100)
		if err != nil {
			return
		}
		end := int64(0)
		for i, fd := range h.Fields {
			if fd.Start < end || i > 0 && fd.Start != end || fd.End <= fd.Start || fd.End > h.End {
				t.Fatalf("field %d is %d to %d behind %d", i, fd.Start, fd.End, end)
			}
			end = fd.End
			if !bytes.HasPrefix(p[fd.Start:], []byte(fd.Name)) || strings.ContainsAny(fd.Value, "\n") {
				t.Fatalf("field %+v", fd)
			}
		}
		blank := bytes.TrimPrefix(p[min(h.End, int64(len(p))):], []byte("\r"))
		if h.End > int64(len(p)) || h.Blank && !bytes.HasPrefix(blank, []byte("\n")) && len(blank) > 0 || bytes.Contains(p[:h.End], []byte("\n\n")) {
			t.Fatalf("header ends at %d of %d", h.End, len(p))
		}
	})
}
