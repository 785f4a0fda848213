package mailctl

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// newHome makes a home for example.org.
func newHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	if err := makeHome(home); err != nil {
		t.Fatal(err)
	}
	return home
}

func makeHome(dir string) error {
	return Init{Dir: dir, Owner: ours(), generate: quickKey, Hostname: "MX.example.org", Domains: []string{"Example.org", "example.org", "b.example"},
		Now: time.Now(), Notes: io.Discard}.Run()
}

// ours is the option --owner of a home that the tests themselves work in.
func ours() string { return strconv.Itoa(os.Geteuid()) }

// tree returns path, mode and content of everything below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := []byte{}
		if info.Mode().IsRegular() {
			text, err = os.ReadFile(path)
		}
		rel, _ := filepath.Rel(dir, path)
		all[rel] = info.Mode().String() + " " + string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInit(t *testing.T) {
	home := newHome(t)
	c := control.Open(home, time.Now)
	if errs := c.Check().Errors(); len(errs) > 0 {
		t.Error(errs)
	}
	if host, err := c.Hostname(); host != "mx.example.org" || err != nil {
		t.Error(host, err)
	}
	if ds, err := c.Domains(); strings.Join(ds, " ") != "example.org b.example" || err != nil {
		t.Error(ds, err)
	}
	if ss, err := c.Services(); len(ss) != 8 || err != nil {
		t.Error(ss, err)
	}
	if cfg, err := certs.Config(home, "mx.example.org", nil); cfg == nil || err != nil {
		t.Error(cfg, err)
	}
	if _, err := spool.Open(home, spool.Options{}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"mail/.paperpath", "log", "run", "control/tls/mx.example.org/privkey.pem"} {
		if !exists(filepath.Join(home, name)) {
			t.Error(name, "is missing")
		}
	}
	for name, what := range tree(t, home) {
		mode := what[:10]
		public := strings.HasSuffix(name, ".paperpath") || name == "spool/"+spool.Record || strings.HasSuffix(name, "fullchain.pem")
		shared := name == "run/clock" && mode == "-rw-rw----" // between the users of the stages
		passed := shared || os.Geteuid() == 0 && (name == "." || name == "run") && mode == "drwx--x--x"
		if !passed && mode != "drwx------" && mode != "-rw-------" && !(public && mode == "-rw-r--r--") {
			t.Errorf("%s has mode %s", name, mode)
		}
	}
}

// A new home has a secret of its own for forwarded mail; one that works without, and a null
// client, get none, and what a person has written stays.
func TestInitForwarding(t *testing.T) {
	secret := func(home string) string {
		text, _ := os.ReadFile(filepath.Join(home, "control", "srs-secrets"))
		return string(text)
	}
	home, another := newHome(t), newHome(t)
	first := secret(home)
	if len(first) < 20 || first == secret(another) {
		t.Errorf("%q and %q", first, secret(another))
	}
	if scheme, err := control.Open(home, time.Now).SRS(); scheme == nil || err != nil {
		t.Errorf("%+v %v", scheme, err)
	}
	if err := os.Remove(filepath.Join(home, "control", "srs-secrets")); err != nil {
		t.Fatal(err)
	}
	if err := makeHome(home); err != nil || secret(home) != "" {
		t.Errorf("a home without has %q (%v)", secret(home), err)
	}
	writeControl(t, another, map[string]string{"srs-secrets": "0123456789abcdef\n"})
	os.Remove(filepath.Join(another, ".paperpath"))
	if err := makeHome(another); err != nil || secret(another) != "0123456789abcdef\n" {
		t.Errorf("it became %q (%v)", secret(another), err)
	}
}

func TestInitTwiceChangesNothing(t *testing.T) {
	home := newHome(t)
	os.WriteFile(filepath.Join(home, "control", "users"), []byte("a@example.org:*\n"), 0o640)
	os.WriteFile(filepath.Join(home, ".bashrc"), nil, 0o600)
	before := tree(t, home)
	err := Init{Dir: home, Owner: ours(), Hostname: "other.example", Now: time.Now(), Notes: io.Discard}.Run()
	if err != nil {
		t.Fatal(err)
	}
	after := tree(t, home)
	for name, what := range after {
		if before[name] != what {
			t.Errorf("%s: %q became %q", name, before[name], what)
		}
	}
	if len(after) != len(before) {
		t.Error("names went")
	}
}

// quickKey makes a key in less time than an RSA key takes.
func quickKey(string) ([]byte, error) { return dkim.Generate(dkim.Ed25519) }

// Whatever part of its work init has done, a second init completes the home.
func TestInitCompletes(t *testing.T) {
	for _, gone := range []string{".paperpath", "run", "log", "spool/.paperpath", "spool/hold", "spool/route/reason",
		"mail/.paperpath", "control/tls/mx.example.org", "control/tls", "control/services", "control/hostname", "control"} {
		home := newHome(t)
		if err := os.RemoveAll(filepath.Join(home, gone)); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(home, ".paperpath")) // it was not complete yet
		if err := os.MkdirAll(filepath.Join(home, "control", "tls", ".new", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := makeHome(home); err != nil {
			t.Errorf("without %s: %v", gone, err)
			continue
		}
		want := tree(t, newHome(t))
		for name := range tree(t, home) {
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("without %s: still missing %v", gone, want)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	write := func(dir, name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	unmounted := newHome(t)
	os.Remove(filepath.Join(unmounted, "mail", ".paperpath"))
	tests := []struct {
		init Init
		exit int
		want string
	}{
		{Init{Dir: write(t.TempDir(), "letter")}, status.Refused, "letter is not ours"},
		{Init{Dir: write(t.TempDir(), "mail/inbox")}, status.Refused, "mail/inbox is not ours"},
		{Init{Dir: write(t.TempDir(), "spool/cron")}, status.Refused, "spool/cron is not ours"},
		{Init{Dir: unmounted}, status.TempFail, "mail has no file .paperpath"},
		{Init{Dir: filepath.Join(write(t.TempDir(), "file"), "file")}, status.TempFail, "file"},
		{Init{Dir: t.TempDir(), Hostname: "a b"}, status.Usage, `hostname "a b"`},
		{Init{Dir: t.TempDir(), Hostname: "[127.0.0.1]"}, status.Usage, "is not a host name"},
		{Init{Dir: t.TempDir(), Domains: []string{"a/b"}}, status.Usage, `domain "a/b"`},
	}
	for _, tt := range tests {
		before := map[string]string{}
		if info, err := os.Stat(tt.init.Dir); err == nil && info.IsDir() {
			before = tree(t, tt.init.Dir)
		}
		if tt.init.Hostname == "" {
			tt.init.Hostname = "mx.example.org"
		}
		tt.init.Notes, tt.init.Owner = io.Discard, ours()
		err := tt.init.Run()
		if status.Exit(err) != tt.exit || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, exit %d; want %q, %d", err, status.Exit(err), tt.want, tt.exit)
		}
		if len(before) > 0 && len(tree(t, tt.init.Dir)) != len(before) {
			t.Errorf("%s: something was made", tt.init.Dir)
		}
	}
}

func TestInitKeepsLinkedControl(t *testing.T) {
	home, etc := t.TempDir(), t.TempDir()
	if err := os.Symlink(etc, filepath.Join(home, "control")); err != nil {
		t.Fatal(err)
	}
	if err := makeHome(home); err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(etc, "domains")) {
		t.Error("control/domains is not where the link leads")
	}
}
