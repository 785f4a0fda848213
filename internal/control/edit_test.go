package control

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/status"
)

const someUsers = "# who\n\nalice@example.org:{PLAIN}a:1:2:Alice:mail/x:/bin/sh:k=v w\n# between \t\nbob@example.org:*::::mail/b::"

func (f *fixture) wantUsers(want string) {
	f.t.Helper()
	if got, err := os.ReadFile(f.path("users")); string(got) != want || err != nil {
		f.t.Errorf("users %q, %v; want %q", got, err, want)
	}
}

func TestEditUsers(t *testing.T) {
	f := newFixture(t, map[string]string{"users": someUsers})
	if err := f.AddUser("Carol@example.org", "{PLAIN}c", "mail/example.org/carol"); err != nil {
		t.Fatal(err)
	}
	f.wantUsers(someUsers + "\nCarol@example.org:{PLAIN}c::::mail/example.org/carol::\n")
	if u, err := f.User("carol@example.org"); err != nil || u.Home != f.home+"/mail/example.org/carol" {
		t.Error(u, err)
	}
	if err := f.SetPassword("ALICE@example.org", "{PLAIN}new"); err != nil {
		t.Fatal(err)
	}
	if u, err := f.DelUser("carol@Example.org"); err != nil || u.Address != "Carol@example.org" {
		t.Fatal(u, err)
	}
	f.wantUsers("# who\n\nalice@example.org:{PLAIN}new:1:2:Alice:mail/x:/bin/sh:k=v w\n# between \t\nbob@example.org:*::::mail/b::\n")
	if _, err := f.DelUser("alice@example.org"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DelUser("bob@example.org"); err != nil {
		t.Fatal(err)
	}
	f.wantUsers("# who\n\n# between \t\n")
}

func TestEditUsersRefuses(t *testing.T) {
	f := newFixture(t, map[string]string{"users": someUsers})
	_, delErr := f.DelUser("nobody@example.org")
	tests := []struct {
		err  error
		exit int
	}{
		{f.AddUser("BOB@example.org", "x", "mail/b"), status.Refused},
		{f.AddUser("nobody", "x", "mail/b"), status.Refused},
		{f.AddUser("#x@example.org", "x", "mail/b"), status.Refused},
		{f.AddUser("\"a:b\"@example.org", "x", "mail/b"), status.Refused},
		{f.AddUser("a\nb@example.org", "x", "mail/b"), status.Refused},
		{f.AddUser("c@example.org", "x\ny@example.org:z", "mail/b"), status.Refused},
		{f.AddUser("c@example.org", "x:y", "mail/b"), status.Refused},
		{f.AddUser("c@example.org", "x", "../b"), status.Refused},
		{f.SetPassword("nobody@example.org", "x"), status.NoMailbox},
		{f.SetPassword("bob@example.org", "x:y"), status.Refused},
		{delErr, status.NoMailbox},
	}
	for i, tt := range tests {
		if status.Exit(tt.err) != tt.exit {
			t.Errorf("%d: %v, exit %d", i, tt.err, status.Exit(tt.err))
		}
	}
	f.wantUsers(someUsers)
	f.write("users", "broken\nc@example.org:{x\n")
	if err := f.AddUser("c@example.org", "x", "mail/c"); status.Exit(err) != status.Refused || !strings.Contains(err.Error(), "control/users:2:") {
		t.Errorf("beside a broken row of the address: %v", err)
	}
	f.wantUsers("broken\nc@example.org:{x\n")
	if err := f.AddUser("d@example.org", "x", "mail/d"); err != nil {
		t.Errorf("beside broken rows of others: %v", err)
	}
	f.wantUsers("broken\nc@example.org:{x\nd@example.org:x::::mail/d::\n")
	os.Remove(f.path("users"))
	wantError(t, f.AddUser("c@example.org", "x", "mail/c"), "control/users: ")
}

func TestEditorsTakeTurns(t *testing.T) {
	f := newFixture(t, map[string]string{"users": ""})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			// One Control each, as in separate processes.
			if err := Open(f.home, time.Now).AddUser(fmt.Sprintf("u%d@example.org", i), "x", "mail/u"); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if us, err := f.Users(); len(us) != 20 || err != nil {
		t.Errorf("%d of 20 users, %v", len(us), err)
	}
	if names, _ := os.ReadDir(f.path("")); len(names) != 1 {
		t.Error("left behind:", names)
	}
}
