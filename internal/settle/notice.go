package settle

import (
	"slices"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dsn"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// delayAfter is the age at which a sender who asked for reports of delay gets one if
// control/retry has no warnings for the others.
const delayAfter = 4 * time.Hour

// Wants reports whether the sender asked for a report of that kind about
// recipient i: SUCCESS or DELAY (RFC 3461 4.1).
func Wants(e *spool.Entry, i int, word string) bool {
	return slices.Contains(params.Notify(e.Envelope.To[i].Params), word)
}

// deliver is the outcome for an entry that goes into the mailbox of its one
// recipient.
func (s *Settler) deliver(e *spool.Entry, r Result) spool.Outcome {
	o := spool.DeliverTo(r.Mailbox, r.Others...)
	notices, err := s.notices(e, dsn.Delivered, wanting(e, "SUCCESS", []Result{r}), 0)
	if err != nil {
		return s.trouble(e, err, nil)
	}
	o.Notices = notices
	return o
}

// attemptNotices reports what the sender asked to know about an attempt besides
// failures: that hosts which send no reports of success took the message, and
// that it is delayed.
func (s *Settler) attemptNotices(e *spool.Entry, sum summary, results []Result,
	retry control.Retry) ([]spool.Notice, error) {
	var relayed []Result
	for _, r := range results {
		if r.Err == nil && r.Relayed {
			relayed = append(relayed, r)
		}
	}
	list, err := s.notices(e, dsn.Relayed, wanting(e, "SUCCESS", relayed), 0)
	if err != nil || !s.delayReportDue(e, retry.Warning) {
		return list, err
	}
	more, err := s.notices(e, dsn.Delayed, delayed(e, sum.deferred, retry.Warning > 0), retry.Lifetime)
	for i := range more {
		more[i].About = nil // one report an entry, whoever else is deferred by then
	}
	return append(list, more...), err
}

// delayReportDue reports whether this attempt is the first one after the age at which
// delays are reported.
func (s *Settler) delayReportDue(e *spool.Entry, after time.Duration) bool {
	if after == 0 {
		after = delayAfter
	}
	if s.Now().Sub(e.Arrival) < after {
		return false
	}
	return e.Attempts == 0 || !e.Tried.IsZero() && e.Tried.Sub(e.Arrival) < after
}

// delayed returns the deferred results that the sender is told of: those that they asked
// about, and, with a warning, those about which they said nothing (RFC 3461 4.1), unless
// a program sent the message.
func delayed(e *spool.Entry, deferred []Result, warning bool) (list []Result) {
	warning = warning && !automatic(e)
	for _, r := range deferred {
		if Wants(e, r.Index, "DELAY") || warning && len(params.Notify(e.Envelope.To[r.Index].Params)) == 0 {
			list = append(list, r)
		}
	}
	return list
}

// wanting returns the results that the sender wants a report of that kind about.
func wanting(e *spool.Entry, word string, results []Result) (list []Result) {
	for _, r := range results {
		if Wants(e, r.Index, word) {
			list = append(list, r)
		}
	}
	return list
}

// notices makes the report of that kind, if it is about anybody and the sender
// may have it. A notice that is not sent, for want of budget or because the
// sender is not verified, is nothing that a person must look at.
func (s *Settler) notices(e *spool.Entry, k dsn.Kind, about []Result, lifetime time.Duration) ([]spool.Notice, error) {
	if len(about) == 0 {
		return nil, nil
	}
	if why, err := s.unverified(e); why != "" || err != nil {
		return nil, err
	}
	body, ok, err := s.reportWithinBudget(e, k, about, lifetime)
	if !ok || err != nil {
		return nil, err
	}
	return []spool.Notice{{To: e.Envelope.From.Addr, What: string(k), About: indexes(about), Body: body}}, nil
}

// reportWithinBudget makes a report and takes it from the hour's budget; ok is
// false where that is spent. The budget comes last, so that an attempt that fails
// before costs nothing. lifetime is how long the recipients of a delay report are
// tried at most; 0 where there are no further attempts.
func (s *Settler) reportWithinBudget(e *spool.Entry, k dsn.Kind, about []Result,
	lifetime time.Duration) (body []byte, ok bool, err error) {
	host, err := s.Control.Hostname()
	if err != nil {
		return nil, false, err
	}
	limit, err := s.Control.Limit("bounces")
	if err != nil {
		return nil, false, err
	}
	most, err := s.Control.Limit("returnbytes")
	if err != nil {
		return nil, false, err
	}
	r := dsn.Report{Kind: k, Host: host, Key: string(e.Key), Arrival: e.Arrival, Now: s.Now(),
		Sender: e.Envelope.From.Addr, SenderParams: e.Envelope.From.Params, Message: e.Content(),
		MaxReturned: most, UTF8: strings.HasPrefix(e.With, "UTF8")}
	for _, a := range about {
		to := e.Envelope.To[a.Index]
		r.Recipients = append(r.Recipients, dsn.Recipient{Address: to.Addr, Params: to.Params,
			Err: a.Err, RemoteMTA: a.RemoteMTA, Diagnostic: a.Diagnostic})
	}
	if lifetime > 0 {
		r.RetryUntil = e.Arrival.Add(lifetime)
	}
	if body, err = r.Compose(); err != nil {
		return nil, false, err
	}
	ok, err = spend(s.Home, limit, s.Now())
	return body, ok, err
}
