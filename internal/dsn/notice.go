package dsn

import (
	"slices"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// delayAfter is the age at which a sender who wants to know of a delay is told,
// once.
const delayAfter = 4 * time.Hour

// Wants reports whether the sender wants a report of that kind about recipient
// i: SUCCESS or DELAY (RFC 3461 4.1). Nobody does who did not ask.
func Wants(e *spool.Entry, i int, word string) bool {
	return slices.Contains(params.Notify(e.Envelope.To[i].Params), word)
}

// deliver is the outcome for an entry that goes into the mailbox of its one
// recipient.
func (s *Settler) deliver(e *spool.Entry, r Result) spool.Outcome {
	o := spool.DeliverTo(r.Mailbox)
	notices, err := s.notices(e, kindDelivered, wanted(e, "SUCCESS", []Result{r}), 0)
	if err != nil {
		return s.trouble(e, err, nil)
	}
	o.Notices = notices
	return o
}

// progress is what the sender wants to hear of an attempt besides failures:
// that other hosts took the message which make no reports themselves, and that
// it waits.
func (s *Settler) progress(e *spool.Entry, t tally, results []Result, retry control.Retry) ([]spool.Notice, error) {
	var gone []Result
	for _, r := range results {
		if r.Err == nil && r.Relayed {
			gone = append(gone, r)
		}
	}
	list, err := s.notices(e, kindRelayed, wanted(e, "SUCCESS", gone), 0)
	if err != nil || !s.late(e) {
		return list, err
	}
	more, err := s.notices(e, kindDelayed, wanted(e, "DELAY", t.waiting), retry.Lifetime)
	return append(list, more...), err
}

// late reports whether this attempt is the first one after delayAfter.
func (s *Settler) late(e *spool.Entry) bool {
	if s.Now().Sub(e.Arrival) < delayAfter {
		return false
	}
	return e.Attempts == 0 || !e.Tried.IsZero() && e.Tried.Sub(e.Arrival) < delayAfter
}

func wanted(e *spool.Entry, word string, results []Result) (list []Result) {
	for _, r := range results {
		if Wants(e, r.Index, word) {
			list = append(list, r)
		}
	}
	return list
}

// notices makes the report of that kind, if there is somebody to report about
// and the sender may have it. What they do not get for want of budget, or
// because they may be another, is nothing that a person must see to.
func (s *Settler) notices(e *spool.Entry, k kind, about []Result, lifetime time.Duration) ([]spool.Notice, error) {
	if len(about) == 0 {
		return nil, nil
	}
	if why, err := s.unverified(e); why != "" || err != nil {
		return nil, err
	}
	body, ok, err := s.paid(e, k, about, lifetime)
	if !ok || err != nil {
		return nil, err
	}
	return []spool.Notice{{To: e.Envelope.From.Addr, What: string(k), About: indexes(about), Body: body}}, nil
}

// paid makes a report and takes it from the budget, which comes last: an
// attempt that fails before costs nothing. It is not ok where that is spent.
func (s *Settler) paid(e *spool.Entry, k kind, about []Result, lifetime time.Duration) (body []byte, ok bool, err error) {
	host, err := s.Control.Hostname()
	if err != nil {
		return nil, false, err
	}
	limit, err := s.Control.Limit("bounces")
	if err != nil {
		return nil, false, err
	}
	if body, err = s.report(e, k, about, host, lifetime); err != nil {
		return nil, false, err
	}
	ok, err = spend(s.Home, limit, s.Now())
	return body, ok, err
}
