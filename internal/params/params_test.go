package params

import "testing"

func TestGet(t *testing.T) {
	const words = "NOTIFY=NEVER orcpt=rfc822;a@b  LONE X="
	for name, want := range map[string]string{"NOTIFY": "NEVER", "notify": "NEVER", "ORCPT": "rfc822;a@b",
		"LONE": "", "X": "", "OTIFY": "", "NOTIFYX": ""} {
		if got := Get(words, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a+2Bb": "a+b", "a+2bb": "a+b", "a+20b": "a b", "+C3+BC": "ü",
		"+": "?", "+2": "?", "+zz": "?", "+-1": "?", "+0A": "?", "a\x00": "?", "+7F": "?", "": ""} {
		got, ok := Decode(in)
		if !ok {
			got = "?"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestIsXtext(t *testing.T) {
	for in, want := range map[string]bool{"a": true, "a+2Bb": true, "+": false, "+2": false, "+zz": false, "+0A": false, "+C3+BC": false, "": false,
		"ä": false, "a b": false, "a\r\nQUIT": false} {
		if got := IsXtext(in); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a+b=c d")
	f.Add("ü\x00")
	f.Fuzz(func(t *testing.T, s string) {
		control := false
		for _, c := range []byte(s) {
			control = control || c < ' ' || c == 0x7f
		}
		got, ok := Decode(Encode(s))
		if ok == control || ok && got != s {
			t.Fatalf("%q became %q, read as %q, %v", s, Encode(s), got, ok)
		}
	})
}
