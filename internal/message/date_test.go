package message

import (
	"testing"
	"time"
)

// A date is written in its own zone, and read again.
func TestDate(t *testing.T) {
	for want, at := range map[string]time.Time{
		"Sat, 28 Nov 2026 05:10:00 +0000": time.Date(2026, 11, 28, 5, 10, 0, 0, time.UTC),
		"Sun, 1 Nov 2026 00:00:00 -0330":  time.Date(2026, 11, 1, 0, 0, 0, 0, time.FixedZone("", -12600)),
	} {
		got := Date(at)
		back, err := ParseDate(got)
		if got != want || err != nil || !back.Equal(at) {
			t.Errorf("%q, %v, %v, want %q", got, back, err, want)
		}
	}
	for _, odd := range []string{"", "28 Nov 2026 05:10:00 +0000", "Sat, 28 Nov 2026 05:10:00 UTC"} {
		if at, err := ParseDate(odd); err == nil {
			t.Errorf("%q is %v", odd, at)
		}
	}
}
