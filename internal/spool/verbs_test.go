package spool

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/status"
)

func (f *fixture) find(k Key) *Entry {
	f.t.Helper()
	e, err := f.sp.Find(k)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { e.Close() })
	return e
}

func TestVerbs(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(time.Hour), "down") })
	step := func(what string, err error, in Inbox, state string) {
		t.Helper()
		e := f.find(k)
		if err != nil || e.Inbox != in || e.State() != state {
			t.Fatalf("after %s: %v, %s in %s", what, err, e.State(), e.Inbox)
		}
	}
	step("deferral", nil, InboxRelay, "deferred")
	if text, err := f.find(k).Reasons(); err != nil || !strings.Contains(text, "deferred: down") {
		t.Errorf("reasons %q, %v", text, err)
	}
	step("retry", f.sp.Retry(f.find(k)), InboxRelay, "new")
	step("retry again", f.sp.Retry(f.find(k)), InboxRelay, "new")
	step("hold", f.sp.HoldByHand(f.find(k), "by hand: odd"), InboxHold, "held")
	if err := f.sp.Retry(f.find(k)); status.Exit(err) != status.Refused {
		t.Errorf("retry of a held entry: %v", err)
	}
	step("hold what is held", f.sp.Apply(f.find(k), HoldBecause("again")), InboxHold, "held")
	step("release", f.sp.Release(f.find(k)), InboxRoute, "new")
	if err := f.sp.Release(f.find(k)); status.Exit(err) != status.Refused {
		t.Errorf("release of what is not held: %v", err)
	}
	stale := f.find(k)
	if err := f.sp.Remove(f.find(k)); err != nil {
		t.Fatal(err)
	}
	if err := f.sp.Reroute(stale); !status.IsTemporary(err) {
		t.Errorf("a verb on what went: %v", err)
	}
	if _, err := f.sp.Find(k); status.Exit(err) != status.Refused {
		t.Errorf("found after removal: %v", err)
	}
}

func TestAnAttemptUnderWayLosesAgainstAVerb(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	f.run(InboxRelay, func(_ context.Context, e *Entry) Outcome {
		if err := f.sp.HoldByHand(f.find(k), "stop"); err != nil {
			t.Error(err)
		}
		return DeferUntil(f.time.Add(time.Hour), "down")
	})
	if e := f.find(k); e.Inbox != InboxHold {
		t.Errorf("it is in %s", e.Inbox)
	}
	if list, _ := f.sp.List(InboxRelay); len(list) != 0 {
		t.Errorf("relay holds %+v", list)
	}
}

func TestInspect(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRoute, "From: a@b\n\nx\n", "bob@example.net")
	f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@example.net")
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(time.Hour), "down") })
	if found, err := f.sp.Inspect(); err != nil || len(found) != 0 {
		t.Fatalf("a sound spool has %+v, %v", found, err)
	}
	dir := filepath.Join(f.home, "spool")
	put := func(name, text string) { os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	old := "1764000000.M000001R0123456789abcdef.mx"
	put("check/tmp/"+old+".01234567", "half")
	put("deliver/new/hello", "hi\n")
	put("stray", "x")
	put("route/reason/"+old, "x\n")
	os.Remove(filepath.Join(dir, "hold/reason"))
	os.Symlink(filepath.Join(dir, "stray"), filepath.Join(dir, "relay/new/"+old+",S=1,W=1"))
	if aged, err := f.sp.Inspect(); err != nil || slices.ContainsFunc(aged, func(x Finding) bool { return x.Aged }) {
		t.Errorf("leftovers of this instant: %+v, %v", aged, err)
	}
	f.machine(40 * time.Hour)
	found, err := f.sp.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range found {
		got = append(got, x.Path+" -> "+x.Remedy)
		if err := x.Repair(); err != nil {
			t.Errorf("%s: %v", x.Path, err)
		}
	}
	want := []string{"stray -> ", "hold -> make it", "check/tmp/" + old + ".01234567 -> remove it", "route/reason/" + old + " -> remove it",
		"deliver/new/hello -> hold it", "relay/new/" + old + ",S=1,W=1 -> "}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("found\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	left, err := f.sp.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range left {
		if x.Remedy != "" {
			t.Errorf("still to repair: %+v", x)
		}
	}
}
