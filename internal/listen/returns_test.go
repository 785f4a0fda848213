package listen

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is returned once, a second after the last of many sessions has begun.
func TestMemoryIsReturned(t *testing.T) {
	for _, tt := range []struct {
		name       string
		sessions   int
		apart      time.Duration
		after      time.Duration // the last one
		free, more int64         // so often it was returned then, and an hour later
	}{
		{"a few", worthReturning - 1, 0, time.Hour, 0, 0},
		{"many, just now", worthReturning, 0, quiet - time.Millisecond, 0, 1},
		{"many", worthReturning, 0, quiet + time.Millisecond, 1, 1},
		{"many, in turn", 3 * worthReturning, quiet / 2, quiet - time.Millisecond, 0, 1},
		{"many, in turn, at rest", 3 * worthReturning, quiet / 2, quiet + time.Millisecond, 1, 1},
		{"twice many", 2 * worthReturning, 2 * quiet, 2 * quiet, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				r := &returns{free: func() { n.Add(1) }}
				for i := range tt.sessions {
					if i > 0 {
						time.Sleep(tt.apart)
					}
					r.session()
				}
				time.Sleep(tt.after)
				synctest.Wait()
				if n := n.Load(); n != tt.free {
					t.Errorf("returned %d times, not %d", n, tt.free)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := n.Load(); n != tt.more {
					t.Errorf("returned %d times an hour later, not %d", n, tt.more)
				}
			})
		})
	}
}
