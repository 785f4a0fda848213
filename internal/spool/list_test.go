package spool

import (
	"context"
	"errors"
	"fmt"
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

// What is listed stays in its order, whether there was room for it or not, and whatever has gone
// in the meantime.
func TestJoined(t *testing.T) {
	for _, c := range []struct {
		room int
		seen []int // names of each part
		gone []int // of those, at the end of the part
		want string
	}{
		{10, []int{3, 3, 2}, []int{0, 0, 0}, "00 01 02 10 11 12 20 21"},
		{10, []int{3, 3, 2}, []int{1, 0, 0}, "00 01 10 11 12 20 21"},
		{10, []int{3, 3, 2}, []int{3, 3, 2}, ""},
		{10, []int{3, 3, 2}, []int{3, 0, 1}, "10 11 12 20"},
		{3, []int{3, 3, 2}, []int{1, 0, 0}, "00 01 10 11 12 20 21"},
		{4, []int{3, 3, 1}, []int{2, 0, 0}, "00 10 11 12 20"},
		{0, []int{2, 2}, []int{0, 1}, "00 01 10"},
		{5, nil, nil, ""},
	} {
		room := make([]Listing, c.room)
		left := room
		var parts []*some
		for i, n := range c.seen {
			s := &some{}
			if n <= len(left) {
				s.list, left = left[:0:n], left[n:]
			} else {
				left = nil
			}
			for k := range n - c.gone[i] {
				s.list = append(s.list, Listing{Name: fmt.Sprint(i, k)})
			}
			parts = append(parts, s)
		}
		var got []string
		for _, l := range joined(room, parts) {
			got = append(got, strings.ReplaceAll(l.Name, " ", ""))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("room for %d, parts %v without %v: %s, want %s", c.room, c.seen, c.gone, got, c.want)
		}
	}
}
