package settle

import (
	"context"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// has fails the test for each of the texts that is not in the report, or, with
// a - before it, is.
func has(t *testing.T, report string, texts ...string) {
	t.Helper()
	for _, want := range texts {
		without, not := strings.CutPrefix(want, "-")
		if strings.Contains(report, without) == not {
			t.Errorf("%q in the report is %v:\n%s", without, not, report)
		}
	}
}

// A host that sends no reports of success has accepted the message, so we report
// that (RFC 3461 5.2.2).
func TestRelayedReport(t *testing.T) {
	f := newFixture(t)
	f.entry(spool.WithLocal, "alice@example.org ENVID=q7 RET=FULL", mailText,
		"a@x.example NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@x.example", "b@x.example", "c@x.example NOTIFY=SUCCESS")
	taken := Result{Relayed: true, RemoteMTA: "mx.x.example", Diagnostic: "250 2.0.0 mine"}
	first, second := taken, taken
	second.Index = 1
	f.settle(first, second, Result{Index: 2}) // the third one's host sends them
	report := f.report()
	_, list := parts(t, report)
	has(t, report, "Subject: Your message was relayed\n", "Action: relayed\n", "Status: 2.0.0\n", "Remote-MTA: dns; mx.x.example\n",
		"Diagnostic-Code: smtp; 250 2.0.0 mine\n", "Original-Envelope-Id: q7\n", "Original-Recipient: rfc822; first@x.example\n",
		"-b@x.example", "-c@x.example", "-could not", "-temporary problem")
	// RET counts for failures alone (RFC 3461 4.3).
	if got := list[2].header.Get("Content-Type"); got != "text/rfc822-headers" {
		t.Errorf("what is returned is %s", got)
	}
	has(t, f.log.String(), "event=reported", "what=relayed", "-event=bounced")
	if got := f.list(spool.InboxRelay) + f.list(spool.InboxHold); got != "" {
		t.Errorf("left %q", got)
	}
}

// The sender gets one report of a delay, if they asked for it (RFC 3461 4.1).
func TestDelayedReport(t *testing.T) {
	f := newFixture(t)
	f.control("retry", "steps: 1h\n")
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example NOTIFY=DELAY,FAILURE", "b@x.example", "c@x.example NOTIFY=SUCCESS,FAILURE")
	later := []Result{{Err: errLater}, {Index: 1, Err: errLater}, {Index: 2, Err: errLater}}
	reports := 0
	for hour := range 9 {
		f.settle(later...)
		if report := f.report(); report != "" {
			if reports++; hour != 4 {
				t.Errorf("a report at attempt %d", hour)
			}
			has(t, report, "Subject: Your message is delayed\n", "Action: delayed\n", "Status: 4.4.1\n", "Final-Recipient: rfc822; a@x.example\n",
				"Will-Retry-Until: ", "no need to send the message again", "If it cannot be delivered by ", "Final-Recipient: rfc822; b@x.example\n",
				"-c@x.example", "-5.0.0", "-Check the address")
		}
		f.time = f.time.Add(time.Hour + 15*time.Minute) // a wait grows by up to a quarter
	}
	if reports != 1 {
		t.Errorf("%d reports", reports)
	}
}

// TestDelayWarning: who is warned of a delay, and after what time.
func TestDelayWarning(t *testing.T) {
	for _, c := range []struct {
		name, retry, with, from, header, to string
		after                               time.Duration // 0: never
	}{
		{"nothing said", "", spool.WithLocal, "alice@example.org", "", "a@x.example", 4 * time.Hour},
		{"another time", "delay-warning: 2h", spool.WithLocal, "alice@example.org", "", "a@x.example", 2 * time.Hour},
		{"switched off", "delay-warning: never", spool.WithLocal, "alice@example.org", "", "a@x.example", 0},
		{"switched off, asked", "delay-warning: 0", spool.WithLocal, "alice@example.org", "", "a@x.example NOTIFY=DELAY", 4 * time.Hour},
		{"NOTIFY without DELAY", "", spool.WithLocal, "alice@example.org", "", "a@x.example NOTIFY=FAILURE", 0},
		{"NOTIFY=NEVER", "", spool.WithLocal, "alice@example.org", "", "a@x.example NOTIFY=NEVER", 0},
		{"null reverse path", "", spool.WithLocal, "", "", "a@x.example", 0},
		{"unverified", "", "ESMTPS", "alice@example.org", "", "a@x.example", 0},
		{"automatic", "", spool.WithLocal, "alice@example.org", "Auto-Submitted: auto-generated (x)\n", "a@x.example", 0},
		{"automatic, asked", "", spool.WithLocal, "alice@example.org", "Auto-Submitted: auto-replied\n", "a@x.example NOTIFY=DELAY", 4 * time.Hour},
		{"not automatic", "", spool.WithLocal, "alice@example.org", "Auto-Submitted: No; x=y\n", "a@x.example", 4 * time.Hour},
		{"bulk", "", spool.WithLocal, "alice@example.org", "Precedence: Bulk\n", "a@x.example", 0},
		{"list", "", spool.WithLocal, "alice@example.org", "List-Id: <l.example.org>\n", "a@x.example", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.control("retry", "steps: 5m\n"+c.retry+"\n")
			f.entry(c.with, c.from, c.header+mailText, c.to)
			began := f.time
			var warned []time.Duration
			for range 30 {
				f.settle(Result{Err: errLater})
				if f.report() != "" {
					warned = append(warned, f.time.Sub(began))
				}
				f.time = f.time.Add(20 * time.Minute)
			}
			if c.after == 0 && len(warned) > 0 || c.after > 0 && (len(warned) != 1 || warned[0] != c.after) {
				t.Errorf("warned after %v, want %v", warned, c.after)
			}
		})
	}
}

