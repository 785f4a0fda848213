package spool

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
	"paperpath/maildir"
)

// onSmallDisk makes a fixture whose home is a file system of that many MiB, half of
// them reserved.
func onSmallDisk(t *testing.T, megabytes int64) *fixture {
	t.Helper()
	home := t.TempDir()
	if err := unix.Mount("paperpath-test", home, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("a file system of its own needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(home, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := newFixture(t)
	f.sp.Close()
	f.home = home
	if err := Init(home); err != nil {
		t.Fatal(err)
	}
	o := f.options()
	o.Reserve = megabytes << 19
	sp, err := Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	f.sp = sp
	t.Cleanup(func() { sp.Close() })
	return f
}

func free(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// splitFor is a stage that makes n children for mailboxes.
func splitFor(n int) Handler {
	return func(_ context.Context, e *Entry) Outcome {
		var children []Child
		for i := range n {
			children = append(children, Child{Inbox: InboxDeliver, From: e.Envelope.From, To: []Recipient{{Addr: fmt.Sprintf("u%d@example.net", i)}}})
		}
		return SplitInto(children...)
	}
}

func (f *fixture) count(dir string) (n int) {
	f.t.Helper()
	names, err := os.ReadDir(filepath.Join(f.home, "spool", dir))
	if err != nil {
		f.t.Fatal(err)
	}
	return len(names)
}

// TestSplitKeepsReserve: a split that would touch the reserve is not begun, and is done
// once there is room.
func TestSplitKeepsReserve(t *testing.T) {
	for _, children := range []int{10, 24} { // synced one by one, and together
		t.Run(fmt.Sprint(children), func(t *testing.T) {
			f := onSmallDisk(t, 64)
			letter := "Subject: x\n\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 1<<14)
			f.accept(InboxRoute, letter, "all@example.net")
			ballast := filepath.Join(f.home, "ballast")
			if err := os.WriteFile(ballast, make([]byte, (32-9)<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			before := free(t, f.home)
			f.run(InboxRoute, splitFor(children))
			if f.count("deliver/new")+f.count("deliver/tmp") > 0 || f.count("route/cur") != 1 {
				t.Errorf("files are %q", f.files())
			}
			if after := free(t, f.home); after < before-64<<10 {
				t.Errorf("%d octets were free, now %d", before, after)
			}
			list, err := f.sp.List(InboxRoute)
			if err != nil || len(list) != 1 || list[0].Attempts != 1 || !strings.Contains(list[0].LastReason, "not enough space") {
				t.Errorf("the queue says %+v, %v", list, err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			f.time = f.time.Add(time.Hour)
			f.run(InboxRoute, splitFor(children))
			if n := f.count("deliver/new"); n != children || f.count("deliver/tmp") > 0 {
				t.Errorf("%d children, files are %q", n, f.files())
			}
			for _, k := range f.files() {
				if e := f.find(Key(strings.Split(filepath.Base(k), ",")[0])); e.Message().Size() != int64(len(letter)) {
					t.Errorf("%s holds %d octets of the message", k, e.Message().Size())
				}
			}
		})
	}
}

// TestSplitsTogetherKeepReserve: splits that run at once do not take the same
// room. Each would fit by itself.
func TestSplitsTogetherKeepReserve(t *testing.T) {
	f := onSmallDisk(t, 64)
	letter := "Subject: x\n\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 1<<14)
	for range 4 {
		f.accept(InboxRoute, letter, "all@example.net")
	}
	if err := os.WriteFile(filepath.Join(f.home, "ballast"), make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r := f.runner(InboxRoute, splitFor(8))
	r.Workers = workers(4)
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if left := free(t, f.home); left < 32<<20-64<<10 {
		t.Errorf("%d octets are free, %d are reserved", left, 32<<20)
	}
	if n := f.count("deliver/new"); n != 8 {
		t.Errorf("%d children", n)
	}
}

func TestRoomIsClaimed(t *testing.T) {
	f := newFixture(t)
	var st unix.Statfs_t
	if err := unix.Statfs(f.home, &st); err != nil {
		t.Fatal(err)
	}
	f.sp.reserve, f.sp.inodes = int64(st.Bavail)*st.Bsize-1<<30, int64(st.Ffree)-100000
	for _, half := range []need{{600 << 20, 1}, {1, 60000}} {
		first, err := f.sp.room(f.home, half.octets, half.inodes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.sp.room(f.home, half.octets, half.inodes); err == nil {
			t.Errorf("%+v fits twice", half)
		}
		first.release()
		first.release()
		again, err := f.sp.room(f.home, half.octets, half.inodes)
		if err != nil {
			t.Errorf("%+v: nothing was given back: %v", half, err)
			continue
		}
		again.release()
	}
	if len(f.sp.claims.on) != 0 {
		t.Errorf("left over: %v", f.sp.claims.on)
	}
}

// TestCopyKeepsReserve: so does a delivery that copies.
func TestCopyKeepsReserve(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	f.accept(InboxDeliver, "x\n", "plain@example.net")
	env := Envelope{To: []Recipient{{Addr: "copy@example.net", Params: "NOTIFY=NEVER"}}}
	if _, err := f.sp.Accept(InboxDeliver, env, nil, Trace{By: "mx", With: WithLocal}, BytesBody([]byte("x\n"))); err != nil {
		t.Fatal(err)
	}
	f.sp.reserve = 1 << 62
	deliver := func(context.Context, *Entry) Outcome { return DeliverTo(box) }
	f.run(InboxDeliver, deliver)
	list, err := f.sp.List(InboxDeliver)
	if err != nil || len(list) != 1 || list[0].Envelope.To[0].Addr != "copy@example.net" || !strings.Contains(list[0].LastReason, "not enough space") {
		t.Fatalf("the queue says %+v, %v", list, err)
	}
	f.sp.reserve = 0
	f.time = f.time.Add(time.Hour)
	f.run(InboxDeliver, deliver)
	if names, err := os.ReadDir(filepath.Join(box, "new")); err != nil || len(names) != 2 {
		t.Errorf("the mailbox holds %v, %v", names, err)
	}
}

// TestSpillKeepsReserve: so does a message that is written while it comes in, and
// what a single program delivers.
func TestSpillKeepsReserve(t *testing.T) {
	f := onSmallDisk(t, 64)
	if err := os.WriteFile(filepath.Join(f.home, "ballast"), make([]byte, (32-4)<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	agent, err := os.Create(filepath.Join(f.home, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	buf := f.sp.Buffer()
	defer buf.Close()
	for name, w := range map[string]io.Writer{"spill": buf, "agent": KeepReserve(32<<20, 0, f.home, agent)} {
		var err error
		for n := 0; n < 16<<20 && err == nil; n += 256 << 10 {
			_, err = w.Write(make([]byte, 256<<10))
		}
		if code, _, _ := status.Reply(err); code != 452 {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if left := free(t, f.home); left < 32<<20 {
		t.Errorf("%d octets are free", left)
	}
}

// TestUncarriedExpires: an outcome that cannot be carried out is an attempt, and
// in the end it is held; where it cannot be, it stays deferred.
func TestUncarriedExpires(t *testing.T) {
	for _, row := range []struct {
		name    string
		outcome func(f *fixture) Outcome
	}{
		{"a child", func(*fixture) Outcome {
			return SplitInto(Child{Inbox: InboxDeliver, To: []Recipient{{Addr: "a\nb@example.net"}}})
		}},
		{"no mailbox", func(f *fixture) Outcome { return DeliverTo(filepath.Join(f.home, "none")) }},
		{"no room", func(f *fixture) Outcome {
			f.sp.reserve = 1 << 62
			return splitFor(2)(context.Background(), f.entry())
		}},
		{"no action", func(*fixture) Outcome { return Outcome{} }},
		{"a deferral with a report", func(*fixture) Outcome {
			o := DeferUntil(time.Now(), "waits")
			o.Notices = []Notice{{To: "a\x00b", What: "delayed", About: []int{0}}}
			return o
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t)
			k := f.accept(InboxRoute, "x\n", "all@example.net")
			h := func(context.Context, *Entry) Outcome { return row.outcome(f) }
			attempt := func(n int) {
				t.Helper()
				f.run(InboxRoute, h)
				f.time = f.time.Add(2 * time.Hour)
				if e := f.find(k); e.Inbox != InboxRoute || e.Attempts != n {
					t.Fatalf("after %d attempts it is in %s with %d", n, e.Inbox, e.Attempts)
				}
			}
			for n := 1; n <= 9; n++ {
				attempt(n)
			}
			attempt(10) // often enough, but young
			f.time = f.time.Add(4*24*time.Hour + 12*time.Hour)
			attempt(11) // expired, but the disk may have failed this once
			f.time = f.time.Add(36 * time.Hour)
			reason := filepath.Join(f.home, "spool/hold/reason", string(k))
			if err := os.Mkdir(reason, 0o700); err != nil {
				t.Fatal(err)
			}
			f.run(InboxRoute, h)
			if e, err := f.sp.List(InboxRoute); err != nil || len(e) != 1 || e[0].Attempts != 12 {
				t.Fatalf("where nothing can be held: %+v, %v", e, err)
			}
			if err := os.Remove(reason); err != nil {
				t.Fatal(err)
			}
			f.time = f.time.Add(2 * time.Hour)
			f.run(InboxRoute, h)
			// Not the reason: its orphans are known by the machine's clock.
			if e := f.find(k); e.Inbox != InboxHold {
				t.Errorf("it is in %s", e.Inbox)
			}
			held := f.log.String()[strings.Index(f.log.String()+"event=held", "event=held"):]
			if !strings.HasPrefix(held, "event=held key="+string(k)+" ") || !strings.Contains(held, "cannot be carried out: ") {
				t.Errorf("log: %s", f.log.String())
			}
		})
	}
}

// entry opens the one entry in route/.
func (f *fixture) entry() *Entry {
	f.t.Helper()
	list, err := f.sp.List(InboxRoute)
	if err != nil || len(list) != 1 {
		f.t.Fatal(list, err)
	}
	return f.find(list[0].Key)
}

// TestChildNameIsNoFile: something other than a regular file under a child's name is
// not that child, so its parent stays.
func TestChildNameIsNoFile(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRoute, "x\n", "all@example.net")
	f.run(InboxRoute, func(ctx context.Context, e *Entry) Outcome {
		o := splitFor(1)(ctx, e)
		name := fileName{e.Key.child(o.Children[0]),
			e.CopyBytes(o.Children), e.CopyBytes(o.Children) + e.wireSize - e.Size - e.head.lines + 2}
		if err := os.Mkdir(filepath.Join(f.home, "spool/deliver/new", name.String()), 0o700); err != nil {
			t.Error(err)
		}
		return o
	})
	if e := f.find(k); e.Inbox != InboxRoute || e.Attempts != 1 {
		t.Errorf("the parent is in %s after %d attempts", e.Inbox, e.Attempts)
	}
}
