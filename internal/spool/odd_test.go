package spool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// oddity makes something that is not a regular file.
type oddity struct {
	name string
	make func(path string) error
}

func oddities(t *testing.T) []oddity {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("somebody's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node := func(mode uint32, major, minor uint32) func(string) error {
		return func(path string) error { return unix.Mknod(path, mode|0o600, int(unix.Mkdev(major, minor))) }
	}
	link := func(to string) func(string) error {
		return func(path string) error { return os.Symlink(to, path) }
	}
	list := []oddity{
		{"fifo", node(unix.S_IFIFO, 0, 0)},
		{"dir", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"socket", func(path string) error {
			cwd, err := os.Open(filepath.Dir(path)) // a path of over 108 octets cannot be bound
			if err != nil {
				return err
			}
			defer cwd.Close()
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", cwd.Fd(), filepath.Base(path))})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}},
		{"link-to-zero", link("/dev/zero")}, {"link-to-file", link(file)}, {"dangling", link("/nonexistent/file")},
	}
	if os.Geteuid() != 0 {
		t.Log("devices are not tried: mknod needs root")
		return list
	}
	return append(list, oddity{"char", node(unix.S_IFCHR, 1, 5)}, oddity{"block", node(unix.S_IFBLK, 7, 200)})
}

// oddSpool puts every oddity under a name of ours and under another into every
// directory of every inbox. It returns their paths below the spool.
func (f *fixture) oddSpool() (paths []string) {
	f.t.Helper()
	for n, o := range oddities(f.t) {
		for _, in := range Inboxes() {
			for i, sub := range []string{"new", "cur", "tmp", "reason"} {
				k := Key(fmt.Sprintf("1764000000.M%06dR%016x.mx", n, len(paths)))
				ours := fileName{k, 100, 104}.String()
				if i == 3 {
					ours = string(k)
				}
				for _, name := range []string{ours, "odd-" + o.name} {
					path := filepath.Join(string(in), sub, name)
					err := o.make(filepath.Join(f.home, "spool", path))
					if errors.Is(err, unix.EPERM) {
						f.t.Skipf("%s: %v", o.name, err)
					}
					if err != nil {
						f.t.Fatal(path, err)
					}
					paths = append(paths, path)
				}
			}
		}
	}
	return paths
}

// within runs something that must not hang.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s hangs", what)
	}
}

// TestOddFiles: only regular files are ever opened. Anything else stays; an event
// reports it, and so do the queue and the check of the spool.
func TestOddFiles(t *testing.T) {
	f := newFixture(t)
	paths := f.oddSpool()
	for _, in := range Inboxes() {
		if in != InboxHold {
			f.accept(in, "x\n", "a@example.net")
		}
	}
	handled := 0
	within(t, "a run", func() {
		for _, in := range Inboxes() {
			if in == InboxHold {
				continue
			}
			r := f.runner(in, func(context.Context, *Entry) Outcome { handled++; return DropBecause("tried") })
			r.Workers, r.Holdtime = nil, func() (time.Duration, error) { return time.Hour, nil }
			if err := r.Run(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	if handled != 4 {
		t.Errorf("%d of 4 entries were worked on", handled)
	}
	log := f.log.String()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(f.home, "spool", path)); err != nil {
			t.Errorf("it does not stay: %v", err)
		}
		if !strings.Contains(log, path) && !strings.Contains(log, filepath.Base(path)) {
			t.Errorf("no event reports %s", path)
		}
	}
	within(t, "a look at the queue", func() { f.seeOdd(paths) })
}

// seeOdd looks at the odd files as people do.
func (f *fixture) seeOdd(paths []string) {
	t := f.t
	for _, in := range Inboxes() {
		list, err := f.sp.List(in)
		if err != nil || len(list) == 0 {
			t.Errorf("%s lists %d, %v", in, len(list), err)
		}
		for _, l := range list {
			if l.State != "foreign" || !strings.Contains(l.LastReason, "not a regular file but ") {
				t.Errorf("%s: %s is %s: %s", in, l.Name, l.State, l.LastReason)
			}
		}
	}
	found, err := f.sp.Inspect()
	if err != nil {
		t.Error(err)
	}
	listed := map[string]bool{}
	for _, x := range found {
		listed[x.Path] = true
		if x.Remedy != "" || !strings.Contains(x.What, "not a regular file but ") {
			t.Errorf("%s: %s; %s", x.Path, x.What, x.Remedy)
		}
	}
	for _, path := range paths {
		if !listed[path] {
			t.Errorf("the check does not report %s", path)
		}
		n, err := parseName(filepath.Base(path))
		if err != nil || strings.Contains(path, "/tmp/") {
			continue
		}
		if e, err := f.sp.Find(n.key); err == nil {
			e.Close()
			t.Errorf("%s was opened", path)
		} else if !errors.Is(err, dir.ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestOddReason: an entry whose reason is not a regular file stays, with an event that
// names it, and so does one that cannot be held because of that.
func TestOddReason(t *testing.T) {
	for _, o := range oddities(t) {
		t.Run(o.name, func(t *testing.T) {
			f := newFixture(t)
			k, held := f.accept(InboxRoute, "x\n", "a@example.net"), f.accept(InboxRelay, "x\n", "a@example.net")
			for _, path := range []string{"route/reason/" + string(k), "hold/reason/" + string(held)} {
				if err := o.make(filepath.Join(f.home, "spool", path)); err != nil {
					t.Skip(err)
				}
			}
			within(t, "a run", func() {
				f.run(InboxRoute, func(context.Context, *Entry) Outcome { t.Error("it was worked on"); return DropBecause("x") })
				f.run(InboxRelay, func(context.Context, *Entry) Outcome { return HoldBecause("x") })
			})
			for _, want := range []string{"route/reason/" + string(k), "hold/reason/" + string(held)} {
				if !strings.Contains(f.log.String(), want) {
					t.Errorf("no event reports %s: %s", want, f.log.String())
				}
			}
			if f.count("route/new") != 1 || f.count("relay/cur") != 1 || f.count("hold/new") != 0 {
				t.Errorf("files are %q", f.files())
			}
		})
	}
}

// TestOddCollision: something that is not a file under a wanted name is not taken for a
// repeat.
func TestOddCollision(t *testing.T) {
	for _, o := range oddities(t) {
		t.Run(o.name, func(t *testing.T) {
			f := newFixture(t)
			f.accept(InboxRoute, "x\n", "a@example.net")
			name := filepath.Base(f.only("route/new"))
			if err := o.make(filepath.Join(f.home, "spool/relay/new", name)); err != nil {
				t.Skip(err)
			}
			within(t, "a run", func() { f.run(InboxRoute, func(context.Context, *Entry) Outcome { return HandOnTo(InboxRelay) }) })
			if _, err := os.Lstat(filepath.Join(f.home, "spool/hold/new", name)); err != nil {
				t.Errorf("it is not held: %v: %s", err, f.log.String())
			}
		})
	}
}
