package check

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, and whose timer starts when somebody waits for
// that: most checks never do.
type deadline struct {
	context.Context
	until time.Time

	mu     sync.Mutex
	timed  context.Context // nil: nobody waits yet
	cancel context.CancelFunc
	over   bool
}

// within is context.WithTimeout.
func within(ctx context.Context, limit time.Duration) *deadline {
	return &deadline{Context: ctx, until: time.Now().Add(limit)}
}

// end releases what waits.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over = true; d.cancel != nil {
		d.cancel()
	}
}

// current returns the context that counts now.
func (d *deadline) current(wait bool) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil && (wait || d.over || !time.Now().Before(d.until)) {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.until)
		if d.over {
			d.cancel()
		}
	}
	if d.timed == nil {
		return d.Context
	}
	return d.timed
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	if t, ok := d.Context.Deadline(); ok && t.Before(d.until) {
		return t, true
	}
	return d.until, true
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.current(true).Done() }

// Err implements context.Context.
func (d *deadline) Err() error { return d.current(false).Err() }

// Value implements context.Context. It asks for no time: every lookup comes here.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	ctx := d.Context
	if d.timed != nil {
		ctx = d.timed
	}
	d.mu.Unlock()
	return ctx.Value(key)
}
