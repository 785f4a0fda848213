// Package settle decides what the results of an attempt mean for an entry:
// whether it is done, deferred, returned to its sender, or held for a person.
package settle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dsn"
	"paperpath/internal/maillog"
	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// troubleDelay is the longest time to the next attempt after an error of our own.
const troubleDelay = 5 * time.Minute

// Result is how an attempt ended for one recipient.
type Result struct {
	Index      int    // in the entry's envelope
	Err        error  // nil: done; temporary or permanent by status.IsTemporary
	RemoteMTA  string // the host that answered, or ""
	Diagnostic string // its reply, or ""
	Relayed    bool   // done by a host that sends no reports of success (RFC 3461 5.2.2)
	Mailbox    string // Maildir that the entry's one recipient is to be delivered to, or ""

	Others []string // other Maildirs of that mailbox, as spool.DeliverTo has them

	Rule  string        // the rule of control/reply-rules that decided, or ""
	Hold  bool          // it says that a person must look at the entry
	Again time.Duration // it says when to try again; 0: the schedule does
}

// Settler turns the results of an attempt into an outcome.
type Settler struct {
	Control *control.Control
	Log     *maillog.Log
	Now     func() time.Time
	Home    string
}

// Settle decides about the whole entry. Recipients that are done need nothing
// more. Those that failed permanently, or for longer than the lifetime, are
// reported to the sender; where the sender must not get a report, the entry is
// held. The entry is deferred for those that failed temporarily or have no
// result. Results of recipients that are not pending are ignored, so a stage may
// mark recipients itself before it calls.
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
	if e.IsDigest() && age > 2*digestEvery { // a newer digest says the same
		expired, retry.Lifetime = true, 2*digestEvery
	}
	sum := summarize(e, results, retry, expired)
	notices, err := s.attemptNotices(e, sum, results, retry)
	if err != nil {
		return s.trouble(e, err, results)
	}
	o, err := s.settleFailed(e, sum)
	if err != nil {
		return s.trouble(e, err, results)
	}
	if len(sum.held) > 0 {
		o = withHeld(e, sum, o)
	}
	o.Notices = notices
	for _, r := range sum.failed {
		s.Log.Failed(string(e.Key), e.Envelope.To[r.Index].Addr, dsn.FailureStatus(r.Err), reason(r))
	}
	o.Done = append(o.Done, sum.done...)
	if sum.remaining > 0 {
		o.Action, o.Due, o.Reason = spool.Defer, s.Now().Add(sum.wait(e, retry, age)), sum.deferralReason()
	}
	return o
}

// summary is what the results say about the pending recipients.
type summary struct {
	done      []int
	failed    []Result // permanently
	held      []Result // a rule says that a person must look at them
	deferred  []Result // failed temporarily
	remaining int      // recipients neither done nor failed: deferred or not tried
}

// summarize sorts the pending recipients by their results. expired makes
// temporary failures permanent.
func summarize(e *spool.Entry, results []Result, retry control.Retry, expired bool) summary {
	var sum summary
	byIndex := make(map[int]Result, len(results))
	for _, r := range results {
		byIndex[r.Index] = r
	}
	for _, i := range e.Pending() {
		r, tried := byIndex[i]
		switch {
		case !tried:
			sum.remaining++
		case r.Err == nil:
			sum.done = append(sum.done, i)
		case !status.IsTemporary(r.Err) && r.Hold:
			sum.held = append(sum.held, r)
		case !status.IsTemporary(r.Err):
			sum.failed = append(sum.failed, r)
		case expired:
			r.Err = &dsn.Expired{Lifetime: retry.Lifetime, Cause: r.Err}
			sum.failed = append(sum.failed, r)
		default:
			sum.deferred = append(sum.deferred, r)
			sum.remaining++
		}
	}
	return sum
}

// wait is the time to the next attempt: by the schedule, sooner after a fault of this
// machine, or when a rule says, but not long after the time at which the sender is to be warned.
func (sum summary) wait(e *spool.Entry, retry control.Retry, age time.Duration) time.Duration {
	key := string(e.Key)
	wait := retry.Next(age, key)
	if sum.ours() {
		wait = retry.NextOurs(age, key)
	}
	if again := sum.again(e, age); again > 0 {
		wait = min(retry.Spread(again, key), retry.Longest())
	}
	if left := retry.Warning - age; left > 0 && left < wait && len(delayed(e, sum.deferred, true)) > 0 {
		wait = min(wait, retry.Spread(left, key))
	}
	return wait
}

// ours reports whether all that is deferred waits for this machine to be mended: its settings
// (4.3.5), a mailbox that cannot be used (4.2.0), or an error that nobody has classified.
func (sum summary) ours() bool {
	for _, r := range sum.deferred {
		if r.RemoteMTA != "" || r.Diagnostic != "" ||
			!slices.Contains([]string{"4.0.0", "4.2.0", "4.3.5"}, status.Enhanced(r.Err)) {
			return false
		}
	}
	return sum.remaining == len(sum.deferred)
}

