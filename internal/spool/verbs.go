package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"paperpath/internal/status"
)

// The verbs with which a person moves entries. Each is one rename, so it needs no
// lock: an attempt under way looks for its entry by key, and may find it gone.

// Close closes an entry that Find or Listed has opened.
func (e *Entry) Close() error { return e.close() }

// State returns "new", "deferred" or "held".
func (e *Entry) State() string {
	switch {
	case e.Inbox == InboxHold:
		return "held"
	case e.at.state == stateDeferred:
		return "deferred"
	}
	return "new"
}

// Reasons returns the reasons in the entry's reason file, "" where it has none.
func (e *Entry) Reasons() (string, error) {
	text, err := e.at.inbox.reasonText(e.Key)
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !isShown([]byte(line), e.Key) {
			b.WriteString(line)
		}
	}
	return b.String(), err
}

// Retry: DEFERRED to NEW. The entry is due now.
func (s *Spool) Retry(e *Entry) error {
	if e.Inbox == InboxHold {
		return status.Refuse("5.0.0", fmt.Sprintf("%s is held: release it", e.Key))
	}
	err := e.again(func() error {
		if e.at.state == stateNew {
			_, err := e.at.stat()
			return err
		}
		return e.at.dir().Rename(e.at.name, e.at.inbox.new, e.fileName().String())
	})
	if err == nil {
		s.log.Routed(string(e.Key), string(e.Inbox), addresses(e.Envelope.To))
	}
	return wasThere(e, err)
}

// HoldByHand: any to HELD.
func (s *Spool) HoldByHand(e *Entry, reason string) error {
	if e.Inbox == InboxHold {
		return nil
	}
	return wasThere(e, s.holdAs(e, verbByHand, reason))
}

// Release: HELD to NEW in route/.
func (s *Spool) Release(e *Entry) error {
	if e.Inbox != InboxHold {
		return status.Refuse("5.0.0", fmt.Sprintf("%s is not held but in %s/", e.Key, e.Inbox))
	}
	return s.Reroute(e)
}

// Reroute: any to NEW in route/, where it is routed afresh.
func (s *Spool) Reroute(e *Entry) error {
	if e.Inbox == InboxRoute {
		return s.Retry(e)
	}
	return wasThere(e, s.handOn(e, InboxRoute))
}

// Remove: any to GONE. No one is notified.
func (s *Spool) Remove(e *Entry) error {
	return wasThere(e, s.drop(e, DropBecause("removed by hand")))
}

// Apply carries out what a person's verb decided about a held entry.
func (s *Spool) Apply(e *Entry, o Outcome) error {
	return wasThere(e, s.carryOut(e, o))
}

// wasThere turns the errors of an entry that has gone into one that says so: the
// person asked for something that did not happen.
func wasThere(e *Entry, err error) error {
	if errors.Is(err, errGone) || errors.Is(err, fs.ErrNotExist) {
		return status.Temp("4.0.0", fmt.Sprintf("%s was moved or removed in the meantime", e.Key), nil)
	}
	return err
}
