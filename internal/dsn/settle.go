// Package dsn decides what the failure of a recipient means for its entry, and
// writes the report of RFC 3464 to the sender.
package dsn

import (
	"fmt"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Result is how an attempt ended for one recipient.
type Result struct {
	Index      int    // in the entry's envelope
	Err        error  // nil: done; temporary or permanent by status.IsTemporary
	RemoteMTA  string // the host that answered, or ""
	Diagnostic string // its reply, or ""
}

// Settler turns the results of an attempt into an outcome.
type Settler struct {
	Control *control.Control
	Log     *maillog.Log
	Now     func() time.Time
	Home    string
}

// Settle decides about the whole entry. All done: it is dropped. Failed for
// good, or for longer than its lifetime: the sender gets a report, or where he
// may not get one a person gets the entry. Failed for now: it is deferred.
// Pending recipients without a result are deferred too.
func (s *Settler) Settle(e *spool.Entry, results []Result) spool.Outcome {
	retry, err := s.Control.Retry()
	if err != nil {
		return s.deferAll(e, err, finished(results))
	}
	age := s.Now().Sub(e.Arrival)
	expired := retry.Expired(age, e.Attempts+1)
	t := tally{done: finished(results)}
	for _, r := range results {
		switch {
		case r.Err == nil:
		case !status.IsTemporary(r.Err):
			t.failed = append(t.failed, r)
		case expired:
			r.Err = &expiredError{lifetime: retry.Lifetime, cause: r.Err}
			t.failed = append(t.failed, r)
		default:
			t.waiting = append(t.waiting, r)
		}
	}
	t.left = len(e.Pending()) - len(t.done) - len(t.failed)
	for _, r := range t.failed {
		s.Log.Failed(string(e.Key), e.Envelope.To[r.Index].Addr, enhanced(r.Err), reason(r))
	}
	o := s.fail(e, t)
	o.Done = append(o.Done, t.done...)
	if t.left > 0 {
		o.Action, o.Due, o.Reason = spool.Defer, s.Now().Add(retry.Next(age)), t.why()
	}
	return o
}

// finished returns the recipients that are done.
func finished(results []Result) []int {
	var done []int
	for _, r := range results {
		if r.Err == nil {
			done = append(done, r.Index)
		}
	}
	return done
}

// tally sorts the results.
type tally struct {
	done    []int
	failed  []Result
	waiting []Result
	left    int // recipients that are neither done nor failed
}

// why is the reason of the deferral: the first of each kind, for people.
func (t tally) why() string {
	var list []string
	seen := map[string]bool{}
	for _, r := range t.waiting {
		if text := reason(r); !seen[text] && len(list) < 5 {
			seen[text] = true
			list = append(list, text)
		}
	}
	if len(list) == 0 {
		return "not tried"
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
// outcome drops the entry unless the caller knows of recipients that are left.
func (s *Settler) fail(e *spool.Entry, t tally) spool.Outcome {
	if len(t.failed) == 0 {
		return spool.DropBecause("all recipients are done")
	}
	report, silent := reported(e, t.failed)
	if len(report) == 0 { // NOTIFY=NEVER (RFC 3461 4.1)
		o := spool.DropBecause("the sender wants no report")
		o.Done = silent
		return o
	}
	if why := s.mayNotBounce(e); why != "" {
		return s.hold(e, t, why)
	}
	host, err := s.Control.Hostname()
	if err != nil {
		return s.deferAll(e, err, nil)
	}
	body, err := s.report(e, report, host)
	if err != nil {
		return s.deferAll(e, err, nil)
	}
	o := spool.DropBecause("failed, the sender has a report")
	o.Bounce = &spool.Bounce{To: e.Envelope.From.Addr, Failed: indexes(report), Body: body}
	o.Done = silent
	return o
}

// reported sorts out recipients of whose failure the sender wants to hear
// nothing.
func reported(e *spool.Entry, failed []Result) (report []Result, silent []int) {
	for _, r := range failed {
		if strings.Contains(" "+e.Envelope.To[r.Index].Params+" ", " NOTIFY=NEVER ") {
			silent = append(silent, r.Index)
		} else {
			report = append(report, r)
		}
	}
	return report, silent
}

func indexes(results []Result) []int {
	var list []int
	for _, r := range results {
		list = append(list, r.Index)
	}
	return list
}

// mayNotBounce says why the sender gets no report, or "". A report goes only
// where the mail surely came from: to senders who were authenticated or local.
func (s *Settler) mayNotBounce(e *spool.Entry) string {
	if e.Envelope.From.Addr == "" {
		return "the null reverse path takes no bounce"
	}
	if !e.Trusted() {
		return "the reverse path <" + e.Envelope.From.Addr + "> is not verified"
	}
	limit, err := s.Control.Limit("bounces", 1000)
	if err != nil {
		return err.Error()
	}
	if err := spend(s.Home, limit, s.Now()); err != nil {
		return err.Error()
	}
	return ""
}

// hold lays what failed before a person: the entry itself, or a child of it
// where other recipients go on.
func (s *Settler) hold(e *spool.Entry, t tally, why string) spool.Outcome {
	text := why + ": " + reason(t.failed[0])
	if t.left == 0 {
		return spool.HoldFor(text)
	}
	c := spool.Child{Inbox: spool.Hold, From: e.Envelope.From, Reason: text}
	for _, r := range t.failed {
		c.To = append(c.To, e.Envelope.To[r.Index])
	}
	o := spool.DropBecause("failed, held")
	o.Children = []spool.Child{c}
	o.Done = indexes(t.failed)
	return o
}

// deferAll is for trouble of our own.
func (s *Settler) deferAll(e *spool.Entry, err error, done []int) spool.Outcome {
	s.Log.Trouble(string(e.Key), "settle", err)
	o := spool.DeferUntil(s.Now().Add(5*time.Minute), err.Error())
	o.Done = done
	return o
}

// expiredError is a temporary error that has lasted too long (RFC 3463 X.4.7).
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

// enhanced is the permanent RFC 3463 status of an error.
func enhanced(err error) string {
	if _, ok := err.(*expiredError); ok {
		return "4.4.7"
	}
	code := status.Enhanced(err)
	if !strings.HasPrefix(code, "5.") {
		return "5.0.0"
	}
	return code
}

// finalRecipient is the address of a recipient for a report, "" if unreadable.
func finalRecipient(e *spool.Entry, i int) (string, bool) {
	a, err := addr.Parse(e.Envelope.To[i].Addr)
	if err != nil {
		return e.Envelope.To[i].Addr, false
	}
	return a.String(), a.NeedsUTF8()
}
