package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/dir"
)

// left is an entry that a crash has left in tmp/ under its final name.
func (f *fixture) left(in Inbox, body string, to ...string) (Key, string) {
	f.t.Helper()
	k := f.accept(in, body, to...)
	e, err := f.sp.Find(k)
	if err != nil {
		f.t.Fatal(err)
	}
	e.Close()
	name := e.fileName().String()
	path := filepath.Join(f.home, "spool", string(in), "tmp", name)
	if err := os.Rename(e.at.path(), path); err != nil {
		f.t.Fatal(err)
	}
	return k, path
}

// again opens the spool as the first program after a boot does.
func (f *fixture) again() *Spool {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.home, "spool", Record)); err != nil {
		f.t.Fatal(err)
	}
	sp, err := Open(f.home, f.options())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { sp.Close() })
	return sp
}

const somebody = "From: a@b\n\nx\n"

// What a power cut left in tmp/ is an entry once the spool is opened on another boot.
func TestPromotedAtBoot(t *testing.T) {
	for _, in := range []Inbox{InboxCheck, InboxRoute} {
		f := newFixture(t)
		k, path := f.left(in, somebody, "bob@example.net")
		same, err := Open(f.home, f.options())
		if err != nil {
			t.Fatal(err)
		}
		defer same.Close()
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: promoted on the same boot: %v", in, err)
		}
		f.again()
		if got := f.only(string(in) + "/new"); filepath.Base(got) != filepath.Base(path) {
			t.Errorf("%s: promoted to %s", in, got)
		}
		if !strings.Contains(f.log.String(), "event=promoted key="+string(k)+" inbox="+string(in)) {
			t.Errorf("%s: no event: %s", in, f.log.String())
		}
	}
}

// What cannot be promoted in one inbox keeps nothing back in the other, and is tried again.
func TestPromotedInTheOther(t *testing.T) {
	f := newFixture(t)
	_, path := f.left(InboxCheck, somebody, "bob@example.net")
	if err := os.Mkdir(filepath.Join(f.home, "spool/check/new", filepath.Base(path)), 0o700); err != nil {
		t.Fatal(err)
	}
	_, other := f.left(InboxRoute, somebody, "bob@example.net")
	f.again()
	if _, err := os.Stat(filepath.Join(f.home, "spool/route/new", filepath.Base(other))); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil || !strings.Contains(f.log.String(), "look through check/tmp") {
		t.Errorf("%v, %s", err, f.log.String())
	}
	if _, err := os.Stat(filepath.Join(f.home, "spool", Record)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record says that all was looked through: %v", err)
	}
}

// What is not complete is no entry, however it is named.
func TestNotComplete(t *testing.T) {
	f := newFixture(t)
	_, path := f.left(InboxRoute, somebody, "bob@example.net")
	whole := []byte(read(t, path))
	name := filepath.Base(path)
	tmp := filepath.Dir(path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	zeros := append(bytes.Clone(whole[:len(whole)-9]), make([]byte, 9)...)
	other := f.accept(InboxRoute, somebody, "carl@example.net")
	if err := os.Remove(filepath.Join(f.home, "spool/route/new", fmt.Sprintf("%s,S=%d,W=%d", other, len(whole)+1, len(whole)+8))); err != nil {
		t.Fatal(err)
	}
	key, sizes, _ := strings.Cut(name, ",")
	for what, file := range map[string]struct {
		name string
		data []byte
	}{
		"short":             {name, whole[:len(whole)-1]},
		"long":              {name, append(bytes.Clone(whole), '\n')},
		"empty":             {name, nil},
		"data never synced": {name, zeros},
		"a child":           {key + "-0123456789ab," + sizes, whole},
		"a draft":           {key + ".01234567", whole},
		"flagged":           {name + ":2,S", whole},
		"another id":        {string(other) + "," + sizes, whole},
		"no fields":         {name, bytes.Repeat([]byte("x"), len(whole))},
	} {
		path := filepath.Join(tmp, file.name)
		if err := os.WriteFile(path, file.data, 0o600); err != nil {
			t.Fatal(err)
		}
		f.again()
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, file.data) {
			t.Errorf("%s: %v; files %q", what, err, f.files())
		}
		os.Remove(path)
		if left := f.files(); len(left) > 0 {
			t.Fatalf("%s: promoted: %q", what, left)
		}
	}
	for what, make := range map[string]func(string) error{
		"a directory":     func(p string) error { return os.Mkdir(p, 0o700) },
		"a symbolic link": func(p string) error { return os.Symlink("/etc/passwd", p) },
	} {
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		f.again()
		if _, err := os.Lstat(path); err != nil || len(f.files()) > 0 {
			t.Errorf("%s: %v, %q", what, err, f.files())
		}
		os.Remove(path)
	}
}

