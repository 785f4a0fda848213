package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/status"
)

// fixture is a home whose control files the test writes. Files are an hour old unless
// the test says otherwise; sleeping advances the clock.
type fixture struct {
	*Control
	t     *testing.T
	clock time.Time
	slept time.Duration
	awake func() // called after each sleep
}

func newFixture(t *testing.T, files map[string]string) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: time.Now().Add(time.Hour)}
	f.Control = Open(t.TempDir(), func() time.Time { return f.clock })
	f.sleep = func(d time.Duration) {
		f.slept += d
		f.clock = f.clock.Add(d)
		if f.awake != nil {
			f.awake()
		}
	}
	if err := os.Mkdir(f.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		f.write(name, text)
	}
	return f
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// touch sets the age of a file.
func (f *fixture) touch(name string, age time.Duration) {
	f.t.Helper()
	at := f.clock.Add(-age)
	if err := os.Chtimes(f.path(name), at, at); err != nil {
		f.t.Fatal(err)
	}
}

// wantError checks that err is temporary, contains text, and that peers do not see
// it.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want %q in it", err, text)
	}
	if status.Exit(err) != status.TempFail {
		t.Errorf("%v: exit %d, want 75", err, status.Exit(err))
	}
	if _, _, reply := status.Reply(err); strings.Contains(reply, "control") {
		t.Errorf("the reply %q tells the peer about the file", reply)
	}
}

func TestAbsentFiles(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.Hostname()
	wantError(t, err, "control/hostname: the file is missing")
	_, err = f.Domains()
	wantError(t, err, "control/domains: the file is missing")
	_, _, err = f.IsLocal("example.org")
	wantError(t, err, "control/domains: the file is missing")
	_, err = f.User("a@example.org")
	wantError(t, err, "control/users: the file is missing")
	_, err = f.Postmaster()
	wantError(t, err, "control/users: the file is missing")
}

func TestDefaults(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "", "domains": ""})
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", what, got, err, want)
		}
	}
	n, err := f.Databytes()
	check("databytes", n, int64(26214400), err)
	b, i, err := f.Reserve()
	check("reserve", b, int64(16<<20), err)
	check("reserve inodes", i, int64(100), err)
	d, err := f.Runtime()
	check("runtime", d, 50*time.Minute, err)
	d, err = f.Holdtime()
	check("holdtime", d, 30*24*time.Hour, err)
	n, err = f.Holdbytes()
	check("holdbytes", n, int64(1<<30), err)
	n, err = f.Holdcount()
	check("holdcount", n, int64(10000), err)
	j, err := f.Junk()
	check("junk", j, Junk{Folder: "Junk"}, err)
	d, err = f.Undelete()
	check("undelete", d, time.Duration(0), err)
	d, err = f.LoginDelay()
	check("logindelay", d, time.Duration(0), err)
	expire, err := f.Expire()
	check("expire", expire, "NEVER", err)
	s, err := f.Log()
	check("log", s, "file", err)
	s, trusted, err := f.Resolver()
	check("resolver", s, "", err)
	check("trust-ad", trusted, false, err)
	s, err = f.Postmaster()
	check("postmaster", s, "", err)
	c, err := f.Concurrency("mailrelay")
	check("concurrency", c, 100, err)
	n, err = f.Limit("recipients")
	check("limit", n, int64(1000), err)
	r, err := f.Retry()
	check("attempts", r.Attempts, 10, err)
	check("lifetime", r.Lifetime, 120*time.Hour, err)
	v, err := f.Services()
	check("services", len(v), 0, err)
	a, err := f.Alias("x@example.org")
	check("alias", a, (*Alias)(nil), err)
	u, err := f.User("x@example.org")
	check("user", u, (*User)(nil), err)
	ro, err := f.Route("example.org")
	check("route", ro, (*Route)(nil), err)
	p, source, err := f.Senders("x")
	check("senders", len(p), 0, err)
	check("senders", source, "", err)
	nets, err := f.RelayFrom()
	check("relayfrom", len(nets), 0, err)
}

func TestScalars(t *testing.T) {
	f := newFixture(t, map[string]string{
		"hostname": "# ours\n MX.Example.org \n", "databytes": "1000", "reserve": "5 6\n",
		"runtime": "1h30m\n", "holdtime": "4w\n", "log": "syslog\n", "resolver": "127.0.0.1:5353\ttrust-ad\n",
		"junk": "folder Spam\n", "undelete": "14d\n", "logindelay": "90s\n", "expire": "030\n",
		"postmaster": "p@example.org\n", "concurrency": "mailrelay: 3\n", "limits": "hops:7\n",
	})
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", what, got, err, want)
		}
	}
	s, err := f.Hostname()
	check("hostname", s, "mx.example.org", err)
	n, err := f.Databytes()
	check("databytes", n, int64(1000), err)
	b, i, err := f.Reserve()
	check("reserve", b, int64(5), err)
	check("reserve", i, int64(6), err)
	d, err := f.Runtime()
	check("runtime", d, 90*time.Minute, err)
	d, err = f.Holdtime()
	check("holdtime", d, 28*24*time.Hour, err)
	j, err := f.Junk()
	check("junk", j, Junk{Folder: "Spam"}, err)
	d, err = f.Undelete()
	check("undelete", d, 14*24*time.Hour, err)
	d, err = f.LoginDelay()
	check("logindelay", d, 90*time.Second, err)
	expire, err := f.Expire()
	check("expire", expire, "30", err)
	s, err = f.Log()
	check("log", s, "syslog", err)
	s, trusted, err := f.Resolver()
	check("resolver", s, "127.0.0.1:5353", err)
	check("trust-ad", trusted, true, err)
	s, err = f.Postmaster()
	check("postmaster", s, "p@example.org", err)
	c, err := f.Concurrency("mailrelay")
	check("concurrency", c, 3, err)
	n, err = f.Limit("hops")
	check("limit", n, int64(7), err)
	_, err = f.Limit("hopps")
	wantError(t, err, "the program asks")
}

func TestPostmasterIsFirstUser(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "# x\nfirst@example.org:*\nb@example.org:*\n"})
	if got, err := f.Postmaster(); got != "first@example.org" || err != nil {
		t.Errorf("postmaster %q, %v", got, err)
	}
}

func TestLinkedControl(t *testing.T) {
	home, etc := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(etc, "hostname"), []byte("mx.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(etc, filepath.Join(home, "control")); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(home, time.Now).Hostname(); got != "mx.example" || err != nil {
		t.Errorf("hostname %q, %v", got, err)
	}
}

// An alias that no address can match is reported to people; mail is not held up.
func TestAliasesThatNeverMatch(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n", "aliases": "*: x\nok: x\nx@b.example: y\n*@a.example: x\n" +
		"a+b: x\n\"a..b\"@A.example: x\n"})
	err := f.CheckAliases()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	want := []string{
		"control/aliases:1: alias \"*\" can never match (there are no wildcards, but see @domain in control(5))",
		"control/aliases:3: alias \"x@b.example\" can never match (b.example is not in control/domains)",
		"control/aliases:4: alias \"*@a.example\" can never match (there are no wildcards, but see @domain in control(5))",
	}
	if d := cmp.Diff(want, got); d != "" || status.Exit(err) != status.Refused {
		t.Error(d, status.Exit(err))
	}
	if a, err := f.Alias("ok@a.example"); a == nil || err != nil {
		t.Errorf("mail waits: %v, %v", a, err)
	}
	if a, err := f.Alias(`"a..b"@a.example`); a == nil || err != nil {
		t.Errorf("quotes that are needed: %v, %v", a, err)
	}
}
