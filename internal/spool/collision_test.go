package spool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/dir"
	"paperpath/maildir"
)

// failed means that there is no answer.
const failed answer = -1

func orFailed(found answer, err error) answer {
	if err != nil {
		return failed
	}
	return found
}

func changed(old, new string) func(from, to string) error {
	return func(from, to string) error {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(strings.Replace(string(text), old, new, 1)), 0o600)
	}
}

// The name that an entry wants belongs to the entry itself, to another file, or to
// nothing.
func TestWhatHasTheName(t *testing.T) {
	for _, row := range []struct {
		name  string
		put   func(from, to string) error // from is the entry's file, to has its name
		inbox answer                      // what is found in an inbox
		box   answer                      // in a mailbox
		child answer                      // in a mailbox, by an entry whose key names a decision
		dup   answer                      // in a mailbox, by an entry with a second link
	}{
		{"a copy", changed("", ""), same, same, same, other},
		{"other bytes", changed("one", "two"), other, other, same, other},
		{"another size", changed("one", "three"), other, other, same, other},
		{"a directory", func(_, to string) error { return os.Mkdir(to, 0o700) }, other, failed, same, failed},
		{"the file itself", os.Link, failed, same, same, same},
		{"nothing", func(_, _ string) error { return nil }, failed, absent, absent, absent},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "-"), func(t *testing.T) {
			f := newFixture(t)
			e := f.find(f.accept(InboxDeliver, "Subject: x\n\none\n", "bob@example.net"))
			defer e.Close()
			box := filepath.Join(f.home, "Maildir")
			if err := maildir.Create(box); err != nil {
				t.Fatal(err)
			}
			md, err := maildir.Open(box)
			if err != nil {
				t.Fatal(err)
			}
			defer md.Close()
			if err := row.put(e.at.path(), filepath.Join(box, "new", e.at.name)); err != nil {
				t.Fatal(err)
			}
			stored, err := md.New()
			if err != nil {
				t.Fatal(err)
			}
			if got := orFailed(e.compare(dir.OfFd(stored, filepath.Join(box, "new")), e.at.name)); got != row.inbox {
				t.Errorf("in an inbox: %v", got)
			}
			inMailbox := func() answer {
				found, path, err := e.inMailbox(md)
				if err == nil && (found == absent) != (path == "") {
					t.Errorf("%v at %q", found, path)
				}
				return orFailed(found, err)
			}
			if got := inMailbox(); got != row.box {
				t.Errorf("in a mailbox: %v", got)
			}
			e.With = WithBounce
			if got := inMailbox(); got != row.child {
				t.Errorf("a bounce in a mailbox: %v", got)
			}
			e.duplicate = true
			if got := inMailbox(); got != row.dup {
				t.Errorf("a duplicate in a mailbox: %v", got)
			}
		})
	}
}

// A file under the name of a decision is that decision.
func TestADecisionIsPublishedOnce(t *testing.T) {
	f := newFixture(t)
	b, err := f.sp.inbox(InboxRelay)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		put   func(path string) error
		want  answer
		fails bool
	}{
		"nothing": {func(string) error { return nil }, absent, false},
		"file":    {func(path string) error { return os.WriteFile(path, nil, 0o600) }, same, false},
		"link":    {func(path string) error { return os.Symlink("nowhere", path) }, other, true},
	} {
		at := spot{b, stateNew, name}
		if err := row.put(at.path()); err != nil {
			t.Fatal(err)
		}
		if got, err := at.published(); got != row.want || (err != nil) != row.fails {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A walk through the spool sees each entry, those in new/ twice, and can be ended.
func TestSpots(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRelay, "x\n", "a@b.example")
	f.accept(InboxCheck, "x\n", "a@b.example")
	f.deferred(1)
	var seen []string
	for at, err := range f.sp.spots() {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, filepath.Dir(at.below()))
	}
	if got, want := strings.Join(seen, " "), "check/new check/new relay/new relay/cur relay/new"; got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
	steps := 0
	for range f.sp.spots() {
		if steps++; steps == 2 {
			break
		}
	}
	if steps != 2 {
		t.Errorf("%d steps", steps)
	}
}
