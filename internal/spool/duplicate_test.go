package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/maildir"
)

// age waits until the file's last change counts as old.
func age(t *testing.T, path string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	<-time.After(duplicateAge - time.Since(time.Unix(st.Ctim.Unix())) + time.Millisecond)
}

// A power cut has left an entry under two names.
func TestTwoNames(t *testing.T) {
	for _, x := range []struct{ first, second, stays string }{
		{"check/new", "route/new", "route/new"},
		{"route/new", "deliver/new", "deliver/new"},
		{"hold/new", "route/new", "route/new"},
		{"deliver/new", "hold/new", "deliver/new"},
		{"relay/cur", "relay/new", "relay/new"},
		{"deliver/new", "deliver/tmp", "deliver/new"},
		{"relay/cur", "route/tmp", "relay/cur"},
		{"relay/new", "hold/tmp", "relay/new"},
	} {
		t.Run(strings.ReplaceAll(x.first+" "+x.second, "/", "-"), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			in, _, _ := strings.Cut(x.first, "/")
			f.accept(Inbox(in), "From: a@b\n\nx\n", "bob@example.net")
			name := filepath.Base(f.only(in + "/new"))
			path := func(dir string) string {
				suffix := ""
				if strings.HasSuffix(dir, "/cur") {
					suffix = ":2,"
				}
				return filepath.Join(f.home, "spool", dir, name+suffix)
			}
			if err := os.Rename(path(in+"/new"), path(x.first)); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(path(x.first), path(x.second)); err != nil {
				t.Fatal(err)
			}
			runAll := func() {
				for _, in := range Inboxes() {
					if in != InboxHold {
						f.run(in, func(context.Context, *Entry) Outcome { return DeferUntil(f.time, "seen") })
					}
				}
			}
			runAll()
			if n := len(f.files()); n != 2 {
				t.Fatalf("young links: %q", f.files())
			}
			age(t, path(x.first))
			runAll()
			stays, _, _ := strings.Cut(x.stays, "/")
			got := slices.DeleteFunc(f.files(), func(name string) bool { return strings.Contains(name, "/reason/") })
			if len(got) != 1 || !strings.HasPrefix(got[0], stays+"/") {
				t.Errorf("left are %q, want one in %s", got, x.stays)
			}
		})
	}
}

// The same, between the queue and a mailbox; and a link to somewhere else.
func TestTwoNamesInMailbox(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	f.accept(InboxDeliver, "From: a@b\n\nx\n", "bob@example.net")
	path := f.only("deliver/new")
	foreign := filepath.Join(f.home, "foreign")
	deliver := func(context.Context, *Entry) Outcome { return DeliverTo(box) }
	if err := os.Link(path, foreign); err != nil {
		t.Fatal(err)
	}
	f.run(InboxDeliver, deliver)
	f.only("deliver/new")
	if !strings.Contains(f.log.String(), "left in deliver") {
		t.Errorf("log: %s", &f.log)
	}
	if err := os.Rename(foreign, filepath.Join(box, "cur", filepath.Base(path)+":2,S")); err != nil {
		t.Fatal(err)
	}
	f.run(InboxDeliver, deliver)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the entry is still there: %v", err)
	}
	if names, _ := filepath.Glob(box + "/*/*"); len(names) != 1 {
		t.Errorf("in the mailbox: %q", names)
	}
}
