package home

import (
	"fmt"

	"paperpath/internal/clock"
)

// AgesCount reports whether things may be removed for their age now: the wall
// clock has not just been moved. What speaks against it is told.
func (h *Home) AgesCount() bool {
	a, err := clock.Look(h.Dir, h.Clock.Now())
	if a.Nameless != nil {
		h.Log.Trouble("", "tell this boot from others, the clocks are compared as after a boot; mount /proc", a.Nameless)
	}
	switch {
	case err != nil:
		h.Log.Trouble("", "compare the clocks, nothing is removed for its age", err)
		return false
	case a.Odd != "":
		h.Log.Trouble("", "compare the clocks, nothing is removed for its age for "+a.Wait.String(),
			fmt.Errorf("run/clock holds %s", a.Odd))
	case a.Moved > 0:
		h.Log.ClockMoved(a.Moved, a.Wait)
	}
	return a.Believed()
}
