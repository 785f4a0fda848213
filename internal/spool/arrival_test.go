package spool

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"
)

// TestArrival: nothing that is done to an entry makes it younger or older.
func TestArrival(t *testing.T) {
	const days = 6 * 24 * time.Hour
	for _, row := range []struct {
		name string
		do   func(t *testing.T, f *fixture, k Key)
	}{
		{"left alone", func(*testing.T, *fixture, Key) {}},
		{"a recipient is marked", func(t *testing.T, f *fixture, k Key) {
			e := f.find(k)
			if err := e.Mark(0); err != nil {
				t.Fatal(err)
			}
		}},
		{"copied without its time", func(t *testing.T, f *fixture, k Key) {
			path := f.only("relay/new")
			text := read(t, path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t)
			now := f.time
			f.time = now.Add(-days)
			k := f.accept(InboxRelay, "x\n", "b@example.net", "c@example.net")
			f.time = now
			row.do(t, f, k)
			e := f.find(k)
			if age := now.Sub(e.Arrival); age.Round(time.Second) != days {
				t.Errorf("it is %v old, not %v", age, days)
			}
			if list, err := f.sp.List(InboxRelay); err != nil || len(list) != 1 || !list[0].Arrival.Equal(e.Arrival) {
				t.Errorf("listed as %+v, %v", list, err)
			}
		})
	}
}

// TestArrivalClockAhead: a clock that was ahead at the acceptance does not keep
// an entry from growing old.
func TestArrivalClockAhead(t *testing.T) {
	f := newFixture(t)
	now := f.time
	f.time = now.Add(1000 * time.Hour)
	k := f.accept(InboxRelay, "x\n", "b@example.net")
	f.time = now
	before := now.Add(-130 * time.Hour)
	if err := os.Chtimes(f.only("relay/new"), before, before); err != nil {
		t.Fatal(err)
	}
	e := f.find(k)
	if !e.Arrival.Equal(before) {
		t.Errorf("it arrived %v, not %v", e.Arrival, before)
	}
}

// TestArrivalOfOthers: a child is as old as its parent. The age of a report of ours
// counts from the report itself, although its key has the time of its entry, and so
// does that of its children.
func TestArrivalOfOthers(t *testing.T) {
	f := newFixture(t)
	const days = 6 * 24 * time.Hour
	now := f.time
	f.time = now.Add(-days)
	f.accept(InboxRoute, "x\n", "b@example.net", "nobody@example.net")
	f.time = now
	f.run(InboxRoute, func(_ context.Context, e *Entry) Outcome {
		if e.Trusted() {
			o := SplitInto(Child{Inbox: InboxDeliver, From: e.Envelope.From, To: e.Envelope.To[:1]})
			o.Bounce = &Bounce{To: "alice@example.org", Failed: []int{1}, Body: []byte("Subject: failed\n\nit did\n")}
			return o
		}
		return SplitInto(Child{Inbox: InboxRelay, From: e.Envelope.From, To: []Recipient{{Addr: "alice@elsewhere.example"}}})
	})
	for in, want := range map[Inbox]time.Duration{InboxDeliver: days, InboxRelay: 0} {
		list, err := f.sp.List(in)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s holds %d, %v: %s", in, len(list), err, bytes.TrimSpace(f.log.Bytes()))
		}
		if age := now.Sub(list[0].Arrival); age.Round(2*time.Second) != want {
			t.Errorf("in %s it is %v old, not %v", in, age, want)
		}
	}
}

// TestMarkKeepsSchedule: marking a recipient does not change how far off the next
// attempt of an old entry is.
func TestMarkKeepsSchedule(t *testing.T) {
	f := newFixture(t)
	now := f.time
	f.time = now.Add(-6 * 24 * time.Hour)
	k := f.accept(InboxRelay, "x\n", "b@example.net", "c@example.net")
	f.time = now
	r := f.runner(InboxRelay, nil)
	for range 2 {
		e := f.find(k)
		d := r.delay(e)
		if d < time.Hour || d > time.Hour+time.Hour/4 || r.delay(e) != d {
			t.Errorf("done %v: the next attempt is %v off", e.Envelope.To[0].Done, d)
		}
		retry, _ := r.Retry()
		if !retry.Expired(now.Sub(e.Arrival), retry.Attempts) {
			t.Errorf("done %v: it never expires", e.Envelope.To[0].Done)
		}
		if err := e.Mark(0); err != nil {
			t.Fatal(err)
		}
	}
}
