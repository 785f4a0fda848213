package program

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
)

// A number of control/concurrency counts at once; one that cannot be read leaves
// the last one in force, and the log has that once.
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
	f := &Frame{Home: home, Control: control.Open(home, time.Now), Log: maillog.To(&log, "mailroute", time.Now)}
	write("mailroute: many\n")
	if _, err := f.Concurrency("mailroute", 4); err == nil {
		t.Fatal("no error at the start")
	}
	write("mailroute: 1\n")
	get, err := f.Concurrency("mailroute", 4)
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
