package program

import (
	"runtime"
	"testing"
)

// One processor works while few entries are due, all when there is a crowd, and between the two
// it stays as it is.
func TestProcessors(t *testing.T) {
	const all = 4
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(all))
	due := processors()
	for i, step := range []struct{ due, want int }{
		{few, all}, {few - 1, 1}, {0, 1}, {crowd - 1, 1}, {crowd, all}, {10 * crowd, all}, {few, all}, {few - 1, 1},
	} {
		due(step.due)
		if got := runtime.GOMAXPROCS(0); got != step.want {
			t.Errorf("step %d, %d due: %d processors, want %d", i, step.due, got, step.want)
		}
	}
}
