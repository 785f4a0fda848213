package mailctl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paperpath/internal/rights"
)

// What keeps a program out of something or lets one in is found, and nothing else. The owner and
// the group that a row asks for are those of this process, or others.
func TestFault(t *testing.T) {
	me, mine := os.Geteuid(), os.Getegid()
	const other = 12345
	for _, test := range []struct {
		portion, path string
		mode          fs.FileMode
		uid, gid      int
		want          string // "" for nothing
	}{
		{"control/users", "control/users", 0o640, me, mine, ""},
		{"control/users", "control/users", 0o600, me, mine, "has mode 0600 and gid"},
		{"control/users", "control/users", 0o644, me, mine, "has mode 0644 and gid"},
		{"control/users", "control/users", 0o640, me, other, "not 0640 and the group ppusers (12345)"},
		{"control/users", "control/users", 0o640, other, mine, ""}, // root has written it
		{"control/users", "control/users", 0o600, other, mine, "the group ppusers"},
		{"control/users", "control/users", 0o640, other, other, "cannot read it (chown paperpath)"},
		{"control/users", "control/users", 0o644, other, mine, "more than the group ppusers"},
		{"control/users", "control/users", 0o644, other, other, "more than the group ppusers"},
		{"control/tls", "control/tls/h/privkey.pem", 0o644, other, mine, "more than the group pptls"},
		{"control/tls", "control/tls/h", 0o700 | fs.ModeSetgid, me, mine, "has mode 2700 and gid"},
		{"control/tls", "control/tls/h", 0o711, other, mine, "cannot read it"},
		{"control/tls", "control/tls/h", 0o755, other, mine, "more than the group pptls"},
		{"control", "control/routes", 0o644, other, mine, ""}, // only the group comes so far
		{"control", "control/routes", 0o644, other, other, ""},
		{"control", "control/routes", 0o600, other, mine, "the group paperpath"},
		{"control", "control/routes", 0o750, me, mine, ""}, // a program
		{"control", "control/routes", 0o700, me, mine, "has mode 0700 and gid"},
		{"control", "control", 0o750, me, mine, "has mode 0750 and gid"},
		{"spool", "spool", 0o755, me, mine, "has mode 0755 and gid"},
		{"spool/relay", "spool/relay", 0o770, me, mine, "has mode 0770 and gid"},
		{"mail", "mail", 0o755 | fs.ModeSetgid, me, mine, "has mode 2755 and gid"},
		{"", "", 0o700, me, mine, "has mode 0700 and gid"},
	} {
		path := filepath.Join(shared(t), test.path)
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		g := giving{portion: portionAt(t, test.portion), owner: test.uid, gid: test.gid}
		if what := g.fault(path, test.portion == test.path); !strings.Contains(what, test.want) || (what == "") != (test.want == "") {
			t.Errorf("%s of uid %d and gid %d, with mode %v: %q, not %q", test.path, test.uid, test.gid, test.mode, what, test.want)
		}
	}
}

func portionAt(t *testing.T, path string) portion {
	t.Helper()
	list := portions()
	i := slices.IndexFunc(list, func(p portion) bool { return p.path == path })
	if i < 0 {
		t.Fatalf("no portion %s", path)
	}
	return list[i]
}

// A finding says where. What is in the spool and in mailboxes is not looked at, and what is another
// portion once.
func TestLook(t *testing.T) {
	for path, want := range map[string]string{
		"":                          "the home",
		"control":                   "control/",
		"control/routes":            "control/routes",
		"control/users":             "control/users",
		"control/tls":               "control/tls",
		"control/tls/h/privkey.pem": "control/tls/h/privkey.pem",
		"control/dkim/x":            "",
		"spool":                     "spool",
		"spool/relay":               "spool/relay",
		"spool/relay/new/x":         "",
		"mail":                      "mail",
		"mail/example.net":          "",
	} {
		dir := shared(t)
		if err := os.Chmod(filepath.Join(dir, path), 0o777); err != nil {
			t.Fatal(err)
		}
		var at []string
		for _, p := range portions() {
			g := giving{portion: p, owner: os.Geteuid(), gid: os.Getegid()}
			for _, f := range g.look(dir) {
				at = append(at, f.Where())
			}
		}
		if got := strings.Join(at, " "); got != want {
			t.Errorf("%s open to all: found %q, not %q", path, got, want)
		}
	}
}

// Only the user of mailrelay may read its directories.
func TestKeptFrom(t *testing.T) {
	me := os.Geteuid()
	for _, test := range []struct {
		mode  fs.FileMode
		relay int
		want  string
	}{
		{0o700, me, ""},
		{0o710, me, "mode 0710"},
		{0o755, me, "mode 0755"},
		{0o700, 12345, "only mailrelay's user (12345)"},
	} {
		dir := shared(t)
		if err := os.Chmod(filepath.Join(dir, "control", "dkim"), test.mode); err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, f := range keptFrom(dir, "dkim", test.relay) {
			text += f.Where() + ": " + f.What
		}
		if !strings.Contains(text, test.want) || (text == "") != (test.want == "") {
			t.Errorf("%04o: %q, not %q", test.mode, text, test.want)
		}
	}
	if found := keptFrom(t.TempDir(), "dkim", me); found != nil {
		t.Errorf("none: %v", found)
	}
}

// shared is a home whose modes are those of a home with users.
func shared(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"control/tls/h", "control/dkim/x", "control/relay-logins", "spool/relay/new", "mail/example.net"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"control/users", "control/routes", "control/tls/h/privkey.pem", "spool/relay/new/x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]fs.FileMode{
		"": 0o751, "control": 0o750 | fs.ModeSetgid, "control/tls": 0o750 | fs.ModeSetgid, "control/tls/h": 0o750 | fs.ModeSetgid,
		"spool": 0o750, "spool/relay": 0o770 | fs.ModeSetgid, "mail": 0o770 | fs.ModeSetgid,
	} {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.Chown(path, -1, os.Getegid()), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each group keeps programs out of something.
func TestPortionsNameTheGroups(t *testing.T) {
	groups := map[string]bool{}
	for _, p := range portions() {
		groups[p.group] = true
	}
	for _, g := range append(rights.ProgramGroups(), rights.SystemUser) {
		if !groups[g] {
			t.Errorf("%s keeps nothing", g)
		}
	}
}
