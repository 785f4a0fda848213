package program

import (
	"fmt"

	"paperpath/internal/clock"
)

// AgesCount reports whether things may be removed for their age now: the wall
// clock has not just been moved. What speaks against it is told.
func (f *Frame) AgesCount() bool {
	a, err := clock.Look(f.Home, f.Clock.Now())
	if a.Nameless != nil {
		f.Log.Trouble("", "tell this boot from others, the clocks are compared as after a boot; mount /proc", a.Nameless)
	}
	switch {
	case err != nil:
		f.Log.Trouble("", "compare the clocks, nothing is removed for its age", err)
		return false
	case a.Odd != "":
		f.Log.Trouble("", "compare the clocks, nothing is removed for its age for "+a.Wait.String(),
			fmt.Errorf("run/clock holds %s", a.Odd))
	case a.Moved > 0:
		f.Log.ClockMoved(a.Moved, a.Wait)
	}
	return a.Believed()
}
