package settle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/spool"
)

// hold puts a message from a stranger into hold/.
func (f *fixture) hold(ip, reason string) {
	f.t.Helper()
	env := spool.Envelope{From: spool.Path{Addr: "x@far.example"}, To: []spool.Recipient{{Addr: "a@x.example"}}}
	trace := spool.Trace{By: "mx.example.net", With: "ESMTP", IP: ip}
	if _, err := f.sp.Accept(spool.InboxDeliver, env, nil, trace, spool.BytesBody([]byte(mailText))); err != nil {
		f.t.Fatal(err)
	}
	f.work(spool.InboxDeliver, func(context.Context, *spool.Entry) spool.Outcome { return spool.HoldBecause(reason) })
}

// pass lets a runner look at hold/ after that time. It returns the digests that
// are in route/ then, and removes them.
func (f *fixture) pass(later time.Duration) (digests []string) {
	f.t.Helper()
	f.time = f.time.Add(later)
	if err := f.s.Digest(f.sp); err != nil {
		f.t.Fatal(err)
	}
	f.work(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
		text := make([]byte, e.Message().Size())
		if _, err := e.Message().ReadAt(text, 0); err != nil {
			f.t.Error(err)
		}
		digests = append(digests, fmt.Sprintf("%s %s %s\n%s", e.Envelope.From.Addr, e.Envelope.To[0].Addr, e.Envelope.To[0].Params, text))
		return spool.DropBecause("read")
	})
	return digests
}

// TestDigestOnceADay: one a day while something is held, however often a runner
// asks.
func TestDigestOnceADay(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	for i, step := range []struct {
		later time.Duration
		hold  bool
		want  int
	}{
		{0, false, 0}, {25 * time.Hour, false, 0}, // nothing to report
		{0, true, 1}, {0, false, 0}, {23 * time.Hour, true, 0}, {2 * time.Hour, false, 1}, {time.Minute, false, 0}, {100 * time.Hour, false, 1},
		{-90 * time.Hour, false, 0}, {time.Hour, false, 0}, {25 * time.Hour, false, 1}, // the clock was set right
	} {
		if step.hold {
			f.hold("192.0.2.7", "failed")
		}
		if got := f.pass(step.later); len(got) != step.want {
			t.Fatalf("pass %d: %d digests, want %d", i, len(got), step.want)
		}
	}
	if n := strings.Count(f.log.String(), "event=digest key="); n != 4 {
		t.Errorf("%d events", n)
	}
}

// A runner that is stopped in the middle of a digest does not stop the others.
func TestDigestBesideAnother(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.hold("192.0.2.7", "failed")
	other, err := dir.OpenLocked(filepath.Join(f.s.Home, "run", "digest"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.pass(25 * time.Hour); len(got) != 0 {
		t.Errorf("beside another: %q", got)
	}
	other.Close()
	if got := f.pass(0); len(got) != 1 {
		t.Errorf("behind it: %d digests", len(got))
	}
}

// A new home's day begins with its first pass, unless what it holds is older.
func TestDigestOfANewHome(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.hold("192.0.2.7", "failed")
	if got := f.pass(time.Minute); len(got) != 0 {
		t.Errorf("at once: %q", got)
	}
	if got := f.pass(25 * time.Hour); len(got) != 1 {
		t.Errorf("a day later: %q", got)
	}
	if err := os.Remove(filepath.Join(f.home, "run/digest")); err != nil {
		t.Fatal(err)
	}
	if got := f.pass(time.Minute); len(got) != 1 {
		t.Errorf("without a record: %q", got)
	}
}

// Without a record of the day there is no digest: each pass would send one.
func TestNoDigestWithoutARecord(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.hold("192.0.2.7", "failed")
	path := filepath.Join(f.home, "run/digest")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), unix.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	f.time = f.time.Add(25 * time.Hour)
	if err := f.s.Digest(f.sp); !errors.Is(err, dir.ErrNotRegular) {
		t.Error(err)
	}
	if list, err := f.sp.List(spool.InboxRoute); err != nil || len(list) != 0 {
		t.Errorf("sent %v, %v", list, err)
	}
}

// A kill between digest and record does not make a second one on that day.
func TestDigestAfterAKill(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.pass(0)
	f.hold("192.0.2.7", "failed")
	path := filepath.Join(f.home, "run/digest")
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.time = f.time.Add(9 * time.Hour)
		if err := f.s.Digest(f.sp); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, st.ModTime(), st.ModTime()); err != nil { // as it was before
			t.Fatal(err)
		}
		if err := f.s.Digest(f.sp); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, st.ModTime(), st.ModTime())
	}
	if got := f.pass(time.Minute); len(got) != 1 {
		t.Errorf("%d digests", len(got))
	}
}

