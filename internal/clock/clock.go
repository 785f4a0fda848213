// Package clock has the time for all programs: that of the machine, or one that a test
// or a demonstration has shifted with --now or $PAPERPATH_NOW.
package clock

import (
	"fmt"
	"time"
)

// Clock tells the time.
type Clock struct{ shift time.Duration }

// Parse returns a clock that starts at the time start (RFC 3339); "" is the time of the
// machine.
func Parse(start string) (Clock, error) {
	if start == "" {
		return Clock{}, nil
	}
	t, err := time.Parse(time.RFC3339, start)
	if err != nil {
		return Clock{}, fmt.Errorf("time %q is not RFC 3339 (2026-11-23T12:00:00Z)", start)
	}
	return Clock{shift: time.Until(t)}, nil
}

// Now returns the current time.
func (c Clock) Now() time.Time { return time.Now().Add(c.shift) }

// Shifted reports whether the clock differs from the machine's.
func (c Clock) Shifted() bool { return c.shift != 0 }
