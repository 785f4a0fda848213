package deliver

import (
	"sync"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// mailRoot is what mail/ was a moment ago: who delivers to many mailboxes there looks at it once.
// The zero value is ready, and so is nil, which remembers nothing.
type mailRoot struct {
	mu    sync.Mutex
	until time.Time
	group int // whose users share the mailboxes; 0: none
}

const rootKept = 100 * time.Millisecond

// look returns an error where mail/ of the home is not there.
func (r *mailRoot) look(home string) (group int, err error) {
	if r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if time.Now().Before(r.until) {
			return r.group, nil
		}
	}
	if err := spool.CheckMark(control.MailRoot(home)); err != nil {
		return 0, err
	}
	group = control.MailGroup(home)
	if r != nil {
		r.group, r.until = group, time.Now().Add(rootKept)
	}
	return group, nil
}
