package control

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/status"
)

// shelf is a backend that no program has: only this test, its one file, and the row
// that TestABackendIsOneRow adds know about it.
type shelf struct {
	name  string
	rows  map[string]string
	asked *int
}

func (s shelf) String() string { return "shelf:" + s.name }
func (s shelf) check() error   { return nil }

func (s shelf) ask(key string) (string, bool, error) {
	*s.asked++
	if key == "away@x.example" {
		return "", false, errors.New("the shelf is away")
	}
	text, ok := s.rows[key]
	return text, ok, nil
}

// TestABackendIsOneRow: every lookup of users finds a backend that consists of a file
// and a row of Control.backends.
func TestABackendIsOneRow(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "x.example\n", "users": "# where they are\nshelf:A 3\n"})
	asked := 0
	rows := map[string]string{"a@x.example": "A@x.example:{PLAIN}x", "odd@x.example": "b@x.example:", "two@x.example": "two@x.example:\nb@x.example:"}
	f.backends = append(f.backends, backend{name: "shelf", open: func(_ *Control, _, argument string) (asker, error) {
		return shelf{argument, rows, &asked}, nil
	}})
	if u, err := f.SomeUser(7); u != nil || err != nil {
		t.Error("before one was found:", u, err)
	}
	u, err := f.User("A@X.example")
	if u == nil || err != nil || u.Hash != "{PLAIN}x" || u.Where != "control/users:shelf:A 3" {
		t.Fatal(u, err)
	}
	f.User("a@x.example")
	if asked != 1 {
		t.Errorf("asked %d times: an answer holds for a moment", asked)
	}
	if u, err = f.LoginUser("a@x.example"); u == nil || err != nil || asked != 2 {
		t.Error("a login asks each time:", u, err, asked)
	}
	if u, err = f.UserNow("a@x.example"); u == nil || err != nil {
		t.Error(u, err)
	}
	if u, err = f.SomeUser(7); u == nil || err != nil || u.Address != "A@x.example" {
		t.Error(u, err)
	}
	if u, err = f.User("nobody@x.example"); u != nil || err != nil || f.slept != 0 {
		t.Error(u, err, f.slept)
	}
	for _, bad := range []string{"odd", "two", "away"} {
		u, err := f.User(bad + "@x.example")
		if u != nil || status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "control/users") {
			t.Error(bad, u, err)
		}
	}
	if is, err := f.AsksForUsers(); !is || err != nil {
		t.Error(is, err)
	}
	if us, err := f.Users(); len(us) != 0 || err != nil || f.slept != 0 {
		t.Error(us, err, f.slept)
	}
	if p, err := f.Postmaster(); p != "" || err != nil {
		t.Error(p, err)
	}
	if err := f.AddUser("c@x.example", "x", "mail/c"); status.Exit(err) != status.Refused {
		t.Error(err)
	}
	if !f.LoginsSettled() || f.UsersProgram() {
		t.Error("its logins are settled, and it is no program")
	}
}

// Rows and a backend exclude each other, and a table that takes no backend reads its
// line as a row.
func TestABackendBesideRows(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "exec:/bin/true\na@x.example:\n", "mime": "exec:/bin/true\n", "domains": "x.example\n"})
	_, err := f.User("a@x.example")
	wantError(t, err, "control/users: exec:/bin/true looks up the rows")
	f.write("users", "exec:/bin/true")
	_, err = f.User("a@x.example")
	wantError(t, err, "control/users:1: the last line has no line end")
	if faults, errs := f.Faults("mime"); len(faults) != 1 || len(errs) > 0 {
		t.Error(faults, errs)
	}
}

// TestBackendsAreNamedOnce: only a backend's own file and the interface know a
// backend by name, or ask whether there is one; every other place would be one more
// to change.
func TestBackendsAreNamedOnce(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "exec.go" || name == "once.go" || name == "backend.go" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{`"exec`, "execAsker", "openExec", `"once"`, "onceAsker", ".(asked", "exec =="} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s", name, word)
			}
		}
	}
}
