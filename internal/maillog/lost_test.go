package maillog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// heard is a file in the place of standard error, and a function that returns
// what has come since it was called last.
func heard(t *testing.T) func() string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = f
	t.Cleanup(func() { os.Stderr = old; f.Close() })
	at := int64(0)
	return func() string {
		buf := make([]byte, 4096)
		n, _ := f.ReadAt(buf, at)
		at += int64(n)
		return string(buf[:n])
	}
}

// A log that its owner can no longer write is told on standard error, once each
// time; that there is no home, or that it is somebody else's, is not.
func TestWhoIsToldOfLostEvents(t *testing.T) {
	home := t.TempDir()
	said := heard(t)
	away := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(home, from), filepath.Join(home, to)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when, text string) {
		t.Helper()
		got := said()
		if text == "" && got != "" || text != "" && (strings.Count(got, "\n") != 1 || !strings.Contains(got, text)) {
			t.Errorf("%s: said %q, want %q", when, got, text)
		}
	}
	const lost = "test: events are lost, the mail is not: open "
	l := Open(home, "test", func() string { return "file" }, at)
	l.Busy("route")
	l.Busy("route")
	want("there is no log/ yet", lost)
	if err := os.Mkdir(filepath.Join(home, "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.Busy("route")
	want("it is there", "")
	away("log", "elsewhere")
	l.Busy("route")
	l.Busy("route")
	want("it has gone again", lost)
	away("elsewhere", "log")
	l.Busy("route")
	want("it is there again", "")
	text, err := os.ReadFile(filepath.Join(home, "log", "mail.log"))
	if err != nil || strings.Count(string(text), "event=lost key=- events=2\n") != 2 {
		t.Errorf("%v, the log: %s", err, text)
	}

	nobody := Open(filepath.Join(home, "none"), "test", func() string { return "file" }, at)
	nobody.Busy("route")
	want("there is no home", "")
	if os.Geteuid() == 0 {
		other := filepath.Join(home, "other")
		if err := os.Mkdir(other, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(other, 54321, 54321); err != nil {
			t.Fatal(err)
		}
		Open(other, "test", func() string { return "file" }, at).Busy("route")
		want("the home is another's", "")
	}
}
