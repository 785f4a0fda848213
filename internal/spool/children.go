package spool

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"paperpath/internal/status"
)

// draftChildren writes the drafts of all children and makes them durable. The
// caller aborts those that it returns, even with an error; without one they are in
// the order of the children.
func (s *Spool) draftChildren(e *Entry, children []Child) (drafts []*draft, err error) {
	room, err := s.room(s.path, e.CopyBytes(children), int64(len(children)))
	if err != nil {
		return nil, err
	}
	defer room.release()
	together, err := s.syncer(len(children))
	if err != nil {
		return nil, err
	}
	defer together.close()
	if len(children) > 1 {
		e.keepRest()
	}
	drafts = make([]*draft, len(children))
	err = e.drafters(children).each(len(children), func(i int, buf *[]byte) error {
		d, err := s.draftChild(e, children[i], buf)
		drafts[i] = d
		if err != nil {
			return err
		}
		return together.written(d)
	})
	if err == nil {
		err = together.sync()
	}
	return slices.DeleteFunc(drafts, func(d *draft) bool { return d == nil }), err
}

// draftChild writes a child, with buf for what it writes at once. It is not durable yet.
func (s *Spool) draftChild(e *Entry, c Child, buf *[]byte) (*draft, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b, err := s.inbox(c.Inbox)
	if err != nil {
		return nil, err
	}
	d, err := b.newDraft(e.Key.child(c))
	if err != nil {
		return nil, err
	}
	return d, d.child(e, c, buf)
}

// drafters is how many write the children of an entry at a time.
type drafters int

// maxDrafters are as many as help: names in tmp/ are made one after the other (by the
// kernel's lock of the directory), what is in the files is not.
const maxDrafters = 4

// drafters returns one for a few children, and where a message may not be read by
// several at once.
func (e *Entry) drafters(children []Child) drafters {
	if len(children) < syncTogether || slices.ContainsFunc(children, func(c Child) bool { return c.Message != nil }) {
		return 1
	}
	return drafters(min(runtime.GOMAXPROCS(0), maxDrafters))
}

// each calls do for 0 to n-1, with the buffer of the drafter that does it. After a failure
// nothing more is begun.
func (w drafters) each(n int, do func(i int, buf *[]byte) error) error {
	var next atomic.Int64
	errs := make([]error, w)
	work := func(k int) {
		errs[k] = status.Guard(func() error {
			var buf []byte
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(i, &buf); err != nil {
					next.Store(int64(n))
					return err
				}
			}
		})
	}
	var others sync.WaitGroup
	for k := 1; k < int(w); k++ {
		others.Go(func() { work(k) })
	}
	work(0)
	others.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
