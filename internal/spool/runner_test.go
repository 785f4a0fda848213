package spool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPoisonIsIsolated(t *testing.T) {
	name := "1764000000.M000001R0123456789abcdef.mx"
	other := "1764000000.M000002R0123456789abcdef.mx"
	entry := func(id string) string {
		return "Return-Path: <a@b>\nDelivered-To: c@d\nReceived: by mx\n with local id " + id + "; x\nFrom: a@b\n\n"
	}
	sized := func(n, content string) string {
		return fmt.Sprintf("%s,S=%d,W=%d", n, len(content), len(content)+strings.Count(content, "\n"))
	}
	for _, c := range []struct{ what, file, content, reason string }{
		{"a name of its own", "hello", "hi\n", "it was hello"},
		{"no envelope", sized(name, "hi\n"), "hi\n", "no Return-Path"},
		{"another id", sized(name, entry(other)), entry(other), "its id is"},
		{"a control byte", sized(name, strings.Replace(entry(name), "c@d", "c\x1b@d", 1)),
			strings.Replace(entry(name), "c@d", "c\x1b@d", 1), "control byte in the envelope"},
		{"too long", name + ",S=3,W=4", "hello\n", "6 octets, not S=3"},
		{"no recipients", sized(name, "Return-Path: <>\nReceived: by mx\n with local id "+name+"; x\n"),
			"Return-Path: <>\nReceived: by mx\n with local id " + name + "; x\n", "no Delivered-To"},
	} {
		f := newFixture(t)
		good := f.accept(InboxRoute, "From: a@b\n\n", "bob@example.net")
		if err := os.WriteFile(filepath.Join(f.home, "spool/route/new", c.file), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var seen []Key
		f.run(InboxRoute, func(_ context.Context, e *Entry) Outcome {
			seen = append(seen, e.Key)
			return DropBecause("done")
		})
		if len(seen) != 1 || seen[0] != good {
			t.Errorf("%s: the stage saw %q", c.what, seen)
		}
		files := f.files()
		if len(files) != 2 || !strings.HasPrefix(files[0], "hold/new/") {
			t.Errorf("%s: files %q", c.what, files)
			continue
		}
		if r := read(t, filepath.Join(f.home, "spool", files[1])); !strings.HasPrefix(r, "route ") || !strings.Contains(r, c.reason) {
			t.Errorf("%s: reason %q lacks %q", c.what, r, c.reason)
		}
	}
}

func TestWhatIsNotOursIsLeft(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Join(f.home, "spool/route/new")
	name := "1764000000.M000001R0123456789abcdef.mx,S=3,W=4"
	target := filepath.Join(f.home, "target")
	os.WriteFile(target, []byte("hi\n"), 0o600)
	for _, make := range []func() error{
		func() error { return os.Symlink(target, filepath.Join(dir, name)) },
		func() error { return os.Mkdir(filepath.Join(dir, name), 0o700) },
		func() error { return os.Link(target, filepath.Join(dir, name)) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		f.run(InboxRoute, func(context.Context, *Entry) Outcome {
			t.Error("a stage got it")
			return DropBecause("")
		})
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("it was moved: %v", err)
		}
		os.Remove(filepath.Join(dir, name))
	}
	if !strings.Contains(f.log.String(), "symbolic link") && !strings.Contains(f.log.String(), "not a regular file") {
		t.Errorf("nothing was logged: %s", f.log.String())
	}
}

func TestTornIsLeftForAMinute(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRoute, "From: a@b\n\nlonger than this\n", "bob@example.net")
	path := f.only("route/new")
	whole := read(t, path)
	os.Truncate(path, 40)
	stage := func(context.Context, *Entry) Outcome { return DropBecause("whole") }
	f.run(InboxRoute, stage)
	if f.only("route/new") != path {
		t.Fatal("a growing file was moved")
	}
	os.WriteFile(path, []byte(whole), 0o600)
	f.run(InboxRoute, stage)
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestAPanicIsTemporaryThenHeld(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRoute, "From: a@b\n\n", "bob@example.net")
	for range panicLimit {
		f.run(InboxRoute, func(context.Context, *Entry) Outcome { panic("odd message") })
		f.time = f.time.Add(2 * time.Hour)
	}
	files := f.files()
	if len(files) != 2 || !strings.HasPrefix(files[0], "hold/new/") {
		t.Fatalf("files %q", files)
	}
	if r := read(t, filepath.Join(f.home, "spool", files[1])); !strings.Contains(r, "panic: odd message") {
		t.Errorf("reason %q", r)
	}
}

