package spool

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// A clock that steps forward in the middle of an attempt removes neither the drafts
// nor the reasons of this instant: the cleaner, which runs at the same time, goes by
// the file system's own times.
func TestAClockThatStepsTakesNothingThatIsBeingWritten(t *testing.T) {
	f := newFixture(t)
	var step atomic.Int64 // the runner's other goroutines read the clock too
	f.sp.now = func() time.Time { return f.time.Add(time.Duration(step.Load())) }
	k := f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	b, err := f.sp.inbox(InboxRelay)
	if err != nil {
		t.Fatal(err)
	}
	hold, err := f.sp.inbox(InboxHold)
	if err != nil {
		t.Fatal(err)
	}
	route, err := f.sp.inbox(InboxRoute)
	if err != nil {
		t.Fatal(err)
	}
	f.run(InboxRelay, func(_ context.Context, e *Entry) Outcome {
		d, err := b.newDraft(k.Root())
		if err != nil {
			t.Fatal(err)
		}
		defer d.abort()
		d.setArrival(f.time.Add(-6 * 24 * time.Hour)) // a child is as old as its parent
		if err := hold.setReason(k, "relay says why\n", f.time); err != nil {
			t.Fatal(err)
		}
		step.Store(int64(366 * 24 * time.Hour))
		r := f.runner(InboxRoute, nil)
		r.inbox, r.Holdtime = route, func() (time.Duration, error) { return 0, nil }
		r.clean()
		r.inbox = b
		r.clean()
		for _, path := range []string{b.tmp.Join(d.name), hold.reason.Join(string(k))} {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v; it was written this instant", filepath.Base(filepath.Dir(path)), err)
			}
		}
		return DropBecause("")
	})
}
