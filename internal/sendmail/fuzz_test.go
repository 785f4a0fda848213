package sendmail

import (
	"strings"
	"testing"
)

// FuzzIntake checks that standard input becomes a clean message, and the same one
// whether it is read in one piece or in small ones.
func FuzzIntake(f *testing.F) {
	for _, s := range []string{"", "a\r\nb\rc\x00d", ".\n", "a\n.\r\nb", "..\n", strings.Repeat("x", 20) + "\r\n", "\r\r\n\r"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, in string, dots bool) {
		small, err := take(strings.NewReader(in), 16, dots, 1<<30)
		large, err2 := take(strings.NewReader(in), 1<<16, dots, 1<<30)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if small != large || strings.ContainsAny(small, "\r\x00") {
			t.Errorf("%q became %q and %q", in, small, large)
		}
	})
}
