package settle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// fixture is a home with a spool and a settler on it.
type fixture struct {
	t    *testing.T
	home string
	sp   *spool.Spool
	s    *Settler
	log  bytes.Buffer
	time time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, home: t.TempDir(), time: time.Now()}
	now := func() time.Time { return f.time }
	f.control("hostname", "mx.example.net\n")
	if err := spool.Init(f.home); err != nil {
		t.Fatal(err)
	}
	log := maillog.To(&f.log, "test", now)
	sp, err := spool.Open(f.home, spool.Options{Now: now, Shifted: true, Hostname: "mx.example.net", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	f.sp = sp
	f.s = &Settler{Control: control.Open(f.home, time.Now), Log: log, Now: now, Home: f.home}
	return f
}

func (f *fixture) control(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.home, "control", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// entry accepts a message; "NOTIFY=NEVER" and the like follow an address after a blank.
func (f *fixture) entry(with, from, body string, to ...string) {
	f.t.Helper()
	env := spool.Envelope{}
	env.From.Addr, env.From.Params, _ = strings.Cut(from, " ")
	for _, s := range to {
		address, params, _ := strings.Cut(s, " ")
		env.To = append(env.To, spool.Recipient{Addr: address, Params: params})
	}
	_, err := f.sp.Accept(spool.InboxRelay, env, nil, spool.Trace{By: "mx.example.net", With: with}, spool.BytesBody([]byte(body)))
	if err != nil {
		f.t.Fatal(err)
	}
}

// work runs one attempt over all that is due in an inbox.
func (f *fixture) work(in spool.Inbox, h spool.Handler) {
	f.t.Helper()
	r := &spool.Runner{Spool: f.sp, Inbox: in, Handle: h, Retry: f.s.Control.Retry}
	if err := r.Run(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// settle settles the entries in relay/ and returns the last outcome.
func (f *fixture) settle(results ...Result) (o spool.Outcome) {
	f.t.Helper()
	n := 0
	f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		n++
		o = f.s.Settle(e, results)
		return o
	})
	if n == 0 {
		f.t.Fatal("nothing was due in relay/")
	}
	return o
}

// list says what is in an inbox: "state recipients".
func (f *fixture) list(in spool.Inbox) string {
	f.t.Helper()
	list, err := f.sp.List(in)
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, l := range list {
		s := l.State
		for _, r := range l.Envelope.To {
			if !r.Done {
				s += " " + r.Addr
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// report returns the report in route/, "" if there is none.
func (f *fixture) report() string {
	f.t.Helper()
	text := ""
	f.work(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
		if text != "" {
			f.t.Error("more than one report")
		}
		if e.Envelope.From.Addr != "" || e.With != spool.WithBounce {
			f.t.Errorf("report from %q with %s", e.Envelope.From.Addr, e.With)
		}
		b, err := io.ReadAll(e.Message())
		if err != nil {
			f.t.Error(err)
		}
		text = string(b)
		return spool.DropBecause("read")
	})
	return text
}

var (
	errUnknown = &status.Error{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1", Text: "no such mailbox"}
	errLater   = status.Temp("4.4.1", "no answer", nil)
)

func TestSettle(t *testing.T) {
	to := []string{"a@x.example", "b@x.example", "c@x.example"}
	for _, c := range []struct {
		name        string
		with, from  string
		to          []string
		results     []Result
		relay, hold string // what is there afterwards
		reported    []string
	}{
		{name: "all done", results: []Result{{Index: 0}, {Index: 1}, {Index: 2}}},
		{name: "none tried", relay: "deferred a@x.example b@x.example c@x.example"},
		{name: "later", results: []Result{{Index: 0}, {Index: 1, Err: errLater}, {Index: 2, Err: errLater}},
			relay: "deferred b@x.example c@x.example"},
		{name: "unknown errors are temporary", results: []Result{{Index: 0, Err: errors.New("odd")}, {Index: 1}, {Index: 2}},
			relay: "deferred a@x.example"},
		{name: "failed", results: []Result{{Index: 0}, {Index: 1, Err: errUnknown}, {Index: 2}}, reported: []string{"b@x.example"}},
		{name: "failed and later", results: []Result{{Index: 0, Err: errLater}, {Index: 1, Err: errUnknown}},
			relay: "deferred a@x.example c@x.example", reported: []string{"b@x.example"}},
		{name: "unverified", with: "ESMTP", results: []Result{{Index: 0}, {Index: 1, Err: errUnknown}, {Index: 2, Err: errUnknown}},
			hold: "held b@x.example c@x.example"},
		{name: "unverified and later", with: "ESMTPS", results: []Result{{Index: 0, Err: errUnknown}, {Index: 1, Err: errLater}, {Index: 2}},
			hold: "held a@x.example", relay: "deferred b@x.example"},
		{name: "authenticated", with: "ESMTPSA", to: to[:1], results: []Result{{Index: 0, Err: errUnknown}}, reported: to[:1]},
		{name: "null reverse path", from: "-", to: to[:1], results: []Result{{Index: 0, Err: errUnknown}}, hold: "held a@x.example"},
		{name: "bounce of a bounce", with: spool.WithBounce, from: "-", to: to[:1], results: []Result{{Index: 0, Err: errUnknown}}, hold: "held a@x.example"},
		{name: "never", to: []string{"a@x.example NOTIFY=NEVER", "b@x.example NOTIFY=NEVER"},
			results: []Result{{Index: 0, Err: errUnknown}, {Index: 1, Err: errLater}}, relay: "deferred b@x.example"},
		{name: "success only", to: []string{"a@x.example NOTIFY=SUCCESS,DELAY", "b@x.example NOTIFY=SUCCESS,FAILURE"},
			results: []Result{{Index: 0, Err: errUnknown}, {Index: 1, Err: errUnknown}}, reported: []string{"b@x.example"}},
		{name: "never, unverified", with: "ESMTP", to: []string{"a@x.example NOTIFY=NEVER", "b@x.example"},
			results: []Result{{Index: 0, Err: errUnknown}, {Index: 1, Err: errUnknown}}, hold: "held b@x.example"},
		{name: "two results", to: to[:1], results: []Result{{Index: 0, Err: errUnknown}, {Index: 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			if c.with == "" {
				c.with = spool.WithLocal
			}
			switch c.from {
			case "":
				c.from = "alice@example.org"
			case "-":
				c.from = ""
			}
			if c.to == nil {
				c.to = to
			}
			f.entry(c.with, c.from, mailText, c.to...)
			f.settle(c.results...)
			if got := f.list(spool.InboxRelay); got != c.relay {
				t.Errorf("relay holds %q, want %q", got, c.relay)
			}
			if got := f.list(spool.InboxHold); got != c.hold {
				t.Errorf("hold holds %q, want %q", got, c.hold)
			}
			report := f.report()
			if (report != "") != (len(c.reported) > 0) {
				t.Fatalf("report %q", report)
			}
			for _, s := range to {
				want := strings.Contains(strings.Join(c.reported, " "), s)
				if strings.Contains(report, s) != want {
					t.Errorf("%s in the report is %v:\n%s", s, !want, report)
				}
			}
		})
	}
}

// TestReportsToRelayfrom: mail of a host that may send anywhere is reported to
// a reverse path in a local domain or named in the host's row, and to no other,
// whatever the host claims to be.
func TestReportsToRelayfrom(t *testing.T) {
	for _, c := range []struct {
		name, from, ip  string
		relay, reported bool
	}{
		{"domain of ours", "app@Example.NET", "192.0.2.7", true, true},
		{"ours, by RELAYCLIENT", "app@example.net", "203.0.113.9", true, true},
		{"ours, but a stranger", "app@example.net", "192.0.2.7", false, false},
		{"a domain in the row", "x@shop.example", "192.0.2.7", true, true},
		{"an address in the row", "Sales@other.example", "192.0.2.7", true, true},
		{"not that address", "x@other.example", "192.0.2.7", true, false},
		{"below a named domain", "x@a.shop.example", "192.0.2.7", true, false},
		{"in another row", "x@shop.example", "198.51.100.1", true, false},
		{"in an IPv6 row", "x@six.example", "2001:db8::1", true, true},
		{"nowhere", "victim@elsewhere.example", "192.0.2.7", true, false},
		{"null", "", "192.0.2.7", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.control("domains", "example.net\n")
			f.control("relayfrom", "192.0.2.0/24 @shop.example sales@other.example\n198.51.100.1\n2001:db8::/32 six.example\n")
			env := spool.Envelope{From: spool.Path{Addr: c.from}, To: []spool.Recipient{{Addr: "a@x.example"}}}
			trace := spool.Trace{By: "mx.example.net", With: "ESMTPS", Helo: "[192.0.2.7]", IP: c.ip, Relay: c.relay}
			if _, err := f.sp.Accept(spool.InboxRelay, env, nil, trace, spool.BytesBody([]byte(mailText))); err != nil {
				t.Fatal(err)
			}
			f.settle(Result{Index: 0, Err: errUnknown})
			if got := f.report() != ""; got != c.reported || (f.list(spool.InboxHold) == "") != c.reported {
				t.Errorf("reported is %v; hold/ has %q", got, f.list(spool.InboxHold))
			}
		})
	}
}

// A setting that cannot be read neither sends a report nor holds the entry.
func TestBrokenRelayfromWaits(t *testing.T) {
	f := newFixture(t)
	f.control("domains", "example.net\n")
	f.control("relayfrom", "nonsense\n")
	env := spool.Envelope{From: spool.Path{Addr: "x@shop.example"}, To: []spool.Recipient{{Addr: "a@x.example"}}}
	trace := spool.Trace{By: "mx.example.net", With: "ESMTP", IP: "192.0.2.7", Relay: true}
	if _, err := f.sp.Accept(spool.InboxRelay, env, nil, trace, spool.BytesBody([]byte(mailText))); err != nil {
		t.Fatal(err)
	}
	f.settle(Result{Index: 0, Err: errUnknown})
	if got := f.list(spool.InboxRelay); got != "deferred a@x.example" || f.report() != "" {
		t.Errorf("relay/ has %q", got)
	}
}

// TestMarked: a stage may mark recipients itself; its results about them do not
// count for others.
func TestMarked(t *testing.T) {
	f := newFixture(t)
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example", "b@x.example")
	f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		if err := e.Mark(0); err != nil {
			t.Error(err)
		}
		return f.s.Settle(e, []Result{{Index: 0}, {Index: 1, Err: errLater}})
	})
	if got := f.list(spool.InboxRelay); got != "deferred b@x.example" {
		t.Errorf("relay holds %q", got)
	}
	// A late result of the marked one neither defers the entry nor is reported.
	f.time = f.time.Add(time.Hour)
	f.settle(Result{Index: 0, Err: errUnknown}, Result{Index: 1})
	if got := f.list(spool.InboxRelay) + f.report(); got != "" {
		t.Errorf("left %q", got)
	}
}

func TestExpired(t *testing.T) {
	f := newFixture(t)
	f.control("retry", "steps: 1h\nlifetime: 2d\nattempts: 3\ndelay-warning: never\n")
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example")
	for range 3 {
		f.time = f.time.Add(20 * time.Hour)
		f.settle(Result{Index: 0, Err: errLater})
	}
	report := f.report()
	for _, want := range []string{"Status: 4.4.7\n", "given up after 2 days: no answer", "Action: failed\n"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in the report:\n%s", want, report)
		}
	}
	if got := f.list(spool.InboxRelay); got != "" {
		t.Errorf("relay holds %q", got)
	}
}

// TestOwnTrouble: a local fault neither fails nor holds a message.
func TestOwnTrouble(t *testing.T) {
	for _, c := range []struct{ name, file, text string }{
		{"hostname", "hostname", ""}, {"limits", "limits", "bounces: many\n"}, {"retry", "retry", "steps: x\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example", "b@x.example")
			f.control(c.file, c.text)
			r := &spool.Runner{Spool: f.sp, Inbox: spool.InboxRelay,
				Retry: func() (control.Retry, error) { return control.Retry{Steps: []time.Duration{time.Hour}}, nil },
				Handle: func(_ context.Context, e *spool.Entry) spool.Outcome {
					return f.s.Settle(e, []Result{{Index: 0}, {Index: 1, Err: errUnknown}})
				}}
			if err := r.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := f.list(spool.InboxRelay); got != "deferred b@x.example" {
				t.Errorf("relay holds %q", got)
			}
			if _, err := os.Stat(filepath.Join(f.home, "run", "bounces")); err == nil {
				t.Error("the attempt cost a bounce")
			}
		})
	}
}

func TestBudget(t *testing.T) {
	f := newFixture(t)
	f.control("limits", "bounces: 2\n")
	for i, want := range []string{"", "", "held a@x.example"} {
		f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example")
		f.settle(Result{Index: 0, Err: errUnknown})
		if got := f.list(spool.InboxHold); got != want {
			t.Errorf("after report %d hold holds %q, want %q", i+1, got, want)
		}
	}
}

func TestSpend(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "run", "bounces")
	now := time.Unix(1764000000, 0)
	take := func(want bool) {
		t.Helper()
		if ok, err := spend(home, 2, now); err != nil || ok != want {
			t.Errorf("spent %v, %v, want %v", ok, err, want)
		}
	}
	take(true) // also makes run/
	take(true)
	take(false)
	now = now.Add(time.Hour)
	take(true)
	for _, garbage := range []string{"", "x", "\x00\x00\x00", "1 2 3 4", strings.Repeat("9", 1<<16), "-1 -1"} {
		if err := os.WriteFile(path, []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		take(true)
		take(true)
		take(false)
	}
	os.Remove(path)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if _, err := spend(home, 2, now); err == nil {
		t.Error("a symbolic link was followed")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the link's target holds %q (%v)", text, err)
	}
}
