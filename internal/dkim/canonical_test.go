package dkim

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"testing/iotest"

	"bufio"
	"io"
)

// canonicalBody returns the canonical form itself, by another hash than usual.
func canonicalBody(form canonical, text string, step int) string {
	b := newBody(form)
	var seen bytes.Buffer
	b.hash = recorder{b.hash, &seen}
	for len(text) > 0 {
		n := min(step, len(text))
		b.Write([]byte(text[:n]))
		text = text[n:]
	}
	if _, size := b.sum(); size != int64(seen.Len()) {
		return "wrong size"
	}
	return seen.String()
}

type hasher interface {
	io.Writer
	Sum([]byte) []byte
	Reset()
	Size() int
	BlockSize() int
}

// recorder is a hash that keeps what it is given.
type recorder struct {
	hasher
	seen *bytes.Buffer
}

func (r recorder) Write(p []byte) (int, error) {
	r.seen.Write(p)
	return r.hasher.Write(p)
}

// The forms of a body, with the examples of RFC 6376 3.4.5 among them, whole and octet
// by octet.
func TestBody(t *testing.T) {
	for _, c := range []struct{ in, relaxed, simple string }{
		{" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n", " C \r\nD \t E\r\n"},
		{"", "", "\r\n"},
		{"\r\n", "", "\r\n"},
		{"\r\n\r\n\r\n", "", "\r\n"},
		{" \t\r\n \r\n", "", " \t\r\n \r\n"},
		{"a", "a\r\n", "a\r\n"},
		{"a\n", "a\r\n", "a\r\n"},
		{"a \n\nb\n", "a\r\n\r\nb\r\n", "a \r\n\r\nb\r\n"},
		{"\n\na\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"a\r\n ", "a\r\n", "a\r\n \r\n"},
		{"a\rb\r\n", "a\rb\r\n", "a\rb\r\n"},
		{"a\r\r\n\r", "a\r\r\n\r\r\n", "a\r\r\n\r\r\n"},
		{"\x00\xff \t\tz", "\x00\xff z\r\n", "\x00\xff \t\tz\r\n"},
		{strings.Repeat("\r\n", 10000) + "x", strings.Repeat("\r\n", 10000) + "x\r\n", strings.Repeat("\r\n", 10000) + "x\r\n"},
		{"a\n" + strings.Repeat("b", 100000) + "\nc", "a\r\n" + strings.Repeat("b", 100000) + "\r\nc\r\n", "a\r\n" + strings.Repeat("b", 100000) + "\r\nc\r\n"},
		{strings.Repeat("ab  ", 20000), strings.TrimRight(strings.Repeat("ab ", 20000), " ") + "\r\n", strings.Repeat("ab  ", 20000) + "\r\n"},
	} {
		for _, step := range []int{1, 2, 3, 7, 1 << 20} {
			if got := canonicalBody(relaxed, c.in, step); got != c.relaxed {
				t.Errorf("relaxed, %.40q in steps of %d: %.60q, want %.60q", c.in, step, got, c.relaxed)
			}
			if got := canonicalBody(simple, c.in, step); got != c.simple {
				t.Errorf("simple, %.40q in steps of %d: %.60q, want %.60q", c.in, step, got, c.simple)
			}
		}
	}
}

// The forms of a field, with the examples of RFC 6376 3.4.5 among them.
func TestField(t *testing.T) {
	for _, c := range []struct{ name, in, relaxed string }{
		{"A", "A: X", "a:X"},
		{"B", "B : Y\t\r\n\tZ  ", "b:Y Z"},
		{"SUBJect", "SUBJect:\tAbC\r\n \r\n  d", "subject:AbC d"},
		{"X", "X:", "x:"},
		{"X", "X: \r\n\t", "x:"},
		{"X", "X:a:b", "x:a:b"},
		{"X", "X: a\r\njunk", "x:a\r\njunk"},
		{"From", "From\r\n : a", "from:a"},
		{"X", "X: a\rb \xc3\xa4", "x:a\rb \xc3\xa4"},
	} {
		for _, in := range []string{c.in, strings.ReplaceAll(c.in, "\r\n", "\n")} {
			if got := string(relaxed.field(nil, c.name, []byte(in))); got != c.relaxed {
				t.Errorf("relaxed, %q: %q, want %q", in, got, c.relaxed)
			}
			if got := string(simple.field(nil, c.name, []byte(in))); got != c.in {
				t.Errorf("simple, %q: %q, want %q", in, got, c.in)
			}
		}
	}
}

// readHeader stands behind the blank line then, however little each read gives.
func TestReadHeader(t *testing.T) {
	long := "X: " + strings.Repeat("x", 100000) + "\r\n"
	for in, want := range map[string]string{
		"A: b\r\n c\r\n\r\nbody":     "body",
		"A: b\n\nbody\n\n":           "body\n\n",
		"A: b\n":                     "",
		"A: b":                       "",
		"\nbody":                     "body",
		"":                           "",
		long + "A: b\r\n\r\nx":       "x",
		strings.Repeat("A: b\n", 50): "",
	} {
		r := bufio.NewReader(iotest.HalfReader(strings.NewReader(in)))
		h, err := readHeader(r)
		if err != nil {
			t.Errorf("%.30q: %v", in, err)
			continue
		}
		body, err := io.ReadAll(r)
		if string(body) != want || err != nil {
			t.Errorf("%.30q: the body is %q, %v, want %q", in, body, err, want)
		}
		if list := h.all("a"); len(list) > 0 && !strings.HasPrefix(string(h.field(list[0])), "A: b") {
			t.Errorf("%.30q: the field is %q", in, h.field(list[0]))
		}
	}
}

// Fields are taken from the bottom up, each once.
func TestAppendSigned(t *testing.T) {
	h, err := readHeader(bufio.NewReader(strings.NewReader("A: 1\nB: 2\na: 3\nA: 4\n\n")))
	if err != nil {
		t.Fatal(err)
	}
	for names, want := range map[string]string{
		"a":           "a:4|",
		"A:b:A:A:A:c": "a:4|b:2|a:3|a:1|",
		"":            "",
	} {
		got := string(h.appendSigned(nil, relaxed, strings.Split(names, ":"), -1))
		if got = strings.ReplaceAll(got, "\r\n", "|"); got != want {
			t.Errorf("%s: %s, want %s", names, got, want)
		}
	}
	if got := string(h.appendSigned(nil, relaxed, []string{"a", "a", "a"}, 2)); got != "a:4\r\na:1\r\n" {
		t.Errorf("without the field itself: %q", got)
	}
}

// FuzzBody: the form does not depend on how the body is cut into pieces, is what it was
// when it is put into the form again, and simple only removes ends of lines.
func FuzzBody(f *testing.F) {
	f.Add("a \r\n\tb\r\n\r\n", 1)
	f.Add("\r\r\n\r", 2)
	f.Fuzz(func(t *testing.T, text string, step int) {
		step = 1 + max(step, 0)%70000
		for _, form := range []canonical{relaxed, simple} {
			whole := canonicalBody(form, text, 1<<30)
			if pieces := canonicalBody(form, text, step); pieces != whole {
				t.Fatalf("%s: %q in pieces of %d, %q whole", form, pieces, step, whole)
			}
			if again := canonicalBody(form, whole, 1<<30); again != whole {
				t.Fatalf("%s: %q becomes %q", form, whole, again)
			}
			b := newBody(form)
			b.Write([]byte(text))
			if sum, _ := b.sum(); !bytes.Equal(sum, sum256(whole)) {
				t.Fatalf("%s: another hash", form)
			}
		}
	})
}

func sum256(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// FuzzTags: what is read is a list without doubles, and without b= only b= is missing.
func FuzzTags(f *testing.F) {
	f.Add("v=1; a=rsa-sha256; b=abc;\r\n d=e")
	f.Add("b=;;b = x")
	f.Fuzz(func(t *testing.T, text string) {
		bare := string(appendWithoutB(nil, []byte(text)))
		if len(bare) > len(text) {
			t.Fatalf("%q became %q", text, bare)
		}
		list, err := parseTags(text)
		if err != nil {
			return
		}
		less, err := parseTags(bare)
		if err != nil || len(less) != len(list) {
			t.Fatalf("%q became %q: %v", text, bare, err)
		}
		for i, tag := range list {
			if tag.name == "b" {
				tag.value = ""
			}
			if less[i] != tag {
				t.Fatalf("%q became %q", text, bare)
			}
		}
	})
}

// FuzzSignature: what a signature and a key record say about themselves is harmless.
func FuzzSignature(f *testing.F) {
	f.Add("v=1; a=rsa-sha256; d=example.org; s=x; h=From; b=AAAA; bh=AAAA; l=3; x=5; i=a@example.org", "v=DKIM1; p=AAAA")
	f.Fuzz(func(t *testing.T, text, key string) {
		var r Result
		parseSignature(text, &r)
		for _, s := range []string{r.Domain, r.Selector, r.Algorithm, r.B} {
			if strings.ContainsAny(s, "\r\n\x00 ;\"") || len(s) > 253 {
				t.Fatalf("%q", s)
			}
		}
		if k, err := parseRecord(key); err == nil && k.algorithm == "" {
			t.Fatalf("a key without an algorithm: %q", key)
		}
	})
}
