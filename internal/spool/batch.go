package spool

import (
	"time"

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
	dirty, done := s.dirty, make(chan struct{})
	s.dirty, s.batch, s.synced = map[string]uint64{}, nil, done
	go func() {
		defer close(done)
		s.r.syncMailboxes(dirty)
	}()
}

// delivered notes a delivery for the next batch, and for the next tidying.
func (s *schedule) delivered(path string, device uint64) {
	if len(s.dirty) == 0 {
		s.batch = time.After(batchTime)
	}
	s.dirty[path] = device
	s.untidy[path] = struct{}{}
	if len(s.untidy) >= maxUntidy {
		s.aside(s.tidy())
	}
}

// maxUntidy is for how many mailboxes a runner remembers that it has delivered into them.
const maxUntidy = 10000

// tidy returns what removes the leftovers of killed deliveries in the mailboxes that have got
// mail since the last time. They are 36 hours old (maildir.Clean): nobody is in a hurry.
func (s *schedule) tidy() func() {
	paths := s.untidy
	s.untidy = map[string]struct{}{}
	return func() {
		for path := range paths {
			err := status.Guard(func() error { return maildir.Clean(path, s.r.Spool.ageing(), s.r.Ages) })
			if err != nil {
				s.r.Spool.log.Trouble("", "clean "+path, err)
			}
		}
	}
}

// finishBatch makes durable what the attempts of a batch have left to it.
func (s *schedule) finishBatch() {
	if s.synced != nil {
		<-s.synced
	}
	s.r.syncMailboxes(s.dirty)
	s.r.Spool.removals.sync()
	s.tidy()()
	for _, l := range s.lanes {
		for _, j := range l.jobs { // never started
			if j.open != nil {
				j.open.close()
			}
		}
	}
}

// syncMailboxes makes deliveries durable in the mailboxes' own directories. Where many are on
// one file system, one sync of it is cheaper than a wait for each. A device number tells only
// which are; where a file system has several, as btrfs has, there are more syncs.
func (r *Runner) syncMailboxes(dirty map[string]uint64) {
	on := map[uint64][]string{}
	for path, device := range dirty {
		on[device] = append(on[device], path)
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
	if together.fd >= 0 {
		if err := together.sync(); err != nil {
			r.Spool.log.Trouble("", "sync", err)
		}
		return
	}
	for _, path := range paths {
		if err := status.Guard(func() error { return syncNew(path) }); err != nil {
			r.Spool.log.Trouble("", "sync "+path, err)
		}
	}
}

func syncNew(path string) error {
	md, err := maildir.OpenReadOnly(path)
	if err != nil {
		return err
	}
	defer md.Close()
	return md.SyncNew()
}
