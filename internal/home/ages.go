package home

import (
	"fmt"

	"paperpath/internal/clock"
)

// AgesCount reports whether files may be removed because of their age now: not while
// the wall clock may be wrong. The log has the reason.
func (h *Home) AgesCount() bool {
	a, err := clock.Look(h.Dir, h.Clock.Now())
	if a.Nameless != nil {
		h.Log.Trouble("", "identify this boot, the clocks are compared as after a boot; mount /proc", a.Nameless)
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
