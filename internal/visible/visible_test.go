package visible

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

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
		for _, shown := range []string{Escape(s), Line(s), text} {
			if i := strings.IndexFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Fatalf("%q is shown as %q", s, shown)
			}
		}
	})
}
