package spool

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
	"paperpath/maildir"
)

// A rename into a mailbox is whole at once, and durable with the next sync of that
// directory. A batch of deliveries is synced together, beside the work on others.

// sync makes the deliveries of the batch durable in their mailboxes. Those of one batch are
// awaited before the next one begins, so that a slow disk has one sync to do.
func (s *schedule) sync() {
	if s.synced != nil {
		s.batch = time.After(batchTime)
		return
	}
	paths := slices.Collect(maps.Keys(s.dirty))
	clear(s.dirty)
	done := make(chan struct{})
	s.batch, s.synced = nil, done
	go func() {
		defer close(done)
		s.r.syncMailboxes(paths)
	}()
}

// finishBatch makes durable what the attempts of a batch have left to it.
func (s *schedule) finishBatch() {
	if s.synced != nil {
		<-s.synced
	}
	s.r.syncMailboxes(slices.Collect(maps.Keys(s.dirty)))
	s.r.Spool.removals.sync()
	for _, l := range s.lanes {
		for _, j := range l.jobs { // never started
			if j.open != nil {
				j.open.close()
			}
		}
	}
}

// syncMailboxes makes deliveries durable in the mailboxes' own directories, and removes what
// killed deliveries left in their tmp/. Where many are on one file system, one sync of it is
// cheaper than a wait for each. A device number tells only which are; where a file system has
// several, as btrfs has, there are more syncs.
func (r *Runner) syncMailboxes(paths []string) {
	on := map[uint64][]string{}
	for _, path := range paths {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			r.Spool.log.Trouble("", "sync", &fs.PathError{Op: "stat", Path: path, Err: err})
			continue
		}
		on[st.Dev] = append(on[st.Dev], path)
	}
	for _, list := range on {
		r.syncNeighbours(list)
	}
}

// syncNeighbours is syncMailboxes for mailboxes on one file system.
func (r *Runner) syncNeighbours(paths []string) {
	together, err := syncerAt(paths[0], len(paths))
	if err != nil {
		r.Spool.log.Trouble("", "sync "+paths[0], err)
		return
	}
	defer together.close()
	for _, path := range paths {
		err := status.Guard(func() error { return r.tidyMailbox(path, together.fd < 0) })
		if err != nil {
			r.Spool.log.Trouble("", "sync "+path, err)
		}
	}
	if err := together.sync(); err != nil {
		r.Spool.log.Trouble("", "sync", err)
	}
}

// tidyMailbox removes what killed deliveries left in a mailbox, and with sync makes the
// others durable.
func (r *Runner) tidyMailbox(path string, sync bool) error {
	md, err := maildir.Open(path)
	if err != nil {
		return err
	}
	defer md.Close()
	if sync {
		err = md.SyncNew()
	}
	return errors.Join(err, md.Clean(r.Spool.ageing(), r.Ages))
}
