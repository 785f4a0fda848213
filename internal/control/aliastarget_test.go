package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Targets as people write them for sendmail and Postfix.
func TestAliasTargets(t *testing.T) {
	for text, want := range map[string]string{
		`a, b ,`:                                   "a;b",
		`|/bin/true`:                               "|/bin/true",
		`"|/usr/bin/vacation eric"`:                "|/usr/bin/vacation eric",
		`|"/usr/bin/vacation eric"`:                "|/usr/bin/vacation eric",
		`"|/bin/sh -c \"echo a, b\""`:              `|/bin/sh -c "echo a, b"`,
		`| exec /usr/bin/procmail -a x || exit 75`: "|exec /usr/bin/procmail -a x || exit 75",
		`"| /bin/cat", a`:                          "|/bin/cat;a",
		`/var/mail/archive`:                        "/var/mail/archive",
		`"/var/mail/my archive"`:                   "/var/mail/my archive",
		`/var/../mail//x`:                          "/mail/x",
		`:include:/etc/mail/list`:                  ":include:/etc/mail/list",
		`":include:/etc/mail/my list"`:             ":include:/etc/mail/my list",
		`:include: "/etc/mail/my list"`:            ":include:/etc/mail/my list",
		`\alice, "\bob"`:                           `\alice;\bob`,
		`"|x"@example.org`:                         `"|x"@example.org`,
		`"a b"@example.org`:                        `"a b"@example.org`,
	} {
		a, err := parseAlias("control/aliases:1", "x: "+text)
		if got := strings.Join(a.Targets, ";"); got != want || err != nil {
			t.Errorf("%s is %q (%v), want %q", text, got, err, want)
		}
	}
}

func TestAliasKeys(t *testing.T) {
	for key, want := range map[string]string{
		`"alice"`: "alice", `"a b"`: `"a b"`, `"Alice@example.org"`: "alice@example.org", `@Example.ORG`: "@example.org",
		`"@example.org"`: "@example.org", `"a:b"`: `"a:b"`, `"a, b"`: `"a, b"`, `"list-owner"`: "list-owner",
	} {
		a, err := parseAlias("", key+": bob")
		if a.Name != want || err != nil {
			t.Errorf("%s is %q (%v), want %q", key, a.Name, err, want)
		}
	}
}

// A list is read whole or not at all.
func TestInclude(t *testing.T) {
	f := newFixture(t, nil)
	path := filepath.Join(f.home, "list")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"# team\n\na@x.example, b\nCarol C <carol@x.example>,\n\\dora\n:include:/other\n": "a@x.example 3;b 3;carol@x.example 4;\\dora 5;:include:/other 6",
		"":                           "",
		"a\nb":                       "line 2: the last line has no line end",
		"a\n|/bin/sh\n":              "line 2: member \"|/bin/sh\" is a program or a file",
		"a\n\"|/bin/sh -c x\"\n":     "is a program or a file",
		"/etc/passwd\n":              "is a program or a file",
		"x <|/bin/sh>\n":             "is a program or a file",
		"a b\n":                      "line 1: member \"a b\"",
		"a\x01b\n":                   "control character",
		strings.Repeat("a\n", 10001): "more than 10000 members",
	} {
		write(text)
		f.Control.lists.known = nil
		members, err := f.Include(path)
		var list []string
		for _, m := range members {
			list = append(list, m.Target+" "+strings.TrimPrefix(m.Where, path+":"))
		}
		got := strings.Join(list, ";")
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || err != nil && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
	write("a\n")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(f.home, "none"), f.home} {
		if _, err := f.Include(p); err == nil {
			t.Errorf("%s was read", p)
		}
	}
}

// 10,000 members are read once, and again when the file changes.
func TestIncludeIsRemembered(t *testing.T) {
	f := newFixture(t, nil)
	path := filepath.Join(f.home, "list")
	var b strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&b, "user%d@example.org\n", i)
	}
	os.WriteFile(path, []byte(b.String()), 0o644)
	first, err := f.Include(path)
	if err != nil || len(first) != 10000 {
		t.Fatal(len(first), err)
	}
	if again, _ := f.Include(path); &again[0] != &first[0] {
		t.Error("the list was read again")
	}
	os.WriteFile(path, []byte("x\n"), 0o644)
	if changed, err := f.Include(path); len(changed) != 1 {
		t.Error(changed, err)
	}
}

// Whoever waits for a list that is being written lets others read theirs.
func TestIncludeWaitsAlone(t *testing.T) {
	f := newFixture(t, nil)
	f.clock = time.Now()
	young, old := filepath.Join(f.home, "young"), filepath.Join(f.home, "old")
	for _, path := range []string{young, old} {
		if err := os.WriteFile(path, []byte("a@x.example\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Chtimes(old, f.clock.Add(-time.Minute), f.clock.Add(-time.Minute))
	between := 0
	f.awake = func() {
		done := make(chan error, 1)
		go func() { _, err := f.Include(old); done <- err }()
		select {
		case err := <-done:
			if between++; err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("another list had to wait")
		}
	}
	if members, err := f.Include(young); len(members) != 1 || err != nil || between == 0 {
		t.Error(members, err, between)
	}
}
