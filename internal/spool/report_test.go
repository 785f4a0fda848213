package spool

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"paperpath/maildir"
)

// The delivery of a message is reported once it is in the mailbox, and before the entry
// goes; a second attempt makes the report and does not double the message.
func TestNoticeComesBehindTheCopy(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	env := Envelope{From: Path{Addr: "a@b.example"}, To: []Recipient{{Addr: "bob@example.net", Params: "NOTIFY=SUCCESS"}}}
	if _, err := f.sp.Accept(InboxDeliver, env, nil, Trace{By: "mx", With: WithLocal}, BytesBody([]byte("From: a@b\n\nx\n"))); err != nil {
		t.Fatal(err)
	}
	attempt := func(to string, copies, reports, left int) {
		t.Helper()
		f.time = f.time.Add(2 * time.Hour) // it was put off
		f.run(InboxDeliver, func(context.Context, *Entry) Outcome {
			o := DeliverTo(box)
			o.Notices = []Notice{{To: to, What: "delivered", About: []int{0}, Body: []byte("From: MAILER-DAEMON@mx\n\ndone\n")}}
			return o
		})
		names, _ := filepath.Glob(filepath.Join(box, "new", "*"))
		route, err := f.sp.List(InboxRoute)
		if err != nil {
			t.Fatal(err)
		}
		here, err := f.sp.List(InboxDeliver)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) != copies || len(route) != reports || len(here) != left {
			t.Errorf("%d copies, %d reports, %d entries; want %d, %d, %d\n%s", len(names), len(route), len(here), copies, reports, left, f.log.String())
		}
	}
	attempt("a@b.example", 0, 0, 1) // there is no such mailbox
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	attempt("no\naddress", 1, 0, 1) // the report cannot be placed
	attempt("a@b.example", 1, 1, 0)
}

// The last time of an attempt comes from its line, not from what a person wrote.
func TestReasonTime(t *testing.T) {
	for line, want := range map[string]int64{"relay 2026-11-23T10:00:00Z deferred: x": 1795428000, "": 0, "because": 0, "a b c": 0} {
		got := reasonTime(line)
		if want == 0 != got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
