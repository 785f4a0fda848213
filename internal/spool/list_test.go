package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is listed is what the entries say one by one, oldest first, whichever way the files are
// looked at; an outline leaves out the reasons alone.
func TestListAndOutline(t *testing.T) {
	f := newFixture(t)
	start := f.time
	for i := range 40 {
		f.time = start.Add(-time.Duration(i*7%40) * time.Hour)
		f.accept(InboxRelay, "Subject: x\n\n"+strings.Repeat("long\n", i*i), "b@c.example", "d@e.example")
		if i%3 == 0 {
			f.run(InboxRelay, func(context.Context, *Entry) Outcome {
				return DeferUntil(start.Add(9*time.Hour), "connection refused")
			})
		}
	}
	list, err := f.sp.List(InboxRelay)
	if err != nil || len(list) != 40 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	if !slices.IsSortedFunc(list, func(a, b Listing) int { return a.Arrival.Compare(b.Arrival) }) {
		t.Error("not sorted")
	}
	outline, err := f.sp.Outline(InboxRelay)
	if err != nil || len(outline) != len(list) {
		t.Fatalf("%d entries in outline, %v", len(outline), err)
	}
	tried := 0
	for i, l := range list {
		e, err := f.sp.Find(l.Key)
		if err != nil {
			t.Fatal(err)
		}
		var want Listing
		if e.list(&want); !equalListing(l, want) {
			t.Errorf("listed %+v\nopened %+v", l, want)
		}
		e.Close()
		if l.Attempts > 0 {
			tried++
		}
		l.Attempts, l.LastReason, l.Due = 0, "", time.Time{}
		if !equalListing(l, outline[i]) {
			t.Errorf("outline %+v\nlisted  %+v", outline[i], l)
		}
	}
	if tried < 10 {
		t.Errorf("%d have a reason", tried)
	}
}

func equalListing(a, b Listing) bool {
	same := slices.Equal(a.Envelope.To, b.Envelope.To) && a.Envelope.From == b.Envelope.From &&
		a.Arrival.Equal(b.Arrival) && a.Due.Equal(b.Due)
	a.Envelope, b.Envelope, a.Arrival, b.Arrival, a.Due, b.Due = Envelope{}, Envelope{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && a.Key == b.Key && a.Name == b.Name && a.Inbox == b.Inbox && a.State == b.State && a.Size == b.Size &&
		a.Attempts == b.Attempts && a.LastReason == b.LastReason
}

// A reason that is no file, and one that is too long to be read at once.
func TestListedReasons(t *testing.T) {
	f := newFixture(t)
	odd, long := f.accept(InboxRelay, "x\n", "b@c.example"), f.accept(InboxRelay, "x\n", "b@c.example")
	reason := func(k Key) string { return filepath.Join(f.home, "spool", "relay", "reason", string(k)) }
	if err := errors.Join(unix.Mkfifo(reason(odd), 0o600),
		os.WriteFile(reason(long), []byte(strings.Repeat("relay 2026-11-29T00:00:00Z deferred: again\n", 999)), 0o600)); err != nil {
		t.Fatal(err)
	}
	list, err := f.sp.List(InboxRelay)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, l := range list {
		switch l.Key {
		case long:
			if l.Attempts != 999 || l.State != "new" {
				t.Errorf("%+v", l)
			}
		default:
			if l.State != "foreign" || !strings.Contains(l.LastReason, "a fifo") {
				t.Errorf("%+v", l)
			}
		}
	}
}
