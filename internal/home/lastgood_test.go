package home

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
)

// A new number in control/concurrency is in force at once; while it cannot be read the
// last one stays in force, and the log has the reason once.
func TestConcurrencyIsTheOneInForce(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "control", "concurrency")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := &Home{Place: rights.Place{Dir: home}, Control: control.Open(home, time.Now), Log: maillog.To(&log, "mailroute", time.Now)}
	write("mailroute: many\n")
	if _, err := h.Concurrency("mailroute"); err == nil {
		t.Fatal("no error at the start")
	}
	write("mailroute: 1\n")
	get, err := h.Concurrency("mailroute")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text         string
		want, events int
	}{
		{"mailroute: 1\n", 1, 0}, {"mailroute: 3\n", 3, 0}, {"mailroute: many\n", 3, 1},
		{"mailroute: 2\n", 2, 1}, {"mailroute 9\n", 2, 2}, {"", 4, 2},
	} {
		write(c.text)
		for range 3 {
			if n := get(); n != c.want {
				t.Errorf("%q: %d, want %d", c.text, n, c.want)
			}
		}
		if n := strings.Count(log.String(), "event=trouble"); n != c.events {
			t.Errorf("%q: %d events, want %d:\n%s", c.text, n, c.events, log.String())
		}
	}
}

// An event goes to where control/log says a moment before; while the file is broken,
// to the last such place, followed by the reason.
func TestTheLogIsWhereTheFileSays(t *testing.T) {
	home := t.TempDir()
	for _, dir := range []string{"control", "log"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	stderr, err := os.Create(filepath.Join(home, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func(was *os.File) { os.Stderr = was; stderr.Close() }(os.Stderr)
	os.Stderr = stderr
	h := &Home{Place: rights.Place{Dir: home}, Control: control.Open(home, time.Now)}
	h.Log = maillog.Open(home, "mailroute", h.logsTo(), time.Now)
	file := filepath.Join(home, "log", "mail.log")
	count := func(path, what string) int {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), what)
	}
	for i, c := range []struct {
		text         string
		file, stderr int
	}{{"", 1, 0}, {"stderr\n", 1, 1}, {"nowhere\n", 1, 2}, {"file\n", 2, 2}} {
		if c.text != "" {
			if err := os.WriteFile(filepath.Join(home, "control", "log"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for changed := time.Now(); time.Since(changed) < control.Moment; runtime.Gosched() {
		}
		h.Log.Busy("route")
		if n, m := count(file, "event=busy"), count(stderr.Name(), "event=busy"); n != c.file || m != c.stderr {
			t.Errorf("%d: %q: %d events in the file and %d on stderr, want %d and %d", i, c.text, n, m, c.file, c.stderr)
		}
		if c.text != "nowhere\n" {
			continue
		}
		for end := time.Now().Add(time.Minute); count(stderr.Name(), "event=trouble") == 0; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatal("no word of the broken file")
			}
		}
	}
}
