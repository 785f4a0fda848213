package spool

import (
	"sync"
	"time"

	"paperpath/internal/dir"
)

// gather is how long the sync of a directory waits for more entries to leave it.
const gather = 5 * time.Millisecond

// removals makes the ends of entries durable that nothing else records: one sync of a
// directory serves all that left it within gather, and while the sync before it ran.
type removals struct {
	failed func(*dir.Dir, error)

	syncing sync.Mutex // held by the one that syncs

	mu    sync.Mutex
	dirs  map[*dir.Dir]bool // that entries have left since their last sync began
	timer *time.Timer       // of the next sync; nil: none is due
}

// note records that an entry has left d.
func (r *removals) note(d *dir.Dir) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dirs == nil {
		r.dirs = map[*dir.Dir]bool{}
	}
	r.dirs[d] = true
	if r.timer == nil {
		r.timer = time.AfterFunc(gather, r.sync)
	}
}

// sync makes durable what was noted before it was called.
func (r *removals) sync() {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	for d := range r.take() {
		if err := d.Sync(); err != nil {
			r.failed(d, err)
		}
	}
}

// take returns the directories that are to be synced now.
func (r *removals) take() map[*dir.Dir]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	dirs := r.dirs
	r.dirs = nil
	return dirs
}
