package spool

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// watch runs a watcher over in until the test ends.
func (f *fixture) watch(in Inbox, h Handler) {
	f.t.Helper()
	f.watchWith(f.runner(in, h))
}

// watchWith is watch with a runner of the test's own.
func (f *fixture) watchWith(r *Runner) {
	f.t.Helper()
	ready, done := make(chan bool, 1), make(chan error, 1)
	r.Ready = func() { ready <- true }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- r.Watch(ctx) }()
	<-ready
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func TestWatchTriesAgainWhenItIsDue(t *testing.T) {
	f := newFixture(t)
	f.sp.now = time.Now
	tries := make(chan int, 10)
	f.watch(InboxRelay, func(_ context.Context, e *Entry) Outcome {
		tries <- e.Attempts
		if e.Attempts < 2 {
			return DeferUntil(time.Now().Add(30*time.Millisecond), "not yet")
		}
		return DropBecause("done")
	})
	f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	for want := range 3 {
		if got := await(t, "attempt", tries); got != want {
			t.Errorf("attempt %d says %d deferrals", want, got)
		}
	}
}

func TestARetryByHandHurriesAWatcher(t *testing.T) {
	f := newFixture(t)
	f.sp.now = time.Now
	tries := make(chan Key, 10)
	f.watch(InboxRelay, func(_ context.Context, e *Entry) Outcome {
		tries <- e.Key
		if e.Attempts == 0 {
			return DeferUntil(time.Now().Add(time.Hour), "down")
		}
		return DropBecause("done")
	})
	f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	await(t, "first attempt", tries)
	var deferred []string
	for deadline := time.Now().Add(time.Minute); len(deferred) == 0 && time.Now().Before(deadline); {
		deferred, _ = filepath.Glob(filepath.Join(f.home, "spool/relay/cur/*"))
	}
	if len(deferred) != 1 {
		t.Fatalf("deferred: %q", deferred)
	}
	base := filepath.Base(deferred[0])
	if err := os.Rename(deferred[0], filepath.Join(f.home, "spool/relay/new", base[:len(base)-len(":2,")])); err != nil {
		t.Fatal(err)
	}
	await(t, "second attempt", tries)
}

func TestCleanTakesWhatCrashesLeft(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(time.Hour), "down") })
	dir := filepath.Join(f.home, "spool/relay")
	orphan := "1764000000.M000001R0123456789abcdef.mx"
	os.WriteFile(filepath.Join(dir, "reason", orphan), nil, 0o600)
	os.WriteFile(filepath.Join(dir, "tmp", orphan+".01234567"), nil, 0o600)
	never := func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(time.Hour), "down") }
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	f.run(InboxRelay, never)
	if !exists("reason/"+orphan) || !exists("tmp/"+orphan+".01234567") {
		t.Fatal("young leftovers were removed")
	}
	f.machine(37 * time.Hour)
	r := f.runner(InboxRelay, never)
	r.Ages = func() bool { return false }
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !exists("reason/"+orphan) || !exists("tmp/"+orphan+".01234567") {
		t.Fatal("leftovers were removed for an age that cannot be trusted")
	}
	f.run(InboxRelay, never)
	if exists("reason/"+orphan) || exists("tmp/"+orphan+".01234567") {
		t.Error("old leftovers stay")
	}
	if !exists("reason/" + string(k)) {
		t.Error("the reason of an entry was removed")
	}
}

func TestHeldEntriesGoAfterHoldtime(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRoute, "From: a@b\n\nx\n", "bob@example.net")
	f.run(InboxRoute, func(context.Context, *Entry) Outcome { return HoldBecause("odd") })
	r := f.runner(InboxRoute, func(context.Context, *Entry) Outcome { return DropBecause("") })
	r.Holdtime = func() (time.Duration, error) { return 24 * time.Hour, nil }
	for _, step := range []struct {
		later time.Duration
		want  int
	}{{23 * time.Hour, 2}, {2 * time.Hour, 0}} {
		f.time = f.time.Add(step.later)
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if files := f.files(); len(files) != step.want {
			t.Errorf("after %v: %q", step.later, files)
		}
	}
}

// What a stage decides about an entry rests on nothing that was looked up before the
// runner noticed the entry.
func TestNoticedComesBeforeTheAttempt(t *testing.T) {
	f := newFixture(t)
	f.sp.now = time.Now
	var noticed atomic.Int64
	handled := make(chan int64, 10)
	r := f.runner(InboxRelay, func(context.Context, *Entry) Outcome {
		handled <- noticed.Load()
		return DropBecause("done")
	})
	r.Noticed = func() { noticed.Add(1) }
	f.watchWith(r)
	for want := range int64(3) {
		f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
		if got := await(t, "attempt", handled); got != want+1 {
			t.Errorf("at attempt %d, %d entries were noticed", want+1, got)
		}
	}
}

// Before it begins attempts, a runner tells how many entries are due.
func TestDueIsTold(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	}
	var due []int
	r := f.runner(InboxRelay, func(context.Context, *Entry) Outcome { return DropBecause("done") })
	r.Due = func(n int) { due = append(due, n) }
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(due) < 2 || due[0] != 3 || due[len(due)-1] != 0 {
		t.Errorf("due, again and again: %v", due)
	}
}