// again is the wait that rules for replies demand of everything that is deferred, 0 if
// they do not. They count for a young entry, or once in between, so that a host which
// always says so is not asked all day.
func (sum summary) again(e *spool.Entry, age time.Duration) (again time.Duration) {
	for _, r := range sum.deferred {
		switch {
		case r.Again == 0 || age > patientFor && strings.Contains(e.Last, ruleMark):
			return 0
		case again == 0 || r.Again < again:
			again = r.Again
		}
	}
	if sum.remaining > len(sum.deferred) {
		return 0
	}
	return again
}

// ruleMark comes before the rule that decided, in a reason.
const ruleMark = " [rule "

// patientFor is the age up to which a rule may say again and again when to try again.
const patientFor = time.Hour

// deferralReason tells people why the entry is deferred: each reason once.
func (sum summary) deferralReason() string {
	var list []string
	for _, r := range sum.deferred {
		if text := reason(r); len(list) < 5 && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	if len(list) == 0 {
		return "not tried yet"
	}
	return strings.Join(list, "; ")
}

// reason is a result's error with the remote host's reply.
func reason(r Result) string {
	text := r.Err.Error()
	if r.Diagnostic != "" && !strings.Contains(text, r.Diagnostic) {
		text += ": " + r.Diagnostic
	}
	if r.RemoteMTA != "" && !strings.Contains(text, r.RemoteMTA) {
		text = r.RemoteMTA + ": " + text
	}
	if r.Rule != "" {
		text += ruleMark + r.Rule + "]"
	}
	return text
}

// settleFailed decides about the recipients that failed: a report, a person, or
// neither. The outcome ends the entry; the caller defers it where recipients
// remain.
func (s *Settler) settleFailed(e *spool.Entry, sum summary) (spool.Outcome, error) {
	if len(sum.failed) == 0 {
		return spool.DropBecause("all recipients are done"), nil
	}
	wanted, unwanted := splitByNotify(e, sum.failed)
	if len(wanted) == 0 {
		o := spool.DropBecause("failed, the sender wants no report")
		o.Done = unwanted
		return o, nil
	}
	why, err := s.unverified(e)
	if err != nil {
		return spool.Outcome{}, err
	}
	if why != "" {
		return hold(e, sum, wanted, unwanted, why), nil
	}
	body, ok, err := s.reportWithinBudget(e, dsn.Failed, wanted, 0)
	if err != nil {
		return spool.Outcome{}, err
	}
	if !ok {
		return hold(e, sum, wanted, unwanted, "the hourly limit of bounces is reached (control/limits)"), nil
	}
	o := spool.DropBecause("failed, the sender gets a report")
	o.Bounce = &spool.Bounce{To: e.Envelope.From.Addr, Failed: indexes(wanted), Body: body}
	o.Done = unwanted
	return o, nil
}

// splitByNotify separates the failures that the sender wants a report of from
// those with a NOTIFY that does not name FAILURE (RFC 3461 4.1).
func splitByNotify(e *spool.Entry, failed []Result) (wanted []Result, unwanted []int) {
	for _, r := range failed {
		list := params.Notify(e.Envelope.To[r.Index].Params)
		if len(list) == 0 || slices.Contains(list, "FAILURE") {
			wanted = append(wanted, r)
		} else {
			unwanted = append(unwanted, r.Index)
		}
	}
	return wanted, unwanted
}

func indexes(results []Result) []int {
	var list []int
	for _, r := range results {
		list = append(list, r.Index)
	}
	return list
}

// hold keeps the failed recipients for a person: the entry itself, or a child of
// it where other recipients remain.
func hold(e *spool.Entry, sum summary, failed []Result, unwanted []int, why string) spool.Outcome {
	text := reason(failed[0]) + " (" + why + ")"
	if len(failed) > 1 {
		text = fmt.Sprintf("%d recipients failed, the first with: %s", len(failed), text)
	}
	if sum.remaining == 0 {
		o := spool.HoldBecause(text)
		o.Done = unwanted
		return o
	}
	c := spool.Child{Inbox: spool.InboxHold, From: e.Envelope.From, Reason: text}
	for _, r := range failed {
		c.To = append(c.To, e.Envelope.To[r.Index])
	}
	return spool.Outcome{Children: []spool.Child{c}, Done: append(indexes(failed), unwanted...)}
}

// withHeld adds to an outcome that a setting, a rule for replies or a route, holds
// recipients.
func withHeld(e *spool.Entry, sum summary, o spool.Outcome) spool.Outcome {
	const why = "the settings hold it"
	if o.Action == spool.Hold || sum.remaining == 0 && len(sum.failed) == 0 {
		return hold(e, sum, sum.held, o.Done, why)
	}
	apart := sum
	apart.remaining++ // what is held leaves the entry
	h := hold(e, apart, sum.held, nil, why)
	o.Children, o.Done = append(o.Children, h.Children...), append(o.Done, h.Done...)
	return o
}

// trouble is the outcome after an error of our own. What is done stays done; the
// rest is decided again.
func (s *Settler) trouble(e *spool.Entry, err error, results []Result) spool.Outcome {
	s.Log.Trouble(string(e.Key), "settle", err)
	now := s.Now()
	wait := control.Retry{Steps: []time.Duration{troubleDelay}}.NextOurs(now.Sub(e.Arrival), string(e.Key))
	o := spool.DeferUntil(now.Add(wait), err.Error())
	for _, r := range results {
		if r.Err == nil {
			o.Done = append(o.Done, r.Index)
		}
	}
	return o
}
