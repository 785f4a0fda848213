package spool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/maildir"
)

// fixture is a home with a spool, a log and a clock that a test sets.
type fixture struct {
	t    *testing.T
	home string
	sp   *Spool
	log  bytes.Buffer
	time time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, home: t.TempDir(), time: time.Now()}
	if err := Init(f.home); err != nil {
		t.Fatal(err)
	}
	sp, err := Open(f.home, Options{Now: func() time.Time { return f.time }, Hostname: "mx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	f.sp = sp
	return f
}

func (f *fixture) accept(in Inbox, body string, to ...string) Key {
	f.t.Helper()
	env := Envelope{From: Path{Addr: "alice@example.org"}}
	for _, a := range to {
		env.To = append(env.To, Recipient{Addr: a})
	}
	k, err := f.sp.Accept(in, env, nil, Trace{By: "mx.example.net", With: WithLocal}, BytesBody([]byte(body)))
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

func (f *fixture) runner(in Inbox, h Handler) *Runner {
	return &Runner{Spool: f.sp, Inbox: in, Handle: h, Workers: 2,
		Log: maillog.To(&f.log, "test", func() time.Time { return f.time }),
		Retry: func() (control.Retry, error) {
			return control.Retry{Steps: []time.Duration{5 * time.Minute, time.Hour}, Lifetime: 120 * time.Hour, Attempts: 10}, nil
		}}
}

func (f *fixture) run(in Inbox, h Handler) {
	f.t.Helper()
	if err := f.runner(in, h).Run(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// files lists the spool's files, names cut to what a test can know.
func (f *fixture) files() []string {
	f.t.Helper()
	var list []string
	err := filepath.WalkDir(filepath.Join(f.home, "spool"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != Mark {
			rel, _ := filepath.Rel(filepath.Join(f.home, "spool"), path)
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

func (f *fixture) only(dir string) string {
	f.t.Helper()
	names := f.files()
	if len(names) != 1 || !strings.HasPrefix(names[0], dir+"/") {
		f.t.Fatalf("files are %q, want one in %s", names, dir)
	}
	return filepath.Join(f.home, "spool", names[0])
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAcceptWritesTheFinalForm(t *testing.T) {
	f := newFixture(t)
	k := f.accept(Route, "From: a@example.org\n\nhello\n", "bob@example.net")
	path := f.only("route/new")
	want := "Return-Path: <alice@example.org>\nDelivered-To: bob@example.net\n" +
		"Received: by mx.example.net\n with local id " + string(k) + "; "
	got := read(t, path)
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\nFrom: a@example.org\n\nhello\n") {
		t.Errorf("the file is\n%s", got)
	}
	name := fmt.Sprintf("%s,S=%d,W=%d", k, len(got), len(got)+strings.Count(got, "\n"))
	if filepath.Base(path) != name {
		t.Errorf("the name is %s, want %s", filepath.Base(path), name)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

func TestAcceptGuardsTheFirstLine(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"Subject: x\n\nb\n", "Subject: x\n\nb\n"},
		{"Subject : x\n\nb\n", "Subject : x\n\nb\n"},
		{" folded into ours\n", "\n folded into ours\n"},
		{"just text", "\njust text\n"},
		{"\nbody\n", "\nbody\n"},
		{"From joe Thu\nSubject: x\n\n", "X-Mailbox-Line: From joe Thu\nSubject: x\n\n"},
		{"Subject: no end", "Subject: no end\n"},
		{": x\n", "\n: x\n"},
		{"", ""},
	} {
		f := newFixture(t)
		f.accept(Check, c.body, "b@example.net")
		_, got, _ := strings.Cut(read(t, f.only("check/new")), " +0000\n")
		if got != c.want {
			t.Errorf("%q became %q, want %q", c.body, got, c.want)
		}
	}
}

func TestAcceptRefusesWhatCouldNotBeReadBack(t *testing.T) {
	f := newFixture(t)
	for _, env := range []Envelope{
		{From: Path{Addr: "a@b"}},
		{From: Path{Addr: "a\n@b"}, To: []Recipient{{Addr: "c@d"}}},
		{To: []Recipient{{Addr: "c\r@d"}}},
		{To: []Recipient{{Addr: ""}}},
		{To: []Recipient{{Addr: "c@d", Params: "NOTIFY=\nNEVER"}}},
		{To: []Recipient{{Addr: strings.Repeat("x", 2000)}}},
	} {
		if _, err := f.sp.Accept(Route, env, nil, Trace{}, BytesBody(nil)); err == nil {
			t.Errorf("accepted %+v", env)
		}
	}
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestBufferSpills(t *testing.T) {
	f := newFixture(t)
	b := f.sp.Buffer()
	defer b.Close()
	line := []byte(strings.Repeat("x", 998) + "\n")
	for b.Size() < 3*memoryLimit {
		if _, err := b.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if b.file == nil || len(f.files()) != 0 {
		t.Fatalf("not spilled without a name: %q", f.files())
	}
	env := Envelope{To: []Recipient{{Addr: "b@example.net"}}}
	if _, err := f.sp.Accept(Route, env, nil, Trace{With: "ESMTP"}, b); err != nil {
		t.Fatal(err)
	}
	got := read(t, f.only("route/new"))
	if n := strings.Count(got, string(line)); int64(n*len(line)) != b.Size() {
		t.Errorf("%d lines arrived", n)
	}
}

func TestHandOnKeepsTheFileAndDropsTheFlags(t *testing.T) {
	f := newFixture(t)
	k := f.accept(Route, "From: a@b\n\nx\n", "bob@example.net")
	before := f.only("route/new")
	content := read(t, before)
	flagged := filepath.Join(f.home, "spool/route/cur", filepath.Base(before)+":2,S")
	if err := os.Rename(before, flagged); err != nil {
		t.Fatal(err)
	}
	f.run(Route, func(_ context.Context, e *Entry) Outcome {
		if e.Key != k || e.Envelope.To[0].Addr != "bob@example.net" || !e.Trusted() {
			t.Errorf("entry %+v", e)
		}
		return HandOnTo(Deliver)
	})
	after := f.only("deliver/new")
	if filepath.Base(after) != filepath.Base(before) || read(t, after) != content {
		t.Errorf("%s changed on its way to %s", before, after)
	}
}

func TestDeferWaitsUntilDue(t *testing.T) {
	f := newFixture(t)
	k := f.accept(Relay, "From: a@b\n\nx\n", "bob@example.net")
	tries := 0
	stage := func(_ context.Context, e *Entry) Outcome {
		if e.Attempts != tries {
			t.Errorf("attempt %d says %d deferrals", tries, e.Attempts)
		}
		tries++
		return DeferUntil(f.time.Add(10*time.Minute), "host \x1b[31mdown")
	}
	f.run(Relay, stage)
	f.run(Relay, stage)
	if tries != 1 {
		t.Fatalf("%d attempts before it was due", tries)
	}
	reason := read(t, filepath.Join(f.home, "spool/relay/reason", string(k)))
	if !strings.HasPrefix(reason, "relay ") || !strings.HasSuffix(reason, "deferred: host ?[31mdown\n") {
		t.Errorf("reason is %q", reason)
	}
	list, err := f.sp.List(Relay)
	if err != nil || len(list) != 1 || list[0].State != "deferred" || list[0].Attempts != 1 {
		t.Fatalf("listing %+v, %v", list, err)
	}
	f.time = f.time.Add(11 * time.Minute)
	f.run(Relay, stage)
	if tries != 2 {
		t.Fatalf("%d attempts after it was due", tries)
	}
	f.run(Relay, func(context.Context, *Entry) Outcome { return DropBecause("never") })
	f.time = f.time.Add(11 * time.Minute)
	f.run(Relay, func(context.Context, *Entry) Outcome { return DropBecause("done") })
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestADueTimeBeyondTheLongestStepIsNow(t *testing.T) {
	f := newFixture(t)
	f.accept(Relay, "From: a@b\n\nx\n", "bob@example.net")
	f.run(Relay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(1000*time.Hour), "clock stepped") })
	f.run(Relay, func(context.Context, *Entry) Outcome { return DropBecause("done") })
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestSplitMakesChildrenOnce(t *testing.T) {
	f := newFixture(t)
	f.accept(Route, "From: a@b\n\nx\n", "bob@example.net", "carol@example.net", "dan@far.example")
	var parent []byte
	split := func(_ context.Context, e *Entry) Outcome {
		parent, _ = io.ReadAll(io.NewSectionReader(e.file, 0, e.Size))
		to := e.Envelope.To
		return SplitInto(
			Child{Inbox: Deliver, From: e.Envelope.From, To: to[:1]},
			Child{Inbox: Deliver, From: e.Envelope.From, To: to[1:2]},
			Child{Inbox: Relay, From: e.Envelope.From, To: to[2:]})
	}
	path := f.only("route/new")
	f.run(Route, split)
	first := f.files()
	if len(first) != 3 {
		t.Fatalf("files %q", first)
	}
	for _, name := range first {
		text := read(t, filepath.Join(f.home, "spool", name))
		if n := strings.Count(text, "Delivered-To"); n != 1 {
			t.Errorf("%s has %d recipients:\n%s", name, n, text)
		}
		if !strings.HasSuffix(text, "From: a@b\n\nx\n") {
			t.Errorf("%s lost its message", name)
		}
	}
	// A crash before the parent went: the same decision is the same names.
	if err := os.WriteFile(path, parent, 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(Route, split)
	if again := f.files(); strings.Join(again, " ") != strings.Join(first, " ") {
		t.Errorf("repeated split left %q, want %q", again, first)
	}
	for _, in := range []Inbox{Deliver, Relay} {
		f.run(in, func(_ context.Context, e *Entry) Outcome { return DropBecause("read back") })
	}
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestStoreIsARename(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	f.accept(Deliver, "From: a@b\n\nx\n", "bob@example.net")
	path := f.only("deliver/new")
	want := read(t, path)
	ino := func(p string) os.FileInfo { st, _ := os.Stat(p); return st }
	before := ino(path)
	f.run(Deliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
	got := filepath.Join(box, "new", filepath.Base(path))
	if read(t, got) != want || !os.SameFile(before, ino(got)) {
		t.Errorf("not the same file in the mailbox")
	}
	// The same file again, as cp -a of an old snapshot leaves it: a repeat.
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(Deliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
	if files := f.files(); len(files) != 0 {
		t.Errorf("a repeat left %q", files)
	}
	// Another message of that name goes to hold/.
	other := strings.Replace(want, "\nx\n", "\ny\n", 1)
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(Deliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
	if read(t, got) != want {
		t.Error("a message in the mailbox was replaced")
	}
	held := f.files()
	if len(held) != 2 || !strings.HasPrefix(held[0], "hold/new/") || !strings.HasPrefix(held[1], "hold/reason/") {
		t.Errorf("files %q", held)
	}
}

func TestStoreCopiesWhatHasParameters(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	env := Envelope{From: Path{Addr: "a@b.example", Params: "RET=HDRS"},
		To: []Recipient{{Addr: "bob@example.net", Params: "NOTIFY=NEVER ORCPT=rfc822;info+2Bx@example.net"}}}
	if _, err := f.sp.Accept(Deliver, env, nil, Trace{By: "mx", With: "ESMTP"}, BytesBody([]byte("From: a@b\n\nx\n"))); err != nil {
		t.Fatal(err)
	}
	f.run(Deliver, func(_ context.Context, e *Entry) Outcome {
		if e.Envelope.From.Params != "RET=HDRS" || e.Envelope.To[0].Addr != "bob@example.net" {
			t.Errorf("envelope %+v", e.Envelope)
		}
		return DeliverTo(box)
	})
	md, err := maildir.Open(box)
	if err != nil {
		t.Fatal(err)
	}
	defer md.Close()
	list, err := md.List()
	if err != nil || len(list) != 1 || len(f.files()) != 0 {
		t.Fatalf("mailbox %+v, %v, spool %q", list, err, f.files())
	}
	text := read(t, filepath.Join(box, "new", list[0].Name))
	want := "Return-Path: <a@b.example>\nX-Original-To: info+x@example.net\nDelivered-To: bob@example.net\nReceived:"
	if !strings.HasPrefix(text, want) {
		t.Errorf("the mailbox got\n%s", text)
	}
	if list[0].Size != int64(len(text)) || list[0].WireSize != int64(len(text)+strings.Count(text, "\n")) {
		t.Errorf("sizes %+v of %d octets", list[0], len(text))
	}
}

func TestBounceIsPlacedOnceAndMarks(t *testing.T) {
	f := newFixture(t)
	f.accept(Relay, "From: a@b\n\nx\n", "bob@far.example", "carol@far.example")
	path := f.only("relay/new")
	original := read(t, path)
	fail := func(_ context.Context, e *Entry) Outcome {
		o := DeferUntil(f.time.Add(time.Minute), "carol waits")
		o.Bounce = &Bounce{To: "alice@example.org", Failed: []int{0}, Body: []byte("From: MAILER-DAEMON@mx\n\nfailed\n")}
		return o
	}
	f.run(Relay, fail)
	list, err := f.sp.List(Relay)
	if err != nil || len(list) != 1 || !list[0].Envelope.To[0].Done || list[0].Envelope.To[1].Done {
		t.Fatalf("relay %+v, %v", list, err)
	}
	bounces, err := f.sp.List(Route)
	if err != nil || len(bounces) != 1 || bounces[0].Envelope.From.Addr != "" ||
		bounces[0].Envelope.To[0].Addr != "alice@example.org" {
		t.Fatalf("route %+v, %v", bounces, err)
	}
	// A crash before the mark: the report is not made again.
	os.Remove(filepath.Join(f.home, "spool/relay/cur", list[0].Name))
	if err := os.WriteFile(path, []byte(original), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(Relay, fail)
	if again, _ := f.sp.List(Route); len(again) != 1 || again[0].Key != bounces[0].Key {
		t.Errorf("route now %+v", again)
	}
	// Nor where the report has gone on meanwhile.
	f.run(Route, func(context.Context, *Entry) Outcome { return HandOnTo(Deliver) })
	os.Remove(filepath.Join(f.home, "spool/relay/cur", list[0].Name))
	if err := os.WriteFile(path, []byte(original), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(Relay, fail)
	if again, _ := f.sp.List(Route); len(again) != 0 {
		t.Errorf("route now %+v", again)
	}
}

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
		{"too long", name + ",S=3,W=4", "hello\n", "6 octets, not S=3"},
		{"no recipients", sized(name, "Return-Path: <>\nReceived: by mx\n with local id "+name+"; x\n"),
			"Return-Path: <>\nReceived: by mx\n with local id " + name + "; x\n", "no Delivered-To"},
	} {
		f := newFixture(t)
		good := f.accept(Route, "From: a@b\n\n", "bob@example.net")
		if err := os.WriteFile(filepath.Join(f.home, "spool/route/new", c.file), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var seen []Key
		f.run(Route, func(_ context.Context, e *Entry) Outcome {
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
		f.run(Route, func(context.Context, *Entry) Outcome {
			t.Error("a stage got it")
			return DropBecause("")
		})
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("it was moved: %v", err)
		}
		os.Remove(filepath.Join(dir, name))
	}
	if !strings.Contains(f.log.String(), "symbolic link") && !strings.Contains(f.log.String(), "not a regular file") {
		t.Errorf("nothing was said: %s", f.log.String())
	}
}

func TestTornIsLeftForAMinute(t *testing.T) {
	f := newFixture(t)
	f.accept(Route, "From: a@b\n\nlonger than this\n", "bob@example.net")
	path := f.only("route/new")
	whole := read(t, path)
	os.Truncate(path, 40)
	stage := func(context.Context, *Entry) Outcome { return DropBecause("whole") }
	f.run(Route, stage)
	if f.only("route/new") != path {
		t.Fatal("a growing file was moved")
	}
	os.WriteFile(path, []byte(whole), 0o600)
	f.run(Route, stage)
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestAPanicIsTemporaryThenHeld(t *testing.T) {
	f := newFixture(t)
	f.accept(Route, "From: a@b\n\n", "bob@example.net")
	for range panicLimit {
		f.run(Route, func(context.Context, *Entry) Outcome { panic("odd message") })
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
	f.accept(Route, "From: a@b\n\n", "bob@example.net")
	f.run(Route, func(context.Context, *Entry) Outcome {
		if running, err := f.sp.Running(Route); !running || err != nil {
			t.Errorf("running is %v, %v", running, err)
		}
		other, err := Open(f.home, Options{Hostname: "mx"})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		r := f.runner(Route, func(context.Context, *Entry) Outcome {
			t.Error("a second runner works")
			return DropBecause("")
		})
		r.Spool = other
		if err := r.Run(context.Background()); err != nil {
			t.Error(err)
		}
		return DropBecause("done")
	})
	if running, err := f.sp.Running(Route); running || err != nil {
		t.Errorf("running is %v, %v afterwards", running, err)
	}
}

func TestWatchTakesWhatComes(t *testing.T) {
	f := newFixture(t)
	seen := make(chan Key)
	r := f.runner(Route, func(_ context.Context, e *Entry) Outcome {
		seen <- e.Key
		return HandOnTo(Deliver)
	})
	ready := make(chan bool, 1)
	r.Ready = func() { ready <- true }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Watch(ctx) }()
	<-ready
	for range 5 {
		k := f.accept(Route, "From: a@b\n\n", "bob@example.net")
		select {
		case got := <-seen:
			if got != k {
				t.Errorf("saw %s, want %s", got, k)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("not seen")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if list, _ := f.sp.List(Deliver); len(list) != 5 {
		t.Errorf("%d entries handed on", len(list))
	}
}

func TestALaneDoesNotBlockOthers(t *testing.T) {
	f := newFixture(t)
	for range 30 {
		f.accept(Relay, "From: a@b\n\n", "x@slow.example")
	}
	f.accept(Relay, "From: a@b\n\n", "x@fast.example")
	release := make(chan bool)
	r := f.runner(Relay, func(_ context.Context, e *Entry) Outcome {
		if strings.Contains(e.Envelope.To[0].Addr, "fast") {
			close(release)
		} else {
			select {
			case <-release:
			case <-time.After(10 * time.Second):
				t.Error("the fast lane was blocked")
			}
		}
		return DropBecause("done")
	})
	r.Workers, r.PerLane = 4, 2
	r.Lane = func(e *Entry) string { return e.Envelope.To[0].Addr }
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestMissingMarkMakesNothing(t *testing.T) {
	home := t.TempDir()
	os.MkdirAll(filepath.Join(home, "spool"), 0o700)
	if _, err := Open(home, Options{}); err == nil || !strings.Contains(err.Error(), Mark) {
		t.Errorf("error is %v", err)
	}
	if names, _ := os.ReadDir(filepath.Join(home, "spool")); len(names) != 0 {
		t.Errorf("made %v", names)
	}
}

func TestReserve(t *testing.T) {
	f := newFixture(t)
	f.sp.reserve = 1 << 62
	_, err := f.sp.Accept(Route, Envelope{To: []Recipient{{Addr: "a@b"}}}, nil, Trace{}, BytesBody([]byte("x\n")))
	if err == nil || !strings.Contains(err.Error(), "not enough space") || len(f.files()) != 0 {
		t.Errorf("error %v, files %q", err, f.files())
	}
}