// TestDigestText: what it says, how long it gets, and that no digest lists another
// digest.
func TestDigestText(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.pass(0)
	for i := range 60 {
		f.time = f.time.Add(time.Second)
		f.hold("192.0.2.7", fmt.Sprintf("550 no <u%d@x.example>", i))
	}
	f.hold("2001:db8::1", "odd\nFrom: forged \x1b[31m \u00e4"+strings.Repeat("y", 2000))
	digest := spool.Envelope{To: []spool.Recipient{{Addr: "postmaster@example.net", Params: "NOTIFY=NEVER"}}}
	if _, err := f.sp.Accept(spool.InboxDeliver, digest, nil, spool.Trace{By: "mx.example.net", With: spool.WithBounce}, spool.BytesBody([]byte("x\n"))); err != nil {
		t.Fatal(err)
	}
	f.work(spool.InboxDeliver, func(context.Context, *spool.Entry) spool.Outcome { return spool.HoldBecause("a digest") })
	got := f.pass(25 * time.Hour)
	if len(got) != 1 {
		t.Fatalf("%d digests", len(got))
	}
	for _, want := range []string{`^ postmaster@example.net NOTIFY=NEVER\n`, `\nSubject: Held mail at mx.example.net: 61 messages\n`,
		`\nAuto-Submitted: auto-generated\n`, `\n    60  550 no <...>\n`, `\n    60  192.0.2.7\n     1  2001:db8::1\n`,
		` 61 of them arrived`, `removed after 30 days`, `\nand 11 more \(mailctl queue lists all\)\n`} {
		if !regexp.MustCompile(want).MatchString(got[0]) {
			t.Errorf("it lacks %s", want)
		}
	}
	if n := strings.Count(got[0], ".mx  20"); n != 50 || strings.Contains(got[0], "\nFrom: forged") || strings.ContainsAny(got[0], "\x1b\u00e4") ||
		strings.Contains(got[0], "a digest") {
		t.Errorf("%d keys:\n%s", n, got[0])
	}
	for _, line := range strings.Split(got[0], "\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

// A digest that cannot be delivered is dropped, never held.
func TestAFailedDigestIsDropped(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.pass(0)
	f.hold("192.0.2.7", "failed")
	f.time = f.time.Add(25 * time.Hour)
	if err := f.s.Digest(f.sp); err != nil {
		t.Fatal(err)
	}
	f.work(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
		return f.s.Settle(e, []Result{{Index: 0, Err: errUnknown}})
	})
	if got := f.list(spool.InboxRoute) + "; " + f.list(spool.InboxHold); got != "; held a@x.example" {
		t.Errorf("left are %q", got)
	}
	// A deferred one is kept for two days at most.
	f.time = f.time.Add(25 * time.Hour)
	if err := f.s.Digest(f.sp); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"deferred postmaster@example.net", ""} {
		f.work(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
			return f.s.Settle(e, []Result{{Index: 0, Err: errLater}})
		})
		if got := f.list(spool.InboxRoute); got != want {
			t.Errorf("attempt %d: route/ has %q", i, got)
		}
		f.time = f.time.Add(49 * time.Hour)
	}
	if log := f.log.String(); !strings.Contains(log, "event=failed") || !strings.Contains(log, "event=dropped") {
		t.Errorf("log:\n%s", log)
	}
}

// The digest names the broken rows of tables, but not those that are only dead.
func TestDigestNamesBrokenRows(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\nexample.net\n")
	f.control("aliases", "info: a b\n")
	f.hold("192.0.2.7", "failed")
	got := f.pass(25 * time.Hour)
	if len(got) != 1 || !strings.Contains(strings.Join(strings.Fields(got[0]), " "), `control/aliases:1: target "a b" has a`) ||
		strings.Contains(got[0], "control/domains:2") {
		t.Errorf("%q", got)
	}
}
