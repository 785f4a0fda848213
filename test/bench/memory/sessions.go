package memory

import (
	"sync"
	"time"

	"paperpath/test/harness"
)

// sessions are open, and nobody says anything in them.
type sessions []*harness.Conversation

// atOnce is how many are opened at a time. A server that starts a process for each one needs
// minutes for all of them where the machine is busy; OpenSMTPD listens with a backlog of 5, and what
// is beyond that may be reset.
const atOnce = 4

// patience is how long an answer may take. The time of a conversation counts from its start,
// so that it has to begin anew where a session was idle meanwhile.
const patience = time.Minute

// open opens n sessions, or fewer, with the first error.
func open(addr string, n int) (all sessions, err error) {
	var (
		wg   sync.WaitGroup
		lock sync.Mutex
		work = make(chan struct{}, n)
	)
	for range n {
		work <- struct{}{}
	}
	close(work)
	for range atOnce {
		wg.Go(func() {
			for range work {
				s, failed := enter(addr)
				lock.Lock()
				if failed == nil {
					all = append(all, s)
				} else if err == nil {
					err = failed
				}
				lock.Unlock()
				if failed != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return all, err
}

// enter opens one and says EHLO.
func enter(addr string) (*harness.Conversation, error) {
	s, err := harness.Dial(addr)
	if err != nil {
		return nil, err
	}
	if _, err = s.Expect("220", ""); err == nil {
		_, err = s.Expect("250", "EHLO client.bench.example")
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// alive is how many still answer, with the first error.
func (all sessions) alive() (n int, err error) {
	for _, s := range all {
		failed := s.SetDeadline(time.Now().Add(patience))
		if failed == nil {
			_, failed = s.Expect("250", "NOOP")
		}
		if failed == nil {
			n++
		} else if err == nil {
			err = failed
		}
	}
	return n, err
}

func (all sessions) close() {
	for _, s := range all {
		s.Close()
	}
}
