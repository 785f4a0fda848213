// Package dsn decides what the failure of a recipient means for its entry, and
// writes the report of RFC 3464 to the sender.
package dsn

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// troubleDelay is the time to the next attempt after trouble of our own.
const troubleDelay = 5 * time.Minute

// Result is how an attempt ended for one recipient.
type Result struct {
	Index      int    // in the entry's envelope
	Err        error  // nil: done; temporary or permanent by status.IsTemporary
	RemoteMTA  string // the host that answered, or ""
	Diagnostic string // its reply, or ""
	Relayed    bool   // done by a host that makes no reports (RFC 3461 5.2.2)
	Mailbox    string // Maildir that the entry's one recipient is to be delivered to, or ""
}

// Settler turns the results of an attempt into an outcome.
type Settler struct {
	Control *control.Control
	Log     *maillog.Log
	Now     func() time.Time
	Home    string
}

// Settle decides about the whole entry. All done: it is dropped. Failed for
// good, or for longer than its lifetime: the sender gets a report, or where they
// may not get one a person gets the entry. Failed for now, or without a result:
// it is deferred. Results of recipients that are not pending count for nothing,
// so a stage may mark recipients itself before it calls.
func (s *Settler) Settle(e *spool.Entry, results []Result) spool.Outcome {
	if len(results) == 1 && results[0].Mailbox != "" {
		return s.deliver(e, results[0])
	}
	retry, err := s.Control.Retry()
	if err != nil {
		return s.trouble(e, err, results)
	}
	age := s.Now().Sub(e.Arrival)
	expired := retry.Expired(age, e.Attempts+1)
	if e.IsDigest() && age > 2*digestEvery { // the next one says it better
		expired, retry.Lifetime = true, 2*digestEvery
	}
	t := sortOut(e, results, retry, expired)
	notices, err := s.progress(e, t, results, retry)
	if err != nil {
		return s.trouble(e, err, results)
	}
	o, err := s.fail(e, t)
	if err != nil {
		return s.trouble(e, err, results)
	}
	o.Notices = notices
	for _, r := range t.failed {
		s.Log.Failed(string(e.Key), e.Envelope.To[r.Index].Addr, enhanced(r.Err), reason(r))
	}
	o.Done = append(o.Done, t.done...)
	if t.left > 0 {
		o.Action, o.Due, o.Reason = spool.Defer, s.Now().Add(retry.Next(age)), t.why()
	}
	return o
}

// tally is what the results say about the pending recipients.
type tally struct {
	done    []int
	failed  []Result // for good
	waiting []Result // failed for now
	left    int      // neither done nor failed
}

// sortOut gives every pending recipient its place in a tally.
func sortOut(e *spool.Entry, results []Result, retry control.Retry, expired bool) tally {
	var t tally
	of := make(map[int]Result, len(results))
	for _, r := range results {
		of[r.Index] = r
	}
	for _, i := range e.Pending() {
		r, tried := of[i]
		switch {
		case !tried:
			t.left++
		case r.Err == nil:
			t.done = append(t.done, i)
		case !status.IsTemporary(r.Err):
			t.failed = append(t.failed, r)
		case expired:
			r.Err = &expiredError{lifetime: retry.Lifetime, cause: r.Err}
			t.failed = append(t.failed, r)
		default:
			t.waiting = append(t.waiting, r)
			t.left++
		}
	}
	return t
}

