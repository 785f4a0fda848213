package auth

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// rewrite replaces control/users and sets its time of change.
func rewrite(t *testing.T, c *control.Control, row string, when time.Time) {
	t.Helper()
	path := filepath.Join(c.Home(), "control", "users")
	if err := os.WriteFile(path, []byte(row+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

// While somebody may be editing control/users, no login waits: a right password gets
// in, and all others get the same answer, with or without a row.
func TestFreshUsersTellNothing(t *testing.T) {
	const row = "alice@b.example:{PLAIN}right"
	for _, login := range []string{"alice", "nobody"} {
		c := settings(t, row)
		u := &Users{Control: c}
		var wrong, proof, err error
		took := time.Hour
		for range 5 { // a machine that is busy does not always get through while the row is fresh
			begun := time.Now()
			rewrite(t, c, row, begun.Add(time.Second/2)) // it counts as fresh for long enough
			wrong = u.Password(context.Background(), login, "wrong")
			_, err = u.Keys(context.Background(), login)
			proof = u.Proved(context.Background(), login, false)
			if took = time.Since(begun); took <= time.Second/2 {
				break
			}
		}
		if took > time.Second/2 {
			t.Errorf("%s takes %v", login, took)
		}
		for what, err := range map[string]error{"password": wrong, "proof": proof} {
			if code, _, _ := status.Reply(err); code != 454 {
				t.Errorf("%s: a wrong %s is answered %v", login, what, err)
			}
		}
		if err != nil {
			t.Error(login, err)
		}
		if err := u.Password(context.Background(), login, "right"); (err == nil) != (login == "alice") {
			t.Errorf("%s by the right password: %v", login, err)
		}
	}
}

// A proof is checked against the row as it is when the proof arrives.
func TestRowChangesBeforeProof(t *testing.T) {
	for row, want := range map[string]bool{"alice@b.example:{PLAIN}right": true, "alice@b.example:!{PLAIN}right": false,
		"alice@b.example:{PLAIN}new": false, "bob@b.example:{PLAIN}right": false} {
		u := &Users{Control: settings(t, "alice@b.example:{PLAIN}right")}
		if _, err := u.Keys(context.Background(), "alice"); err != nil {
			t.Fatal(err)
		}
		rewrite(t, u.Control, row, time.Now().Add(-time.Minute))
		err := u.Proved(context.Background(), "alice", true)
		if want != (err == nil) || want != (u.User() != nil) || !want && !IsWrong(err) {
			t.Errorf("the row is now %s: %v, user %v", row, err, u.User())
		}
	}
}
