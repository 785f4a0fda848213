package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/addr"
)

// What is recorded has no secret, and whoever reads it decides the same.
func TestRecording(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "mx.example.net\n", "domains": "example.net\n", "databytes": "100\n", "log": "stderr\n",
		"users": "# alice@example.net:{PLAIN}old-secret\nalice@example.net:{PLAIN}secret:1:2::/home/alice::pass=secret\n" +
			"bob@example.net:{PLAIN}secret\nbroken secret\n\ncarol@example.net:{secret\n"})
	r := f.Record()
	where := func(c *Control, address string) string {
		u, err := c.User(address)
		if err != nil {
			return err.Error()
		}
		if u == nil {
			return "none"
		}
		return u.Address + " " + u.Where
	}
	if _, err := f.Hostname(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Databytes(); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	names := []string{"alice@example.net", "bob@example.net", "carol@example.net", "dora@example.net"}
	var want []string
	for _, name := range names {
		want = append(want, where(f.Control, name))
	}
	files := r.Files()
	if len(files) != 3 || files["log"] != nil {
		t.Errorf("%d files", len(files))
	}
	if users := string(files["users"]); strings.Contains(users, "secret") || strings.Count(users, "\n") != 6 {
		t.Errorf("%s", users)
	}
	again := replayOf(t, files, r.Rows())
	for i, name := range names {
		if got := where(again, name); got != want[i] {
			t.Errorf("%s: %s, want %s", name, got, want[i])
		}
	}
	if n, err := again.Databytes(); n != 100 || err != nil {
		t.Error(n, err)
	}
}

func replayOf(t *testing.T, files map[string][]byte, rows []byte) *Control {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(home, "control", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Replay(home, rows)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What an address of forwarded mail stands for is replayed, without the secret.
func TestRecordingOfSRS(t *testing.T) {
	settings := map[string]string{"hostname": "mx.example.net\n", "domains": "example.net\n",
		"srs-secrets": "# the old one: old-secret-with:a-colon\n secret-with:a-colon-in-it\nsecret-without-one\n"}
	f := newFixture(t, settings)
	scheme, err := f.SRS()
	if err != nil {
		t.Fatal(err)
	}
	there, err := scheme.Forward(addr.Address{Local: "carol", Domain: "example.org"}, "example.net")
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{there.String(), "SRS0=AAAA=AA=example.org=carol@example.net", "SRS0=x@example.net",
		"SRS0=x@example.org", "alice@example.net"}
	back := func(c *Control, address string) string {
		a, ok, wrong, err := c.Unforwarded(address)
		return fmt.Sprint(a, ok, wrong, err)
	}
	r := f.Record()
	var want []string
	for _, a := range addresses {
		want = append(want, back(f.Control, a))
	}
	if want[0] != "carol@example.org true <nil> <nil>" {
		t.Fatal(want[0])
	}
	files, rows := r.Files(), r.Rows()
	if text := string(files["srs-secrets"]) + string(rows); strings.Contains(text, "secret") {
		t.Error(text)
	}
	again := replayOf(t, files, rows)
	for i, a := range addresses {
		if got := back(again, a); got != want[i] {
			t.Errorf("%s: %s, want %s", a, got, want[i])
		}
	}
	unknown := "SRS0=BBBB=AA=example.org=carol@example.net"
	if got := back(again, unknown); !strings.Contains(got, "the record does not have") {
		t.Errorf("%s: %s", unknown, got)
	}
}

// What a program answered is replayed, and the program is not run again.
func TestRecordingOfPrograms(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "lookup")
	script := "#!/bin/sh\nfor n; do :; done\ncase $n in a*) echo \"$n:{PLAIN}secret\";; b*) exit 67;; *) exit 3;; esac\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, map[string]string{"hostname": "mx.example.net\n", "domains": "example.net\n", "users": "once:" + program + " --password secret\n"})
	r := f.Record()
	ask := func(c *Control, address string) string {
		u, err := c.User(address)
		switch {
		case err != nil:
			return err.Error()
		case u == nil:
			return "none"
		}
		return u.Address + " " + u.Where
	}
	names := []string{"alice@example.net", "bob@example.net", "carol@example.net"}
	var want []string
	for _, name := range names {
		want = append(want, ask(f.Control, name))
	}
	rows := r.Rows()
	if text := string(rows) + string(r.Files()["users"]); strings.Contains(text, "secret") || !strings.Contains(text, `users "bob@example.net" none`) {
		t.Error(text)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch "+dir+"/ran\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	again := replayOf(t, r.Files(), rows)
	for i, name := range append(names, "dora@example.net") {
		got := ask(again, name)
		if i < len(want) && got != want[i] || i == len(want) && !strings.Contains(got, "the record has no answer") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := os.Stat(dir + "/ran"); err == nil {
		t.Error("the replay ran the program")
	}
	for _, bad := range []string{"users\n", "users alice none\n", "users \"a\" perhaps\n", "users \"a\" failed why\n"} {
		if _, err := Replay(dir, []byte(bad)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzRecording: no file of users makes a recording with what stands behind a name.
func FuzzRecording(f *testing.F) {
	f.Add("a@b:{PLAIN}hunter2:1:2::/h::x=hunter2\n#hunter2\nonce:/x hunter2\nhunter2")
	f.Fuzz(func(t *testing.T, text string) {
		got := string(withoutSecrets([]byte(text)))
		if strings.Count(got, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q becomes %q", text, got)
		}
		r := &Recording{rows: map[string]lookedUp{}}
		if r.readRows([]byte(text)) == nil {
			again := &Recording{rows: map[string]lookedUp{}}
			if err := again.readRows(r.Rows()); err != nil || len(again.rows) != len(r.rows) {
				t.Errorf("%q: %v", r.Rows(), err)
			}
		}
	})
}