// The cleaner never removes a complete file: after an hour it is an entry. It removes what
// is not complete after 36 hours.
func TestCleanerPromotes(t *testing.T) {
	for _, in := range []Inbox{InboxCheck, InboxRoute} {
		f := newFixture(t)
		_, path := f.left(in, somebody, "bob@example.net")
		b, err := f.sp.inbox(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration
			there bool
		}{{59 * time.Minute, true}, {61 * time.Minute, false}} {
			f.machine(step.after)
			if err := f.sp.clean(b, f.sp.ageing(), nil); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); (err == nil) != step.there {
				t.Errorf("%s: after %v: %v", in, step.after, err)
			}
		}
		f.only(string(in) + "/new")
	}
	f := newFixture(t)
	_, path := f.left(InboxRoute, somebody, "bob@example.net")
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
	b, err := f.sp.inbox(InboxRoute)
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{35 * time.Hour, 37 * time.Hour} {
		if left := f.files(); len(left) != 1 {
			t.Fatalf("before %v: %q", after, left)
		}
		f.machine(after)
		if err := f.sp.clean(b, f.sp.ageing(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if left := f.files(); len(left) > 0 {
		t.Errorf("a torn file stays: %q", left)
	}
}

// Where new/ cannot take it, a complete file stays for good.
func TestCleanerKeepsComplete(t *testing.T) {
	f := newFixture(t)
	_, path := f.left(InboxRoute, somebody, "bob@example.net")
	taken := filepath.Join(f.home, "spool/route/new", filepath.Base(path))
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := f.sp.inbox(InboxRoute)
	if err != nil {
		t.Fatal(err)
	}
	f.machine(400 * 24 * time.Hour)
	if err := f.sp.clean(b, f.sp.ageing(), nil); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// Of a file with a second name in an inbox the name in tmp/ goes; with one elsewhere the entry
// is a file of its own.
func TestPromoteLinked(t *testing.T) {
	f := newFixture(t)
	_, path := f.left(InboxCheck, somebody, "bob@example.net")
	moved := filepath.Join(f.home, "spool/route/new", filepath.Base(path))
	if err := os.Link(path, moved); err != nil {
		t.Fatal(err)
	}
	f.again()
	if got := f.only("route/new"); got != moved {
		t.Error(got)
	}
	f = newFixture(t)
	_, path = f.left(InboxCheck, somebody, "bob@example.net")
	backup := filepath.Join(f.home, "backup")
	if err := os.Link(path, backup); err != nil {
		t.Fatal(err)
	}
	want := read(t, path)
	f.again()
	if got := f.only("check/new"); read(t, got) != want || read(t, backup) != want {
		t.Errorf("%s is %q", got, read(t, got))
	}
	ran := false
	f.run(InboxCheck, func(context.Context, *Entry) Outcome { ran = true; return DropBecause("seen") })
	if !ran {
		t.Error("no stage gets it")
	}
}

// A writer whose file another program has promoted says yes where the message still is
// anywhere, and no where it is not.
func TestWriterFindsItPromoted(t *testing.T) {
	for what, step := range map[string]struct {
		do  func(t *testing.T, f *fixture, path string)
		yes bool
	}{
		"promoted": {func(t *testing.T, f *fixture, path string) { f.again() }, true},
		"and handed on": {func(t *testing.T, f *fixture, path string) {
			f.again()
			f.run(InboxCheck, func(context.Context, *Entry) Outcome { return HandOnTo(InboxRoute) })
		}, true},
		"and dropped": {func(t *testing.T, f *fixture, path string) {
			f.again()
			f.run(InboxCheck, func(context.Context, *Entry) Outcome { return DropBecause("seen") })
		}, false},
	} {
		f := newFixture(t)
		b, err := f.sp.inbox(InboxCheck)
		if err != nil {
			t.Fatal(err)
		}
		k := f.sp.Reserve()
		env := Envelope{From: Path{Addr: "a@b"}, To: []Recipient{{Addr: "bob@example.net"}}}
		head := f.sp.headBytes(k, env, nil, Trace{By: "mx", With: WithLocal})
		x, err := weigh(head, BytesBody([]byte(somebody)))
		if err != nil {
			t.Fatal(err)
		}
		n := fileName{k, x.size, x.size + x.breaks}
		d, err := f.sp.write(func() (*draft, error) { return b.newComplete(n) }, x)
		if err != nil {
			t.Fatal(err)
		}
		step.do(t, f, b.tmp.Join(n.String()))
		if err := f.sp.settle(d); (err == nil) != step.yes {
			t.Errorf("%s: %v", what, err)
		}
		d.abort()
		if _, err := f.sp.Find(k); (err == nil) != step.yes {
			t.Errorf("%s: afterwards %v", what, err)
		}
	}
}

// Programs that open the spool at once make one entry of each message.
func TestOpenedAtOnce(t *testing.T) {
	f := newFixture(t)
	want := map[Key]bool{}
	for range 50 {
		k, _ := f.left(InboxRoute, somebody, "bob@example.net")
		want[k] = true
	}
	if err := os.Remove(filepath.Join(f.home, "spool", Record)); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			sp, err := Open(f.home, Options{Hostname: "mx.example.net"})
			if err != nil {
				t.Error(err)
				return
			}
			sp.Close()
		})
	}
	wait.Wait()
	list, err := f.sp.List(InboxRoute)
	for _, l := range list {
		delete(want, l.Key)
	}
	if err != nil || len(list) != 50 || len(want) > 0 {
		t.Errorf("%d entries, missing %v, %v", len(list), want, err)
	}
}