func TestOneRunnerAnInbox(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRoute, "From: a@b\n\n", "bob@example.net")
	f.run(InboxRoute, func(context.Context, *Entry) Outcome {
		if running, err := f.sp.Running(InboxRoute); !running || err != nil {
			t.Errorf("running is %v, %v", running, err)
		}
		other, err := Open(f.home, Options{Hostname: "mx"})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		r := f.runner(InboxRoute, func(context.Context, *Entry) Outcome {
			t.Error("a second runner works")
			return DropBecause("")
		})
		r.Spool = other
		if err := r.Run(context.Background()); err != nil {
			t.Error(err)
		}
		return DropBecause("done")
	})
	if running, err := f.sp.Running(InboxRoute); running || err != nil {
		t.Errorf("running is %v, %v afterwards", running, err)
	}
}

func TestWatchTakesWhatComes(t *testing.T) {
	f := newFixture(t)
	seen := make(chan Key)
	r := f.runner(InboxRoute, func(_ context.Context, e *Entry) Outcome {
		seen <- e.Key
		return HandOnTo(InboxDeliver)
	})
	ready := make(chan bool, 1)
	r.Ready = func() { ready <- true }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Watch(ctx) }()
	<-ready
	for range 5 {
		k := f.accept(InboxRoute, "From: a@b\n\n", "bob@example.net")
		select {
		case got := <-seen:
			if got != k {
				t.Errorf("saw %s, want %s", got, k)
			}
		case <-time.After(time.Minute):
			t.Fatal("not seen")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if list, _ := f.sp.List(InboxDeliver); len(list) != 5 {
		t.Errorf("%d entries handed on", len(list))
	}
}

func TestALaneDoesNotBlockOthers(t *testing.T) {
	f := newFixture(t)
	for range 30 {
		f.accept(InboxRelay, "From: a@b\n\n", "x@slow.example")
	}
	f.accept(InboxRelay, "From: a@b\n\n", "x@fast.example")
	release := make(chan bool)
	r := f.runner(InboxRelay, func(_ context.Context, e *Entry) Outcome {
		if strings.Contains(e.Envelope.To[0].Addr, "fast") {
			close(release)
		} else {
			select {
			case <-release:
			case <-time.After(time.Minute):
				t.Error("the fast lane was blocked")
			}
		}
		return DropBecause("done")
	})
	r.Workers, r.PerLane = workers(4), func(string) int { return 2 }
	r.Lane = func(e *Entry) string { return e.Envelope.To[0].Addr }
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A change of a watcher's Workers counts from the next attempt.
func TestWorkersMayChangeWhileWatching(t *testing.T) {
	f := newFixture(t)
	for range 4 {
		f.accept(InboxRelay, "From: a@b\n\n", "x@far.example")
	}
	var now, attempts, running atomic.Int32
	now.Store(1)
	three := make(chan bool)
	over := make(chan bool, 4)
	r := f.runner(InboxRelay, func(context.Context, *Entry) Outcome {
		defer func() { over <- true }()
		if attempts.Add(1) == 1 {
			now.Store(3)
			return DropBecause("done")
		}
		if running.Add(1) == 3 {
			close(three)
		}
		select {
		case <-three:
		case <-time.After(time.Minute):
			t.Error("no three attempts at once")
		}
		return DropBecause("done")
	})
	r.Workers = func() int { return int(now.Load()) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Watch(ctx) }()
	for range 4 {
		<-over
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// At the end of its time a Run starts nothing new, and does not ask attempts under way
// to stop.
func TestRuntimeStopsNoAttempt(t *testing.T) { synctest.Test(t, runtimeStopsNoAttempt) }

func runtimeStopsNoAttempt(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example")
	f.accept(InboxRelay, "From: a@b\n\ny\n", "bob@far.example")
	attempts := 0
	r := f.runner(InboxRelay, func(ctx context.Context, _ *Entry) Outcome {
		attempts++
		select {
		case <-ctx.Done():
			t.Error("the attempt is asked to stop")
		case <-time.After(100 * time.Millisecond):
		}
		return DropBecause("done")
	})
	r.Workers, r.Runtime = nil, 20*time.Millisecond
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if attempts != 1 {
		t.Errorf("%d attempts", attempts)
	}
	f.only("relay/new")
}

// An attempt that waits long for another host holds no worker, and only so
// many do.
func TestASlowAttemptHoldsNoWorker(t *testing.T) {
	f := newFixture(t)
	for range maxApart + 2 {
		f.accept(InboxRelay, "From: a@b\n\n", "x@slow.example")
	}
	const patience = 20 * time.Millisecond
	release := make(chan bool)
	var once sync.Once
	var mu sync.Mutex
	running, most := 0, 0
	r := f.runner(InboxRelay, func(context.Context, *Entry) Outcome {
		mu.Lock()
		running++
		most = max(most, running)
		if running == maxApart+1 {
			once.Do(func() { time.AfterFunc(10*patience, func() { close(release) }) }) // one more would have come by then
		}
		mu.Unlock()
		select {
		case <-release:
		case <-time.After(time.Minute):
			t.Error("a slow attempt holds a worker")
		}
		mu.Lock()
		running--
		mu.Unlock()
		return DropBecause("done")
	})
	r.Workers, r.Patience = nil, patience
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if most != maxApart+1 || len(f.files()) != 0 {
		t.Errorf("%d attempts at once, want %d; left %q", most, maxApart+1, f.files())
	}
}

// A fifth of the workers, and of the places of attempts that hold none, is for lanes that are
// known: mail for them passes a queue for hosts that nobody has heard of.
func TestAFifthIsForKnownLanes(t *testing.T) {
	for what, c := range map[string]struct {
		wait  func(context.Context) (back func())
		most  int32 // attempts for lanes that are not known
		known int32 // attempts for lanes that are, beside them
	}{
		"workers": {func(context.Context) func() { return func() {} }, 4, 1},
		"apart":   {Apart, 4 + 5, 2},
	} {
		f := newFixture(t)
		for i := range c.most + 3 {
			f.accept(InboxRelay, "From: a@b\n\n", fmt.Sprintf("x@%d.example", i))
		}
		release, over := make(chan bool), make(chan bool, c.most+c.known+3)
		var others, known atomic.Int32
		end := sync.OnceFunc(func() { close(release) })
		r := f.runner(InboxRelay, func(ctx context.Context, e *Entry) Outcome {
			defer func() { over <- true }()
			defer c.wait(ctx)()
			if strings.Contains(e.Envelope.To[0].Addr, "known") {
				if known.Add(1) == c.known {
					if n := others.Load(); n != c.most {
						t.Errorf("%s: %d attempts beside those for known lanes, want %d", what, n, c.most)
					}
					end()
				}
			} else if n := others.Add(1); n == c.most {
				for i := range c.known {
					f.accept(InboxRelay, "From: a@b\n\n", fmt.Sprintf("x@known%d.example", i))
				}
			}
			select {
			case <-release:
			case <-time.After(20 * time.Second):
				t.Errorf("%s: the known lanes were blocked", what)
				end()
			}
			return DropBecause("done")
		})
		r.Workers, r.MaxApart = workers(5), workers(5)
		r.Lane = func(e *Entry) string { return e.Envelope.To[0].Addr }
		r.Known = func(lane string) bool { return strings.Contains(lane, "known") }
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Watch(ctx) }()
		for range c.most + c.known + 3 {
			<-over
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
