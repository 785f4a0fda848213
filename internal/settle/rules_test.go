package settle

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
	"paperpath/internal/status"
)

var errRefused = &status.Error{Exit: status.Unavailable, Reply: 550, Enhanced: "5.7.1", Text: "refused"}

// TestHeldByRule: what a rule holds waits for a person, whatever becomes of the others.
func TestHeldByRule(t *testing.T) {
	held := Result{Err: errRefused, Rule: `550: hold (control/reply-rules:1)`, Hold: true}
	at := func(r Result, i int) Result { r.Index = i; return r }
	for _, c := range []struct {
		name                string
		to                  []string
		results             []Result
		relay, hold, report string // what is left, and the recipient of the report
	}{
		{"alone", []string{"a@x.example"}, []Result{held}, "", "held a@x.example", ""},
		{"NOTIFY=NEVER", []string{"a@x.example NOTIFY=NEVER"}, []Result{held}, "", "held a@x.example", ""},
		{"one is done", []string{"a@x.example", "b@x.example"}, []Result{held, {Index: 1}}, "", "held a@x.example", ""},
		{"one is deferred", []string{"a@x.example", "b@x.example"}, []Result{held, {Index: 1, Err: errLater}},
			"deferred b@x.example", "held a@x.example", ""},
		{"one bounces", []string{"a@x.example", "b@x.example"}, []Result{held, {Index: 1, Err: errUnknown}},
			"", "held a@x.example", "b@x.example"},
		{"all three", []string{"a@x.example", "b@x.example", "c@x.example"},
			[]Result{held, {Index: 1, Err: errUnknown}, {Index: 2, Err: errLater}},
			"deferred c@x.example", "held a@x.example", "b@x.example"},
		{"two", []string{"a@x.example", "b@x.example"}, []Result{held, at(held, 1)}, "", "held a@x.example b@x.example", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.entry(spool.WithLocal, "alice@example.org", mailText, c.to...)
			f.settle(c.results...)
			if got := f.list(spool.InboxRelay); got != c.relay {
				t.Errorf("relay holds %q, want %q", got, c.relay)
			}
			if got := f.list(spool.InboxHold); got != c.hold {
				t.Errorf("hold holds %q, want %q", got, c.hold)
			}
			report := f.report()
			if c.report == "" && report != "" || !strings.Contains(report, c.report) ||
				strings.Contains(report, "a@x.example") || strings.Contains(report, "reply-rules") {
				t.Errorf("report %q", report)
			}
			if len(c.to) == 1 {
				has(t, f.log.String(), "event=held", "reply-rules:1")
			}
		})
	}
}

// TestHeldUnverified: the failed recipients of a sender who gets no bounce are held beside
// those that a rule holds.
func TestHeldUnverified(t *testing.T) {
	f := newFixture(t)
	f.entry("ESMTPS", "alice@example.org", mailText, "a@x.example", "b@x.example")
	f.settle(Result{Err: errRefused, Hold: true, Rule: "r"}, Result{Index: 1, Err: errUnknown})
	if got := f.list(spool.InboxRelay) + f.list(spool.InboxHold); got != "held a@x.example b@x.example" {
		t.Errorf("left %q", got)
	}
}

// TestAgain: a rule that says when to try again is obeyed while the entry is young, or
// was not deferred by a rule before.
func TestAgain(t *testing.T) {
	f := newFixture(t)
	f.control("retry", "steps: 10m 20m 1h 4h\ndelay-warning: never\n")
	soon := Result{Err: errLater, Rule: "4xx: retry 5m (built-in:1)", Again: 5 * time.Minute}
	later := Result{Err: errLater}
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example", "b@x.example")
	other := func(r Result) Result { r.Index = 1; return r }
	for i, c := range []struct {
		after   time.Duration
		results []Result
		wait    time.Duration
		wouldBe string
	}{
		{0, []Result{soon, other(soon)}, 5 * time.Minute, "greylisted at once"},
		{10 * time.Minute, []Result{later, other(soon)}, 20 * time.Minute, "another is deferred by the schedule"},
		{30 * time.Minute, []Result{later, other(later)}, time.Hour, "by the schedule"},
		{90 * time.Minute, []Result{soon, other(soon)}, 5 * time.Minute, "old, but greylisted for the first time"},
		{time.Hour, []Result{soon, other(soon)}, 4 * time.Hour, "old, and greylisted again"},
		{6 * time.Hour, []Result{later, other(later)}, 4 * time.Hour, "by the schedule"},
	} {
		f.time = f.time.Add(c.after)
		var due time.Time
		f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
			o := f.s.Settle(e, c.results)
			due = o.Due
			return o
		})
		if wait := due.Sub(f.time); wait < c.wait || wait > c.wait+c.wait/4 {
			t.Errorf("%d, %s: waits %v, want %v and up to a quarter more", i, c.wouldBe, wait, c.wait)
		}
	}
}

// TestOursIsTriedSoon: where all waits for this machine to be mended, a young entry does not wait
// for the schedule, and an old one does.
func TestOursIsTriedSoon(t *testing.T) {
	ours := Result{Err: status.Temp("4.3.5", "aliases cannot be expanded", nil)}
	mailbox := Result{Err: status.Temp("4.2.0", "cannot use the mailbox", nil)}
	unclassed := Result{Err: errors.New("control/aliases: permission denied")}
	host := Result{Err: ours.Err, RemoteMTA: "mx.x.example", Diagnostic: "451 4.3.5 x"}
	for _, c := range []struct {
		age    time.Duration
		result Result
		wait   time.Duration
	}{
		{0, ours, 30 * time.Second},
		{time.Minute, mailbox, 30 * time.Second},
		{4 * time.Minute, unclassed, time.Minute},
		{time.Minute, host, 5 * time.Minute},
		{time.Minute, Result{Err: errLater}, 5 * time.Minute},
		{3 * time.Hour, ours, 45 * time.Minute},
		{100 * time.Hour, ours, 4 * time.Hour},
	} {
		f := newFixture(t)
		f.control("retry", "delay-warning: never\n")
		f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example")
		f.time = f.time.Add(c.age)
		wait := f.settle(c.result).Due.Sub(f.time)
		if wait < c.wait || wait > c.wait+c.wait/4 {
			t.Errorf("%v, %+v: waits %v, want %v and up to a quarter more", c.age, c.result, wait, c.wait)
		}
	}
	f := newFixture(t)
	f.control("retry", "steps: x\n")
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example")
	if wait := f.settle(ours).Due.Sub(f.time); wait < 30*time.Second || wait > 40*time.Second {
		t.Errorf("with a broken control/retry: waits %v", wait)
	}
}
