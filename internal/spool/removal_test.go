package spool

import (
	"path/filepath"
	"testing"

	"paperpath/internal/dir"
)

// One sync serves all that left a directory, and it comes by itself.
func TestRemovalsAreSyncedTogether(t *testing.T) {
	d, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.Close() // so that each sync fails, which is how the test sees it
	syncs := make(chan string, 100)
	r := removals{failed: func(d *dir.Dir, err error) { syncs <- d.Path() }}
	for range 50 {
		r.note(d)
	}
	if got := await(t, "sync", syncs); got != d.Path() {
		t.Errorf("synced %s", got)
	}
	r.note(d)
	r.sync() // as at the end of a run: nothing is left to wait for
	await(t, "sync", syncs)
	r.sync()
	if n := len(syncs); n > 0 || r.timer != nil {
		t.Errorf("%d syncs more, another is due: %v", n, r.timer != nil)
	}
}

// Marks are synced at once, unless they are the last: then the entry goes, or they are
// synced when it is closed.
func TestLastMarks(t *testing.T) {
	f := newFixture(t)
	e := f.find(f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example", "carol@far.example", "dan@far.example"))
	for i, want := range []bool{false, false, true} {
		if err := e.Mark(i); err != nil || e.unsynced != want {
			t.Errorf("mark %d: %v, unsynced %v", i, err, e.unsynced)
		}
	}
	if err := e.Mark(0, 1, 2); err != nil || !e.unsynced {
		t.Errorf("marked again: %v, unsynced %v", err, e.unsynced)
	}
	if err := e.close(); err != nil || e.unsynced {
		t.Errorf("closed: %v, unsynced %v", err, e.unsynced)
	}
	again, err := f.sp.Find(e.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if left := again.Pending(); len(left) > 0 {
		t.Errorf("pending: %v", left)
	}
	if err := f.sp.carryOut(e, DropBecause("done")); err != nil {
		t.Fatal(err)
	}
	if f.sp.removals.take() != nil {
		t.Error("the removal of an entry whose marks are synced is synced, too")
	}
}

// The removal of an entry whose last marks are not synced is.
func TestRemovalAfterLastMarks(t *testing.T) {
	f := newFixture(t)
	e := f.find(f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example"))
	defer e.close()
	if err := e.Mark(0); err != nil {
		t.Fatal(err)
	}
	f.sp.removals.syncing.Lock() // the timer waits
	defer f.sp.removals.syncing.Unlock()
	if err := f.sp.carryOut(e, DropBecause("done")); err != nil || e.unsynced {
		t.Fatalf("%v, unsynced %v", err, e.unsynced)
	}
	dirs := f.sp.removals.take()
	for d := range dirs {
		if d.Path() != filepath.Join(f.home, "spool/relay/new") {
			t.Errorf("%s is to be synced", d.Path())
		}
	}
	if len(dirs) != 1 {
		t.Errorf("%d directories are to be synced", len(dirs))
	}
}

// An entry that somebody touched after it was opened for its lane is opened again.
func TestTouchedAfterItsLane(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	open := f.find(k)
	j := job{key: k, at: open.at, open: open}
	e, err := j.entry()
	if err != nil || e != open {
		t.Fatalf("untouched: %v", err)
	}
	other := f.find(k)
	if err := other.Mark(0); err != nil {
		t.Fatal(err)
	}
	other.close()
	e, err = j.entry()
	if err != nil || e == open || len(e.Pending()) != 0 {
		t.Fatalf("touched: %v", err)
	}
	e.close()
	j = job{key: k, at: e.at, open: f.find(k)}
	if err := f.sp.carryOut(f.find(k), HoldBecause("a person")); err != nil {
		t.Fatal(err)
	}
	if e, err = j.entry(); err == nil {
		e.close()
		t.Error("an entry that has left is still there")
	}
}
