package spool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// holdMail holds a message of that many octets of text; each is held a minute
// later than the one before.
func (f *fixture) holdMail(with string, octets int, byHand bool) Key {
	f.t.Helper()
	f.time = f.time.Add(time.Minute)
	env := Envelope{From: Path{Addr: "x@far.example"}, To: []Recipient{{Addr: "bob@example.net"}}}
	body := "From: x@far.example\nSubject: s\n\n" + strings.Repeat("0123456789abcde\n", octets/16)
	in := InboxRoute
	if byHand {
		in = InboxRelay // the stage must not be quicker
	}
	k, err := f.sp.Accept(in, env, nil, Trace{By: "mx.example.net", With: with}, BytesBody([]byte(body)))
	if err != nil {
		f.t.Fatal(err)
	}
	if byHand {
		if err := f.sp.HoldByHand(f.find(k), "held: mine"); err != nil {
			f.t.Fatal(err)
		}
		return k
	}
	f.run(InboxRoute, func(context.Context, *Entry) Outcome { return HoldBecause("failed") })
	return k
}

// fit runs route/'s runner with a share of hold/.
func (f *fixture) fit(bytes, count int64) {
	f.t.Helper()
	r := f.runner(InboxRoute, func(context.Context, *Entry) Outcome { return DropBecause("") })
	r.Share = func() (Share, error) {
		return Share{Bytes: bytes, Count: count, Stranger: func(e *Entry) bool { return !e.Trusted() }}, nil
	}
	if err := r.Run(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// held says what of each key is in hold/: whole, cut or "" for gone.
func (f *fixture) held(keys ...Key) string {
	f.t.Helper()
	list, err := f.sp.List(InboxHold)
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, k := range keys {
		i := slices.IndexFunc(list, func(l Listing) bool { return l.Key == k })
		switch {
		case i < 0:
			out = append(out, "gone")
		case list[i].State != "held":
			out = append(out, list[i].State)
		case list[i].Size < 1000:
			out = append(out, "cut")
		default:
			out = append(out, "whole")
		}
	}
	return strings.Join(out, " ")
}

// What strangers sent makes room, oldest first; the mail of users, and what a person
// has held, stays however full hold/ is.
func TestHoldHasAShare(t *testing.T) {
	f := newFixture(t)
	mine := f.holdMail("ESMTP", 20000, true)
	user := f.holdMail("ESMTPSA", 20000, false)
	a, b, c := f.holdMail("ESMTP", 20000, false), f.holdMail("ESMTP", 20000, false), f.holdMail("ESMTP", 20000, false)
	all := []Key{mine, user, a, b, c}
	for _, step := range []struct {
		bytes, count int64
		want         string
	}{
		{200000, 10, "whole whole whole whole whole"},
		{90000, 10, "whole whole cut whole whole"},
		{70000, 10, "whole whole cut cut whole"},
		{70000, 10, "whole whole cut cut whole"}, // a second pass cuts nothing twice
		{70000, 4, "whole whole gone cut whole"},
		{41000, 4, "whole whole gone cut cut"},
		{40100, 4, "whole whole gone gone gone"},
		{1, 0, "whole whole gone gone gone"},
	} {
		f.fit(step.bytes, step.count)
		if got := f.held(all...); got != step.want {
			t.Fatalf("with %d octets and %d entries hold/ has %s, want %s\n%s", step.bytes, step.count, got, step.want, f.log.String())
		}
	}
	log := f.log.String()
	for _, k := range []Key{a, b, c} {
		if strings.Count(log, fmt.Sprintf("event=cut key=%s inbox=hold octets=", k)) != 1 ||
			strings.Count(log, fmt.Sprintf("event=dropped key=%s inbox=hold why=\"hold/ has more than hold", k)) != 1 {
			t.Errorf("the log has not one cut and one drop of %s:\n%s", k, log)
		}
	}
	if names, _ := os.ReadDir(filepath.Join(f.home, "spool/hold/reason")); len(names) != 2 {
		t.Errorf("reasons are left: %v", names)
	}
}

// A cut entry keeps envelope, marks, header, reason and the time since which it
// is held, and can be released.
func TestACutEntryIsAnEntry(t *testing.T) {
	f := newFixture(t)
	k := f.holdMail("ESMTP", 20000, false)
	before := f.find(k)
	since, _, err := before.at.inbox.due(k)
	if err != nil {
		t.Fatal(err)
	}
	f.time = f.time.Add(time.Hour)
	f.fit(5000, 10)
	after := f.find(k)
	text := read(t, filepath.Join(f.home, "spool/hold/new", after.at.name))
	if f.held(k) != "cut" || after.With != "ESMTP" || after.Envelope.To[0].Addr != "bob@example.net" || !after.Arrival.Equal(before.Arrival) ||
		!strings.Contains(text, "\nSubject: s\n\n[hold/ was full: 20001 octets of") || strings.Contains(text, "0123456789") {
		t.Errorf("%s, arrived %v not %v:\n%s", f.held(k), after.Arrival, before.Arrival, text)
	}
	reasons, err := after.Reasons()
	now, _, _ := after.at.inbox.due(k)
	if err != nil || !strings.HasPrefix(reasons, "route ") || !strings.Contains(reasons, "\nhold ") || !now.Equal(since) {
		t.Errorf("reason %q of %v, not %v (%v)", reasons, now, since, err)
	}
	if found, err := f.sp.Inspect(); err != nil || len(found) > 0 {
		t.Errorf("spool check finds %+v, %v", found, err)
	}
	if err := f.sp.Release(after); err != nil || f.find(k).Inbox != InboxRoute {
		t.Errorf("release: %v", err)
	}
}

// A crash between the short file and the end of the long one leaves both; the
// next pass leaves the short one.
func TestACrashWhileHoldIsCut(t *testing.T) {
	f := newFixture(t)
	k := f.holdMail("ESMTP", 20000, false)
	long := filepath.Join(f.home, "spool/hold/new", f.find(k).at.name)
	text := read(t, long)
	f.fit(5000, 10)
	if err := os.WriteFile(long, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.fit(5000, 10)
	names, _ := os.ReadDir(filepath.Join(f.home, "spool/hold/new"))
	if len(names) != 1 || f.held(k) != "cut" {
		t.Errorf("hold/ has %v", names)
	}
}

func TestATenthOfTheFileSystem(t *testing.T) {
	for _, c := range []struct{ bytes, blocks, size, want int64 }{
		{1 << 30, 1 << 30, 4096, 1 << 30}, {1 << 30, 1000, 4096, 100 * 4096}, {5, 1000, 4096, 5}, {7, 0, 4096, 7},
	} {
		if got := tenth(c.bytes, c.blocks, c.size); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
