package check

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

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
			home := t.TempDir()
			writeControl(t, home, "hostname", "mx.example.net\n", "domains", "example.net\n", "limits", x.limits)
			if err := spool.Init(home); err != nil {
				t.Fatal(err)
			}
			var events bytes.Buffer
			log := maillog.To(&events, "mailcheck", time.Now)
			sp, err := spool.Open(home, spool.Options{Hostname: "mx.example.net", Log: log})
			if err != nil {
				t.Fatal(err)
			}
			defer sp.Close()
			env := to("bob@x.example")
			env.From.Addr = x.from
			if _, err := sp.Accept(spool.InboxCheck, env, nil, spool.Trace{By: "mx", With: x.with}, spool.BytesBody([]byte(x.body))); err != nil {
				t.Fatal(err)
			}
			c := control.Open(home, time.Now)
			k := checkerOf(c, nil)
			k.Log = log
			stage := &Stage{Checker: k, Settle: (&settle.Settler{Control: c, Log: log, Now: time.Now, Home: home}).Settle}
			r := &spool.Runner{Spool: sp, Inbox: spool.InboxCheck, Handle: stage.Handle, Retry: c.Retry}
			if err := r.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			for in, want := range map[spool.Inbox]string{spool.InboxRoute: x.route, spool.InboxHold: x.hold, spool.InboxCheck: x.check} {
				if got := recipients(t, sp, in); got != want {
					t.Errorf("%s holds %q, want %q\n%s", in, got, want, events.String())
				}
			}
			if !strings.Contains(events.String(), "event=checked") {
				t.Errorf("events:\n%s", events.String())
			}
		})
	}
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
