package check

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
)

// TestStage: an entry in check/ goes on, is returned, held or deferred.
func TestStage(t *testing.T) {
	const good, twice = "From: alice@example.net\n\nx\n", "From: a@b\nFrom: c@d\n\nx\n"
	for _, x := range []struct {
		name, with, from, body, limits string
		route, hold, check             string // recipients of the entry there
	}{
		{name: "good", with: spool.WithLocal, from: "alice@example.net", body: good, route: "bob@x.example"},
		{name: "refused", with: spool.WithLocal, from: "alice@example.net", body: twice, route: "alice@example.net"},
		{name: "refused, no sender", with: spool.WithLocal, body: twice, hold: "bob@x.example"},
		{name: "refused, a peer's", with: "ESMTP", from: "alice@example.net", body: twice, hold: "bob@x.example"},
		{name: "a peer's loop", with: "ESMTPS", from: "alice@example.net", body: "Delivered-To: bob@x.example\n" + good, hold: "bob@x.example"},
		{name: "a user's second round", with: "ESMTPSA", from: "alice@example.net", body: "Delivered-To: bob@x.example\n" + good, route: "bob@x.example"},
		{name: "broken settings", with: spool.WithLocal, from: "alice@example.net", body: good, limits: "hops\n", check: "bob@x.example"},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newStageFixture(t, "limits", x.limits)
			f.accept(x.with, x.from, x.body)
			f.run(t)
			for in, want := range map[spool.Inbox]string{spool.InboxRoute: x.route, spool.InboxHold: x.hold, spool.InboxCheck: x.check} {
				if got := recipients(t, f.spool, in); got != want {
					t.Errorf("%s holds %q, want %q\n%s", in, got, want, f.events.String())
				}
			}
			if !strings.Contains(f.events.String(), "event=checked") {
				t.Errorf("events:\n%s", f.events.String())
			}
		})
	}
}

// What a check makes of an entry in check/: it is marked or changed by way of a child, held
// as it came, dropped, or deferred.
func TestStageActions(t *testing.T) {
	const text = "From: alice@example.net\n\nx\n"
	method := []authres.Method{{Name: "x-odd", Result: "fail"}}
	changed := Finding{Changed: &Change{Body: spool.BytesBody([]byte("X: y\n" + text)), Envelope: to("bob@x.example", "c@x.example")}}
	changed.Changed.Envelope.From.Addr = "alice@example.net"
	nobody := Finding{Changed: &Change{Body: changed.Changed.Body}}
	for _, x := range []struct {
		setting     string
		finding     Finding
		route, hold string // what the entry there says from its results on
	}{
		{"from: accept", Finding{Fails: true, Methods: method}, "Received: ", ""},
		{"from: tag", Finding{Fails: true, Methods: method}, "Authentication-Results: mx.example.net;", ""},
		{"from: junk", Finding{Fails: true, Methods: method}, "Authentication-Results: mx.example.net;", ""},
		{"from: hold", Finding{Fails: true, Methods: method}, "", "Received: "},
		{"from: discard", Finding{Fails: true}, "", ""},
		{"from: refuse", changed, "Delivered-To: c@x.example\nReceived: ", ""},
		{"from: refuse", nobody, "", ""},
	} {
		f := newStageFixture(t, "checks", x.setting+"\n")
		f.stage.Checker.rows = func() []row { return []row{fakeRow("from", phaseFilters, x.finding)} }
		f.accept(spool.WithLocal, "alice@example.net", text)
		f.run(t)
		for in, want := range map[spool.Inbox]string{spool.InboxRoute: x.route, spool.InboxHold: x.hold} {
			got := f.only(t, in)
			if want == "" && got != "" || want != "" && (!strings.HasPrefix(got, "Return-Path: <alice@example.net>\nDelivered-To: bob@x.example\n"+want) ||
				!strings.HasSuffix(got, text)) {
				t.Errorf("%s, %v: %s has\n%s", x.setting, x.finding, in, got)
			}
		}
	}
}

// stageFixture is a home with a stage.
type stageFixture struct {
	home   string
	spool  *spool.Spool
	stage  *Stage
	events bytes.Buffer
}

func newStageFixture(t *testing.T, files ...string) *stageFixture {
	t.Helper()
	f := &stageFixture{home: t.TempDir()}
	writeControl(t, f.home, append([]string{"hostname", "mx.example.net\n", "domains", "example.net\n"}, files...)...)
	if err := spool.Init(f.home); err != nil {
		t.Fatal(err)
	}
	log := maillog.To(&f.events, "mailcheck", time.Now)
	var err error
	if f.spool, err = spool.Open(f.home, spool.Options{Hostname: "mx.example.net", Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.spool.Close() })
	c := control.Open(f.home, time.Now)
	k := checkerOf(c, nil)
	k.Log = log
	f.stage = &Stage{Checker: k, Settle: (&settle.Settler{Control: c, Log: log, Now: time.Now, Home: f.home}).Settle}
	return f
}

// accept puts a message for bob@x.example into check/.
func (f *stageFixture) accept(with, from, body string) {
	env := to("bob@x.example")
	env.From.Addr = from
	if _, err := f.spool.Accept(spool.InboxCheck, env, nil, spool.Trace{By: "mx", With: with}, spool.BytesBody([]byte(body))); err != nil {
		panic(err)
	}
}

func (f *stageFixture) run(t *testing.T) {
	t.Helper()
	r := &spool.Runner{Spool: f.spool, Inbox: spool.InboxCheck, Handle: f.stage.Handle, Retry: f.stage.Checker.Control.Retry}
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// only returns the one entry in an inbox, "" where there is none.
func (f *stageFixture) only(t *testing.T, in spool.Inbox) string {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(f.home, "spool", string(in), "new", "*"))
	if len(names) == 0 {
		return ""
	}
	text, err := os.ReadFile(names[0])
	if err != nil || len(names) > 1 {
		t.Fatalf("%q, %v", names, err)
	}
	return string(text)
}

func recipients(t *testing.T, sp *spool.Spool, in spool.Inbox) string {
	t.Helper()
	list, err := sp.List(in)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range list {
		for _, r := range l.Envelope.To {
			out = append(out, r.Addr)
		}
	}
	return strings.Join(out, " ")
}
