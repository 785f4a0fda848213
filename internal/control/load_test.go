package control

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCacheFollowsChanges(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "one.example\n"})
	ask := func(want string) {
		t.Helper()
		if got, err := f.Hostname(); got != want || err != nil {
			t.Errorf("hostname %q, %v; want %q", got, err, want)
		}
	}
	ask("one.example")
	f.write("hostname", "two.example\n")
	ask("two.example")
	os.Remove(f.path("hostname"))
	_, err := f.Hostname()
	wantError(t, err, "the file is missing")
	f.write("hostname", "six.example\n")
	ask("six.example")
}

func TestCacheIsUsed(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n"})
	parsed := 0
	counted := domainsFile(f.Control)
	parse := counted.parse
	counted.parse = func(name string, data []byte) (contents[domainRow], error) {
		parsed++
		return parse(name, data)
	}
	for range 3 {
		if _, _, err := load(f.Control, counted); err != nil {
			t.Fatal(err)
		}
	}
	if parsed != 1 {
		t.Errorf("an unchanged file was parsed %d times", parsed)
	}
}

// A file can change in place, with the same size, within the resolution of its times:
// what was read just after a change is not cached.
func TestCacheDoubtsFreshFiles(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "one.example\n"})
	for age, keeps := range map[time.Duration]bool{0: false, 999 * time.Millisecond: false, time.Second: true, -time.Hour: true} {
		f.touch("hostname", age)
		if _, err := f.Hostname(); err != nil {
			t.Fatal(err)
		}
		if _, kept := f.cache["hostname"]; kept != keeps {
			t.Errorf("%v old: kept %v", age, kept)
		}
	}
}

func TestErrorsAreCachedAndMended(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a b\n"})
	for range 2 {
		_, _, err := f.IsLocal("a.example")
		wantError(t, err, "control/domains:1:")
	}
	f.write("domains", "a.example\n")
	if _, local, err := f.IsLocal("a.example"); !local || err != nil {
		t.Error(local, err)
	}
}

func TestOddFiles(t *testing.T) {
	f := newFixture(t, nil)
	if err := os.Mkdir(f.path("hostname"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := f.Hostname()
	wantError(t, err, "control/hostname: not a regular file")
	if err := syscall.Mkfifo(f.path("log"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = f.Log()
	wantError(t, err, "control/log: not a regular file")
	f.write("resolver", strings.Repeat("#\n", maxScalar))
	_, _, err = f.Resolver()
	wantError(t, err, "control/resolver: the file is too large")
}

func TestQuietSecond(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n"})
	f.touch("domains", 300*time.Millisecond)
	f.awake = func() { f.write("domains", "a.example\nb.example\n"); f.touch("domains", 2*time.Second) }
	source, local, err := f.IsLocal("b.example")
	if source != "control/domains:2" || !local || err != nil {
		t.Errorf("%q %v %v", source, local, err)
	}
	if f.slept != 700*time.Millisecond {
		t.Errorf("waited %v", f.slept)
	}
}

func TestQuietSecondPositiveDoesNotWait(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n"})
	f.touch("domains", 0)
	if _, local, err := f.IsLocal("A.example"); !local || err != nil || f.slept != 0 {
		t.Errorf("%v %v, waited %v", local, err, f.slept)
	}
}

// A file that is read half-written: its last row may be cut off, so even a positive
// answer could be wrong.
func TestTornLastLineWaits(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "a@b.example:*::::mail/b.example/a-lo"})
	f.touch("users", 0)
	f.awake = func() { f.write("users", "a@b.example:*::::mail/b.example/a-long\n"); f.touch("users", time.Minute) }
	u, err := f.User("a@b.example")
	if err != nil || !strings.HasSuffix(u.Home, "/mail/b.example/a-long") {
		t.Errorf("%+v %v", u, err)
	}
}

func TestBrokenFreshFileWaits(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "a@b.example:*\nb@b.exa"})
	f.touch("users", 0)
	f.awake = func() { f.write("users", "a@b.example:*\nb@b.example:*\n"); f.touch("users", time.Minute) }
	if u, err := f.User("b@b.example"); u == nil || err != nil {
		t.Error(u, err)
	}
}

func TestEverChangingFile(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": ""})
	f.touch("domains", 0)
	f.awake = func() { f.touch("domains", 0) }
	_, _, err := f.IsLocal("a.example")
	wantError(t, err, "control/domains: the file keeps changing")
	if f.slept < longestWait || f.slept > longestWait+settled {
		t.Errorf("waited %v", f.slept)
	}
}

// Some editors move a file aside before they write the new one.
func TestFileBeingReplaced(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n", "aliases~": "x: y\n"})
	f.touch("", 0)
	f.awake = func() { f.write("aliases", "x: y\n"); f.touch("aliases", time.Minute) }
	a, err := f.Alias("x@a.example")
	if a == nil || err != nil || f.slept == 0 {
		t.Errorf("%v %v, waited %v", a, err, f.slept)
	}
}

func TestFutureFileIsStill(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n"})
	f.touch("domains", -time.Hour)
	if _, local, err := f.IsLocal("b.example"); local || err != nil || f.slept != 0 {
		t.Errorf("%v %v, waited %v", local, err, f.slept)
	}
}