// TestWarningOnTime: an attempt falls to the time of the warning, if anybody is warned.
func TestWarningOnTime(t *testing.T) {
	for header, late := range map[string]bool{"": false, "Auto-Submitted: auto-generated\n": true} {
		f := newFixture(t)
		f.control("retry", "steps: 12h\n")
		f.entry(spool.WithLocal, "alice@example.org", header+mailText, "a@x.example")
		f.time = f.time.Add(3 * time.Hour)
		due := f.settle(Result{Err: errLater}).Due.Sub(f.time)
		if late && due < 12*time.Hour || !late && (due < time.Hour || due > 75*time.Minute) {
			t.Errorf("with %q the next attempt is %v off", header, due)
		}
	}
}

// TestOneWarning: an attempt that is made again after a crash, and finds others deferred,
// names the same warning: the spool writes it once.
func TestOneWarning(t *testing.T) {
	f := newFixture(t)
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example", "b@x.example")
	f.time = f.time.Add(5 * time.Hour)
	f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		one := f.s.Settle(e, []Result{{Err: errLater}, {Index: 1, Err: errLater}})
		two := f.s.Settle(e, []Result{{Err: errLater}, {Index: 1}})
		if len(one.Notices) != 1 || len(two.Notices) != 1 {
			t.Fatalf("%d and %d notices", len(one.Notices), len(two.Notices))
		}
		one.Notices = append(one.Notices, two.Notices...)
		return one
	})
	if got := f.list(spool.InboxRoute); got != "new alice@example.org" {
		t.Errorf("route holds %q", got)
	}
}

// No sender gets a report that they did not ask for; a sender who is not verified gets
// none, and nothing is held for that.
func TestNoNotice(t *testing.T) {
	for _, c := range []struct{ name, with, from, to string }{
		{"never", spool.WithLocal, "alice@example.org", "a@x.example NOTIFY=NEVER"},
		{"failure", spool.WithLocal, "alice@example.org", "a@x.example NOTIFY=FAILURE"},
		{"null reverse path", spool.WithLocal, "", "a@x.example NOTIFY=SUCCESS,DELAY"},
		{"unverified", "ESMTPS", "alice@example.org", "a@x.example NOTIFY=SUCCESS,DELAY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.entry(c.with, c.from, mailText, c.to)
			f.time = f.time.Add(10 * time.Hour)
			f.settle(Result{Err: errLater})
			f.time = f.time.Add(10 * time.Hour)
			f.settle(Result{Relayed: true})
			if got := f.report() + f.list(spool.InboxRelay) + f.list(spool.InboxHold); got != "" {
				t.Errorf("left %q", got)
			}
		})
	}
}

// Without budget the report is not sent; the message is.
func TestNoticeBudget(t *testing.T) {
	f := newFixture(t)
	f.control("limits", "bounces: 1\n")
	for i := range 2 {
		f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example NOTIFY=SUCCESS")
		f.settle(Result{Relayed: true})
		if got := f.report(); (got != "") != (i == 0) {
			t.Errorf("report %d is %q", i, got)
		}
		if got := f.list(spool.InboxRelay) + f.list(spool.InboxHold); got != "" {
			t.Errorf("left %q", got)
		}
	}
}

// One failed, one was relayed: two reports with different keys.
func TestTwoReports(t *testing.T) {
	f := newFixture(t)
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example NOTIFY=SUCCESS,FAILURE", "b@x.example")
	f.settle(Result{Relayed: true}, Result{Index: 1, Err: errUnknown})
	if got := f.list(spool.InboxRoute); got != "new alice@example.org; new alice@example.org" {
		t.Errorf("route holds %q", got)
	}
}
