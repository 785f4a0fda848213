package smtpd

import (
	"testing"
	"time"

	"paperpath/internal/control"
)

// The defaults of Config that have a name in control/limits are those of control(5).
func TestDefaultsAreThoseOfControl(t *testing.T) {
	c := control.Open(t.TempDir(), time.Now)
	for name, def := range map[string]int64{
		"recipients": defaultMaxRecipients,
		"errors":     defaultMaxErrors,
		"junk":       defaultMaxJunk,
		"session":    int64(defaultSessionLimit / time.Second),
	} {
		if n, err := c.Limit(name); n != def || err != nil {
			t.Errorf("%s: %d, %v in control/limits, %d here", name, n, err, def)
		}
	}
}
