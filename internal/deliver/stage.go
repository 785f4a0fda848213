// Package deliver puts messages into mailboxes: the entries of its inbox by
// way of the spool, and single messages as the MDA of another mail system.
package deliver

import (
	"context"
	"fmt"
	"sync"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/dsn"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Stage is maildeliver at its inbox.
type Stage struct {
	Control *control.Control
	Home    string
	Settle  func(e *spool.Entry, results []dsn.Result) spool.Outcome

	mu   sync.Mutex
	back map[spool.Key]bool // entries given back to mailroute
}

// maxBack bounds the memory for entries given back.
const maxBack = 10000

// Handle decides about an entry in deliver/. The tables are asked again: what
// has no mailbox of its own any more goes back to mailroute, which knows
// aliases and bounces.
func (s *Stage) Handle(_ context.Context, e *spool.Entry) spool.Outcome {
	if len(e.Pending()) == 0 {
		return spool.DropBecause("the recipient is done")
	}
	if len(e.Envelope.To) != 1 { // a person moved it here
		return s.giveBack(e)
	}
	u, err := Owner(s.Control, e.Envelope.To[0].Addr, nil)
	if err == nil && u == nil {
		return s.giveBack(e)
	}
	var path string
	if err == nil {
		path, err = Prepare(s.Home, u)
	}
	if err != nil {
		return s.Settle(e, []dsn.Result{{Index: 0, Err: err}})
	}
	if dsn.Wants(e, 0, "SUCCESS") {
		return s.Settle(e, []dsn.Result{{Index: 0, Mailbox: path}})
	}
	return spool.DeliverTo(path)
}

// Owner returns whose mailbox mail for address goes into without a detour; nil
// without an error where it goes elsewhere or nowhere now. Every error is
// temporary.
func Owner(c *control.Control, address string, t *explain.Trail) (*control.User, error) {
	a, err := addr.Parse(address)
	if err != nil {
		return nil, nil // for mailroute to say so
	}
	targets, err := route.Resolve(c, a, t)
	if status.IsTemporary(err) {
		return nil, err
	}
	for _, target := range targets {
		if target.Place == route.Local && target.Addr == a {
			return target.User, nil
		}
	}
	return nil, nil
}

// giveBack hands an entry to mailroute. Once it is back the two disagree,
// which time may mend and a busy loop does not.
func (s *Stage) giveBack(e *spool.Entry) spool.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back[e.Key] {
		delete(s.back, e.Key)
		var results []dsn.Result
		for _, i := range e.Pending() {
			err := fmt.Errorf("mailroute sends here what has no mailbox: %s", e.Envelope.To[i].Addr)
			results = append(results, dsn.Result{Index: i, Err: err})
		}
		return s.Settle(e, results)
	}
	if s.back == nil || len(s.back) >= maxBack {
		s.back = map[spool.Key]bool{}
	}
	s.back[e.Key] = true
	return spool.HandOnTo(spool.Route)
}
