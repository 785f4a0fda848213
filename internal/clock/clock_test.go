package clock

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	real, err := Parse("")
	if err != nil || real.Shifted() || time.Since(real.Now()).Abs() > time.Minute {
		t.Errorf("no start: %v, %v", real.Now(), err)
	}
	start := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c, err := Parse("2030-01-02T03:04:05Z")
	if err != nil || !c.Shifted() || c.Now().Sub(start).Abs() > time.Minute {
		t.Errorf("shifted: %v, %v", c.Now(), err)
	}
	first := c.Now()
	if !c.Now().After(first) {
		t.Error("a shifted clock stands still")
	}
	for _, bad := range []string{"yesterday", "2030-01-02", "2030-01-02 03:04:05"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is a time", bad)
		}
	}
}