// Only messages from outside are complete in tmp/. All others have a name of their own there.
func TestWhoIsComplete(t *testing.T) {
	f := newFixture(t)
	for in, want := range map[Inbox]bool{InboxCheck: true, InboxRoute: true, InboxHold: false, InboxDeliver: false, InboxRelay: false} {
		b, err := f.sp.inbox(in)
		if err != nil {
			t.Fatal(err)
		}
		if b.promotes() != want {
			t.Errorf("%s: %v", in, b.promotes())
		}
	}
}

// A body that is not the same when it is read again is refused, and nothing of it stays.
func TestABodyThatChanges(t *testing.T) {
	f := newFixture(t)
	env := Envelope{From: Path{Addr: "a@b"}, To: []Recipient{{Addr: "bob@example.net"}}}
	_, err := f.sp.Accept(InboxRoute, env, nil, Trace{By: "mx", With: WithLocal}, &fickle{size: 3 * copyBuffer})
	if !errors.Is(err, errChanged) || len(f.files()) > 0 {
		t.Errorf("%v, %q", err, f.files())
	}
}

// fickle has one line end more at each reading of its end.
type fickle struct{ size, reads int64 }

func (b *fickle) Size() int64 { return b.size }

func (b *fickle) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	if off == 0 {
		copy(p, "A: b\n\n")
	}
	if off+int64(len(p)) == b.size {
		b.reads++
		for i := range min(b.reads, int64(len(p))) {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

// The record tells boots, machines and mounts apart.
func TestRecord(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(f.home, "spool", Record)
	text := read(t, path)
	if !strings.HasPrefix(text, "boot ") || strings.Count(text, "\n") != 3 || bootRecord(dir.Mount{Type: "ext4", Device: "7:0"}) == bootRecord(dir.Mount{Type: "ext4", Device: "7:1"}) {
		t.Errorf("%q", text)
	}
	for _, other := range []string{"", "boot 2\n", strings.Replace(text, "mount ", "mount 9", 1)} {
		_, left := f.left(InboxRoute, somebody, "bob@example.net")
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		sp, err := Open(f.home, f.options())
		if err != nil {
			t.Fatal(err)
		}
		sp.Close()
		if _, err := os.Stat(left); err == nil || read(t, path) != text {
			t.Errorf("%q: %v, record %q", other, err, read(t, path))
		}
	}
}
