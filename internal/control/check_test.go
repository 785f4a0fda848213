package control

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// said returns the findings as people read them.
func said(r Report) (out []string) {
	for _, f := range r.Findings {
		kind := "error: "
		if f.Warning {
			kind = "warning: "
		}
		out = append(out, kind+f.String())
	}
	return out
}

func TestCheckFinds(t *testing.T) {
	for _, tt := range []struct {
		why   string
		files map[string]string
		want  []string
	}{
		{"nothing", nil, nil},
		{"names that are none", map[string]string{"aliasses": "x: y\n", "zzzzzzzz": "", "dkim": "", ".aliases.swp": "", "users~": "",
			"users.dpkg-old": "", "..data": "", "tls": ""}, []string{
			"error: control/aliasses: unknown setting (did you mean aliases?)",
			"error: control/dkim: is a file, but must be a directory (see control(5))",
			"error: control/tls: is a file, but must be a directory (see control(5))",
			"error: control/zzzzzzzz: unknown setting (remove it; control(5) lists them all)"}},
		{"a wrong value", map[string]string{"databytes": "# x\n25MB\n"}, []string{
			"error: control/databytes:2: \"25MB\" is not a whole number (such as `26214400`, see control(5))"}},
		{"an unknown key", map[string]string{"retry": "step: 1m\n"}, []string{
			`error: control/retry:1: unknown key "step" (steps, lifetime, attempts, delay-warning)`}},
		{"a program that is not there", map[string]string{"users": "exec:/nonexistent/x\n"}, []string{
			"error: control/users: stat /nonexistent/x: no such file or directory"}},
		{"a container's name", map[string]string{"hostname": "# x\n0123456789ab\n"}, []string{
			`warning: control/hostname:2: "0123456789ab" looks like the id of a container (set it to this host's name in the DNS, such as mx.example.org)`}},
		{"a short name", map[string]string{"hostname": "mx\n"}, []string{
			`warning: control/hostname:1: "mx" is not fully qualified (set it to this host's name in the DNS, such as mx.example.org)`}},
		{"the loopback's name", map[string]string{"hostname": "localhost.localdomain\n"}, []string{
			`warning: control/hostname:1: "localhost.localdomain" is not fully qualified (set it to this host's name in the DNS, such as mx.example.org)`}},
		{"a dead route", map[string]string{"routes": ".: smart.example\nA.Example: x.example\n.a.example: y.example\n"}, []string{
			`warning: control/routes:2: route "a.example" can never match (control/domains:1 has the domain, remove one of the two)`}},
		{"a dead alias", map[string]string{"aliases": "ok: x@elsewhere.example\n*: x\n"}, []string{
			`warning: control/aliases:2: alias "*" can never match (there are no wildcards, but see @domain in control(5))`}},
		{"wishes of nobody", map[string]string{"user-checks": "X@a.example: deny=*\n@a.example: deny=a@x.example\nb@b.example: deny=*\n@c.example: deny=*\n"}, []string{
			"warning: control/user-checks:1: the row is about nobody: x@a.example is not in control/users (correct or remove it)",
			"warning: control/user-checks:3: the row is about nobody: b.example is not in control/domains (correct or remove it)",
			"warning: control/user-checks:4: the row is about nobody: c.example is not in control/domains (correct or remove it)"}},
		{"users", map[string]string{"users": "b@b.example:*::::/srv/none\n"}, []string{
			"warning: control/users:1: b@b.example gets no mail: b.example is not in control/domains (add the domain there, or remove the user)",
			"warning: control/users:1: the home of b@b.example is empty: /srv/none has no Maildir (below mail/ the first delivery makes it)"}},
	} {
		files := map[string]string{"hostname": "mx.a.example\n", "domains": "a.example\n", "users": ""}
		for name, text := range tt.files {
			files[name] = text
		}
		if d := cmp.Diff(tt.want, said(newFixture(t, files).Check())); d != "" {
			t.Errorf("%s: %s", tt.why, d)
		}
	}
}

// A missing file without a default is an error of its own; a home without settings is
// one error.
func TestCheckOfMissingFiles(t *testing.T) {
	if got := newFixture(t, nil).Check().Errors(); len(got) != 3 {
		t.Errorf("an empty directory: %v, want the three files without a default", got)
	}
	got := said(Open(t.TempDir(), time.Now).Check())
	if d := cmp.Diff([]string{"error: control/: no such file or directory"}, got); d != "" {
		t.Error(d)
	}
}

// A flood of rows with the same fault takes only a few lines.
func TestCheckNamesAFewOfMany(t *testing.T) {
	users := ""
	for i := range 100 {
		users += fmt.Sprintf("u%d@a.example:*\n", i)
	}
	got := said(newFixture(t, map[string]string{"hostname": "mx.a.example\n", "domains": "a.example\n", "users": users}).Check())
	if len(got) != maxAlike+1 || got[maxAlike] != "warning: control/users: 80 more rows like these" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
}

// Secrets that every user of the machine can read: only if each directory above them
// lets users through.
func TestCheckSecrets(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "mx.a.example\n", "domains": "a.example\n", "users": ""})
	for dir := f.home; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		dir, file os.FileMode
		warned    bool
	}{{0o755, 0o644, true}, {0o711, 0o604, true}, {0o755, 0o640, false}, {0o700, 0o644, false}} {
		os.Chmod(f.path("users"), tt.file)
		os.Chmod(f.path(""), tt.dir)
		got := said(f.Check())
		want := []string{"warning: control/users: every user of this machine can read it (chmod o-r " + f.path("users") + ")"}
		if !tt.warned {
			want = nil
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%o in %o: %s", tt.file, tt.dir, d)
		}
	}
}

// What is in force, and where it comes from.
func TestCheckSaysWhatIsInForce(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "# ours\nmx.a.example\n", "domains": "a.example\nb.example\n", "users": "x@a.example:*\n",
		"limits": "hops:7\n", "databytes": "x\n", "routes": "broken\n", "holdtime": "90d\n", "aliases": "team: a,\n b\nx: y\n"})
	got := map[string][]string{}
	for _, v := range f.Check().InForce {
		text := v.Text + " (" + v.From + ")"
		if v.Key != "" {
			text = v.Key + ": " + text
		}
		got[v.Setting] = append(got[v.Setting], text)
	}
	want := map[string][]string{
		"hostname": {"mx.a.example (control/hostname:2)"}, "domains": {"a.example (control/domains:1)", "b.example (control/domains:2)"},
		"users": {"1 row (control/users)"}, "aliases": {"2 rows (control/aliases)"}, "holdtime": {"90d (control/holdtime:1)"},
		"databytes": nil, "greetpause": {"100ms (default)"}, "senders": {"own address (default)"},
		"retry": {"steps: 5m 10m 30m 1h 2h 4h (default)", "lifetime: 5d (default)", "attempts: 10 (default)", "delay-warning: 4h (default)"},
	}
	for name, values := range want {
		if d := cmp.Diff(values, got[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if l := got["limits"]; l[0] != "hops: 7 (control/limits:1)" || l[1] != "recipients: 1000 (default)" || len(l) != len(limitKeys()) {
		t.Errorf("limits: %q", l)
	}
}
