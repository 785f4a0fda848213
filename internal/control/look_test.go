package control

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A look counts for the questions after it, until somebody has new work.
func TestTrustedLooks(t *testing.T) {
	f := newFixture(t, nil)
	names := []string{"one.example", "two.example", "three.example"}
	ask := func(want string) {
		t.Helper()
		if got, err := f.Hostname(); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	f.write("hostname", names[0]+"\n")
	ask(names[0])
	f.write("hostname", names[1]+"\n")
	ask(names[1]) // nobody trusts looks yet
	f.Trust(time.Hour)
	ask(names[1])
	f.write("hostname", names[2]+"\n")
	ask(names[1])
	f.Anew()
	ask(names[2])
	f.Trust(time.Nanosecond)
	f.write("hostname", names[0]+"\n")
	ask(names[0])
}

func TestTrustedLooksAreBounded(t *testing.T) {
	f := newFixture(t, nil)
	f.Trust(time.Hour)
	f.write("dkim/x.example/active", "")
	for i := range 3 * maxLooks {
		if _, err := f.DKIMKeys(string(rune('a'+i%26)) + time.Duration(i).String() + ".example"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.looks.files); n > maxLooks+1 {
		t.Errorf("%d looks are kept", n)
	}
}

// Each view has its own looks that count, and all share what anybody has seen since.
func TestViews(t *testing.T) {
	f := newFixture(t, nil)
	names := []string{"one.example", "two.example", "three.example"}
	one, two := f.View(time.Hour), f.View(time.Hour)
	ask := func(c *Control, want string) {
		t.Helper()
		if got, err := c.Hostname(); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	f.write("hostname", names[0]+"\n")
	ask(one, names[0])
	f.write("hostname", names[1]+"\n")
	ask(one, names[0])
	ask(two, names[0]) // what one has seen is younger than its work
	ask(f.Control, names[1])
	two.Anew()
	f.write("hostname", names[2]+"\n")
	ask(two, names[2])
	ask(one, names[2])
}

// What control/ does not have is not looked for again until the directory changes, whatever
// way it comes.
func TestAbsentSettings(t *testing.T) {
	f := newFixture(t, nil)
	dir, now := f.path(""), time.Now()
	c := f.View(time.Hour)
	ask := func(want int64) {
		t.Helper()
		c.Anew()
		if got, err := c.Databytes(); got != want || err != nil {
			t.Errorf("%d, %v; want %d", got, err, want)
		}
		tick(t)
	}
	def, err := c.Databytes()
	if err != nil {
		t.Fatal(err)
	}
	ages := []time.Duration{0, 2 * time.Second, -time.Hour, 2 * time.Hour}
	for i, age := range ages {
		f.now = func() time.Time { return now.Add(age) }
		c.looks.absentIn = stamp{}
		ask(def)
		if known := c.looks.absentIn != (stamp{}); known != (age >= settled) && i < 2 {
			t.Errorf("%v after the directory changed: absence is known: %v", age, known)
		}
		ask(def)
		f.write("databytes", "4711\n")
		ask(4711)
		tick(t)
		if err := os.Remove(f.path("databytes")); err != nil {
			t.Fatal(err)
		}
		ask(def)
	}
	for _, how := range []func(from, to string) error{os.Rename, os.Link, os.Symlink} {
		ask(def)
		other := filepath.Join(t.TempDir(), "databytes")
		if err := os.WriteFile(other, []byte("4712\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := how(other, f.path("databytes")); err != nil {
			t.Fatal(err)
		}
		ask(4712)
		tick(t)
		if err := os.Remove(f.path("databytes")); err != nil {
			t.Fatal(err)
		}
	}
	nowhere := filepath.Join(t.TempDir(), "later")
	if err := os.Symlink(nowhere, f.path("databytes")); err != nil {
		t.Fatal(err)
	}
	ask(def)
	if err := os.WriteFile(nowhere, []byte("4713\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ask(4713)
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	ask(def)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("databytes", "4714\n")
	ask(4714)
}

// That a setting is absent follows from a look at the directory, and is as old as that look,
// whoever asks.
func TestAbsenceIsAsOldAsTheLook(t *testing.T) {
	f := newFixture(t, nil)
	now := time.Now()
	f.now = func() time.Time { return now.Add(2 * time.Second) }
	one := f.View(time.Hour)
	for _, ask := range []func(c *Control) bool{
		func(c *Control) bool { n, _ := c.Databytes(); return n == 4711 },
		func(c *Control) bool { return !c.isAbsent("databytes") },
	} {
		one.Anew()
		if ask(one) {
			t.Fatal("the setting is there already")
		}
		tick(t)
		f.write("databytes", "4711\n")
		two := f.View(time.Hour)
		f.looks.files = nil // the first look at the setting counts no longer
		if ask(one) {
			t.Error("the look at the directory did not count")
		}
		if !ask(two) {
			t.Error("newer work was told what an older look at the directory says")
		}
		tick(t)
		if err := os.Remove(f.path("databytes")); err != nil {
			t.Fatal(err)
		}
	}
}

// tick returns when the times of files have moved on: to a program whose clock is ahead of
// them, two changes in one moment look like one.
func tick(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tick")
	var first time.Time
	for {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = info.ModTime()
		} else if info.ModTime().After(first) {
			return
		}
	}
}
