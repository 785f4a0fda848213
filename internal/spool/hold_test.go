package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
)

// An entry that was copied out of hold/ and changed in the meantime cannot go back
// there: it is deferred where it is, and the held one stays.
func TestWhatIsHeldUnderThatNameStays(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRoute, "From: a@b\n\none\n", "bob@example.net")
	hold := func(context.Context, *Entry) Outcome { return HoldBecause("odd") }
	f.run(InboxRoute, hold)
	held := filepath.Join(f.home, "spool", f.files()[0])
	text := read(t, held)
	copied := filepath.Join(f.home, "spool/route/new", filepath.Base(held))
	if err := os.WriteFile(copied, []byte(strings.Replace(text, "one", "two", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(InboxRoute, hold)
	if read(t, held) != text {
		t.Error("the held entry has changed")
	}
	list, err := f.sp.List(InboxRoute)
	if err != nil || len(list) != 1 || list[0].Key != k || list[0].State != "deferred" ||
		!strings.Contains(list[0].LastReason, "another entry has that name") {
		t.Errorf("route/ holds %+v, %v", list, err)
	}
}

// A stranger's file whose name is taken in hold/ is held under another one.
func TestASecondFileOfThatNameIsHeldToo(t *testing.T) {
	f := newFixture(t)
	name := "1764000000.M000001R0123456789abcdef.mx,S=3,W=4"
	for _, text := range []string{"hi\n", "ho\n", "hi\n"} {
		if err := os.WriteFile(filepath.Join(f.home, "spool/route/new", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.run(InboxRoute, func(context.Context, *Entry) Outcome { return DropBecause("") })
	}
	files := f.files()
	if len(files) != 6 {
		t.Fatalf("files are %q", files)
	}
	for _, file := range files {
		if !strings.HasPrefix(file, "hold/new/") && !strings.HasPrefix(file, "hold/reason/") {
			t.Errorf("%s is not held", file)
		}
	}
	if got := read(t, filepath.Join(f.home, "spool/hold/new", name)); got != "hi\n" {
		t.Errorf("the first one became %q", got)
	}
}

// hold/ is cleaned even if nothing is ever removed for its age.
func TestHoldIsCleanedWithoutHoldtime(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRoute, "From: a@b\n\nx\n", "bob@example.net")
	f.run(InboxRoute, func(context.Context, *Entry) Outcome { return HoldBecause("odd") })
	dir := filepath.Join(f.home, "spool/hold")
	orphan := "1764000000.M000001R0123456789abcdef.mx"
	os.WriteFile(filepath.Join(dir, "reason", orphan), nil, 0o600)
	os.WriteFile(filepath.Join(dir, "tmp", orphan+".01234567"), nil, 0o600)
	f.machine(1000 * time.Hour)
	r := f.runner(InboxRoute, func(context.Context, *Entry) Outcome { return DropBecause("") })
	r.Holdtime = func() (time.Duration, error) { return 0, nil }
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	files := f.files()
	if len(files) != 2 || !strings.HasPrefix(files[0], "hold/new/"+string(k)) || files[1] != "hold/reason/"+string(k) {
		t.Errorf("files are %q", files)
	}
}

// A panic of our own outside the stage is temporary too.
func TestAPanicBesideTheStageIsTemporary(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRoute, "From: a@b\n\nx\n", "bob@example.net")
	path := f.only("route/new")
	r := f.runner(InboxRoute, func(context.Context, *Entry) Outcome {
		return Outcome{} // cannot be carried out, so the delay is asked for
	})
	r.Retry = func() (control.Retry, error) { panic("odd settings") }
	var err error
	if r.inbox, err = f.sp.inbox(InboxRoute); err != nil {
		t.Fatal(err)
	}
	res := r.attempt(context.Background(), job{key: k, at: spot{r.inbox, stateNew, filepath.Base(path)}})
	if !res.deferred || !res.due.After(f.time) || !strings.Contains(f.log.String(), "\"panic: odd settings\" stack=") {
		t.Errorf("result %+v, the log is\n%s", res, f.log.String())
	}
	f.only("route/new")
}

// A watcher that must stop starts nothing, so nothing that falls due may wake it.
func TestAStoppingWatcherIsNotWoken(t *testing.T) {
	f := newFixture(t)
	s := newSchedule(context.Background(), f.runner(InboxRoute, nil), true)
	s.deferJob(job{key: "k", at: spot{name: "k", state: stateDeferred}, due: f.time.Add(-time.Hour)})
	ctx, cancel := context.WithCancelCause(context.Background())
	if c, stop := s.wake(ctx); c == nil {
		t.Error("a due entry wakes nobody")
	} else {
		stop()
	}
	cancel(errors.New("stop"))
	if c, _ := s.wake(ctx); c != nil {
		t.Error(fmt.Sprint("it is woken though it stops: ", context.Cause(ctx)))
	}
}
