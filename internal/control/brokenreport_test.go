package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/status"
)

// process opens the settings as another process does, and returns what it reports.
func (f *fixture) process() (*Control, *[]string) {
	c, reported := Open(f.home, func() time.Time { return f.clock }), &[]string{}
	c.sleep = f.sleep
	c.OnBrokenRow(func(err error) { *reported = append(*reported, err.Error()) })
	return c, reported
}

// A row is reported when a lookup meets it, once an hour by all processes together;
// its day ends for all of them, and starts again if the row is corrected and comes
// back.
func TestBrokenRowsAreReportedOnceAnHour(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "a b\nb@x.example:{\nc@x.example:\n"})
	f.clock = time.Now().Add(time.Minute) // marks get the kernel's time
	if err := os.Mkdir(filepath.Join(f.home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	ask := func(name, want string, reports int) {
		t.Helper()
		c, reported := f.process()
		for range 3 {
			u, err := c.User(name)
			if got := answered(u, err); got != want {
				t.Errorf("%s: %s, want %s (%v)", name, got, want, err)
			}
		}
		if len(*reported) != reports {
			t.Errorf("%s: reported %q, not %d times", name, *reported, reports)
		}
	}
	ask("c@x.example", "found", 0)
	ask("nobody@x.example", "temporary", 1)
	ask("b@x.example", "temporary", 1)
	ask("nobody@x.example", "temporary", 0)
	ask("b@x.example", "temporary", 0)
	f.clock = f.clock.Add(2 * time.Hour)
	ask("nobody@x.example", "temporary", 1)
	f.write("users", "# another line\na b\nb@x.example:{\n")
	f.clock = f.clock.Add(22 * time.Hour)
	ask("nobody@x.example", "none", 1)
	ask("b@x.example", "temporary", 1)
	f.write("users", "c@x.example:\n")
	ask("nobody@x.example", "none", 0)
	f.write("users", "a b\n")
	ask("nobody@x.example", "temporary", 1)
}

func answered(u *User, err error) string {
	switch {
	case status.Exit(err) == status.TempFail && err != nil:
		return "temporary"
	case err != nil:
		return err.Error()
	case u == nil:
		return "none"
	}
	return "found"
}

// If nothing can be written, the day begins with the change of the file.
func TestADayWithoutMarks(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "a b\n"}) // there is no run/
	f.clock = time.Now().Add(time.Hour)
	for _, want := range []string{"temporary", "none"} {
		c, reported := f.process()
		if u, err := c.User("nobody@x.example"); answered(u, err) != want || len(*reported) != 1 {
			t.Errorf("%v, %v, reported %q; want %s", u, err, *reported, want)
		}
		f.clock = f.clock.Add(hiding)
	}
}

// However many lines are broken, only a few of them are reported and leave a file.
func TestManyBrokenRows(t *testing.T) {
	var rows strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&rows, "row %d\nu%d@x.example:{\n", i, i)
	}
	f := newFixture(t, map[string]string{"users": rows.String() + "c@x.example:\n"})
	run := filepath.Join(f.home, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	c, reported := f.process()
	for i := range 1000 {
		if u, err := c.User(fmt.Sprintf("u%d@x.example", i)); answered(u, err) != "temporary" {
			t.Fatal(u, err)
		}
	}
	if u, err := c.User("nobody@x.example"); answered(u, err) != "temporary" {
		t.Error(u, err)
	}
	if names, err := os.ReadDir(run); err != nil || len(names) > maxMarks+1 || len(*reported) > maxMarks+1 {
		t.Errorf("%d files, %d events, %v", len(names), len(*reported), err)
	}
	if faults, _ := c.Faults("users"); len(faults) != 2000 {
		t.Errorf("%d faults", len(faults))
	}
}