// why is the reason of the deferral for people: each kind once.
func (t tally) why() string {
	var list []string
	for _, r := range t.waiting {
		if text := reason(r); len(list) < 5 && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	if len(list) == 0 {
		return "not tried yet"
	}
	return strings.Join(list, "; ")
}

// reason is a result's error with what the remote host said.
func reason(r Result) string {
	text := r.Err.Error()
	if r.Diagnostic != "" && !strings.Contains(text, r.Diagnostic) {
		text += ": " + r.Diagnostic
	}
	if r.RemoteMTA != "" && !strings.Contains(text, r.RemoteMTA) {
		text = r.RemoteMTA + ": " + text
	}
	return text
}

// fail decides about the failed recipients: report, person, or neither. The
// outcome ends the entry; the caller defers it where recipients are left.
func (s *Settler) fail(e *spool.Entry, t tally) (spool.Outcome, error) {
	if len(t.failed) == 0 {
		return spool.DropBecause("all recipients are done"), nil
	}
	wanted, silent := reported(e, t.failed)
	if len(wanted) == 0 {
		o := spool.DropBecause("failed, and the sender wants no report")
		o.Done = silent
		return o, nil
	}
	why, err := s.unverified(e)
	if err != nil {
		return spool.Outcome{}, err
	}
	if why != "" {
		return held(e, t, wanted, silent, why), nil
	}
	body, ok, err := s.paid(e, kindFailed, wanted, 0)
	if err != nil {
		return spool.Outcome{}, err
	}
	if !ok {
		return held(e, t, wanted, silent, "the hour's budget of bounces is spent (control/limits)"), nil
	}
	o := spool.DropBecause("failed, the sender gets a report")
	o.Bounce = &spool.Bounce{To: e.Envelope.From.Addr, Failed: indexes(wanted), Body: body}
	o.Done = silent
	return o, nil
}

// reported sorts out the recipients of whose failure the sender does not want
// to hear: a NOTIFY that does not name FAILURE (RFC 3461 4.1).
func reported(e *spool.Entry, failed []Result) (wanted []Result, silent []int) {
	for _, r := range failed {
		list := params.Notify(e.Envelope.To[r.Index].Params)
		if len(list) == 0 || slices.Contains(list, "FAILURE") {
			wanted = append(wanted, r)
		} else {
			silent = append(silent, r.Index)
		}
	}
	return wanted, silent
}

func indexes(results []Result) []int {
	var list []int
	for _, r := range results {
		list = append(list, r.Index)
	}
	return list
}

// held lays what failed before a person: the entry itself, or a child of it
// where other recipients go on.
func held(e *spool.Entry, t tally, failed []Result, silent []int, why string) spool.Outcome {
	text := reason(failed[0]) + " (" + why + ")"
	if len(failed) > 1 {
		text = fmt.Sprintf("%d recipients failed, the first: %s", len(failed), text)
	}
	if t.left == 0 {
		o := spool.HoldBecause(text)
		o.Done = silent
		return o
	}
	c := spool.Child{Inbox: spool.InboxHold, From: e.Envelope.From, Reason: text}
	for _, r := range failed {
		c.To = append(c.To, e.Envelope.To[r.Index])
	}
	return spool.Outcome{Children: []spool.Child{c}, Done: append(indexes(failed), silent...)}
}

// trouble is the outcome where something of our own failed. What is done is
// done; the rest is decided again.
func (s *Settler) trouble(e *spool.Entry, err error, results []Result) spool.Outcome {
	s.Log.Trouble(string(e.Key), "settle", err)
	o := spool.DeferUntil(s.Now().Add(troubleDelay), err.Error())
	for _, r := range results {
		if r.Err == nil {
			o.Done = append(o.Done, r.Index)
		}
	}
	return o
}

// expiredError is a temporary error that has lasted too long.
type expiredError struct {
	lifetime time.Duration
	cause    error
}

func (e *expiredError) Error() string {
	return fmt.Sprintf("given up after %s: %v", days(e.lifetime), e.cause)
}

func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

// enhanced is the RFC 3463 status of a failure: 4.4.7 where the lifetime ended
// it, since the fault itself was a temporary one.
func enhanced(err error) string {
	if _, ok := err.(*expiredError); ok {
		return "4.4.7"
	}
	if code := status.Enhanced(err); isOfClass(code, "5") {
		return code
	}
	return "5.0.0"
}

// isOfClass reports whether code is class.X.Y: it may come from a remote host.
func isOfClass(code, class string) bool {
	parts := strings.Split(code, ".")
	if len(parts) != 3 || parts[0] != class {
		return false
	}
	for _, digits := range parts[1:] {
		if digits == "" || len(digits) > 3 || strings.Trim(digits, "0123456789") != "" {
			return false
		}
	}
	return true
}
