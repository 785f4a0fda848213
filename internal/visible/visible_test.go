package visible

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// hostile is what a terminal may obey: CSI, a title, C1 as UTF-8 and as an
// octet, DEL, line separators, overrides of the direction.
const hostile = "\x1b[2J\x1b]0;x\a\u009b2J\x9b2J\x7f\u2028\u202eevil\u2066\ufeff\r\x00"

func TestForms(t *testing.T) {
	want := `\x1b[2J\x1b]0;x\x07\u{9b}2J\x9b2J\x7f\u{2028}\u{202e}evil\u{2066}\u{feff}`
	if got := Escape(`a\b ` + hostile + "\n"); got != `a\\b `+want+`\x0d\x00\x0a` {
		t.Errorf("Escape: %s", got)
	}
	if got := Line(`a\b é` + hostile + "\n\t"); got != `a\b é`+want+` \x00  ` {
		t.Errorf("Line: %s", got)
	}
	for _, c := range []struct{ s, ascii, field string }{
		{"", "", ""},
		{`no such mailbox: a\b ~`, `no such mailbox: a\b ~`, `no such mailbox: a\b ~`},
		{"two\r\n250 ok\t.", "two  250 ok .", `two\x0d\x0a250 ok\x09.`},
		{"j\u00f6rg\u00a0\u200d@b.example", `j\u{f6}rg\u{a0}\u{200d}@b.example`, "j\u00f6rg\u00a0\u200d@b.example"},
		{"J\xf6rg \ufffd\U0001f600", `J\xf6rg \u{fffd}\u{1f600}`, "J\\xf6rg \ufffd\U0001f600"},
		{hostile, want[:strings.Index(want, "evil")] + `evil\u{2066}\u{feff} \x00`,
			`\x1b[2J\x1b]0;x\x07\u{9b}2J\x9b2J\x7f\u{2028}` + "\u202eevil\u2066\ufeff" + `\x0d\x00`},
	} {
		if got := ASCII(c.s); got != c.ascii {
			t.Errorf("ASCII of %q: %s, want %s", c.s, got, c.ascii)
		}
		if got := Field(c.s); got != c.field {
			t.Errorf("Field of %q: %q, want %q", c.s, got, c.field)
		}
	}
	var out strings.Builder
	if err := filter(&out, iotest.OneByteReader(strings.NewReader("é\t€😀\n"+hostile+"\n\xe2\x82"))); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "é\t€😀\n"+want+`\x0d\x00`+"\n"+`\xe2\x82` {
		t.Errorf("to a terminal: %q", got)
	}
	out.Reset()
	if err := Copy(&out, strings.NewReader(hostile)); err != nil || out.String() != hostile {
		t.Errorf("to a pipe: %q, %v", out.String(), err)
	}
}

// Whatever is shown holds nothing but visible characters, and JSON says the same
// as before.
func TestNothingIsObeyed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{hostile, "\U000e0041<&>"}),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		var out strings.Builder
		if err := JSON(&out, map[string]string{"k": s}); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSuffix(out.String(), "\n")
		var back map[string]string
		if err := json.Unmarshal([]byte(text), &back); err != nil || back["k"] != strings.ToValidUTF8(s, "\ufffd") &&
			back["k"] != string([]rune(s)) {
			t.Fatalf("JSON of %q is %q, %v", s, text, err)
		}
		for _, shown := range []string{Escape(s), Line(s), ASCII(s), text} {
			if i := strings.IndexFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Fatalf("%q is shown as %q", s, shown)
			}
		}
	})
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		s    string
		most int
		want string
	}{
		{"", 3, ""}, {"12345", 5, "12345"}, {"123456", 5, "12..."}, {"\u00e9\u00e9\u00e9", 5, "\u00e9..."},
		{"1\u00e9\u00e9", 5, "1\u00e9\u00e9"}, {"1\u00e9\u00e9\u00e9", 5, "1..."}, {"\U0001f600\U0001f600", 6, "..."},
	} {
		if got := Shorten(c.s, c.most); got != c.want {
			t.Errorf("Shorten of %q to %d: %q, want %q", c.s, c.most, got, c.want)
		}
	}
}

// FuzzForms: whatever strangers write, a reply is printable ASCII, neither a reply nor
// a header field gets a second line, and each form leaves its own result as it is.
func FuzzForms(f *testing.F) {
	for _, s := range []string{"", hostile, "a\\b", "j\u00f6rg@b.example", "\xff\xfe", "\r\n.\r\n"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		ascii, field, line := ASCII(s), Field(s), Line(s)
		if i := strings.IndexFunc(ascii, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Errorf("ASCII of %q is %q", s, ascii)
		}
		if i := strings.IndexFunc(field, unicode.IsControl); i >= 0 || !utf8.ValidString(field) {
			t.Errorf("Field of %q is %q", s, field)
		}
		if ASCII(ascii) != ascii || Field(field) != field || Line(line) != line {
			t.Errorf("%q: a second time changes %q, %q or %q", s, ascii, field, line)
		}
		if short := Shorten(line, most); len(short) > max(most, len("...")) || !utf8.ValidString(short) {
			t.Errorf("Shorten of %q to %d is %q", line, most, short)
		}
	})
}
