package smtpd

import (
	"testing"
	"time"

	"paperpath/internal/control"
)

// A Config that says nothing has the limits of a home that says nothing.
func TestDefaultsAreThoseOfTheSettings(t *testing.T) {
	settings := control.Open(t.TempDir(), time.Now)
	cfg := Config{}.withDefaults()
	for name, got := range map[string]int64{
		"recipients": int64(cfg.MaxRecipients), "errors": int64(cfg.MaxErrors), "junk": int64(cfg.MaxJunk),
		"session": int64(cfg.SessionLimit / time.Second),
	} {
		if want, err := settings.Limit(name); got != want || err != nil {
			t.Errorf("%s: %d here, %d in control/limits (%v)", name, got, want, err)
		}
	}
}
