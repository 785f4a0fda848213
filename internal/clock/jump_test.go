package clock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

// found reports whether this pass found the reason to wait.
func (a Ages) found() bool { return a.Moved > 0 || a.Odd != "" }

func named(up time.Duration) boot { return boot{id: "2f8cdb10-67f5-4a5c-8a37-62e8a1b1a111", up: up} }

// Each step is a pass: how far each clock has gone since the one before.
func TestJumps(t *testing.T) {
	type step struct {
		wall, boot time.Duration
		reboot     bool
		wait       time.Duration // afterwards
		found      bool
	}
	for name, steps := range map[string][]step{
		"steady":                 {{0, 0, false, 0, false}, {40 * day, 40 * day, false, 0, false}},
		"a lease second or NTP":  {{0, 0, false, 0, false}, {2*hour + 59*time.Minute, 2 * hour, false, 0, false}},
		"forward":                {{0, 0, false, 0, false}, {40 * day, hour, false, day, true}, {hour, hour, false, 23 * hour, false}, {23 * hour, 23 * hour, false, 0, false}, {hour, hour, false, 0, false}},
		"a little over an hour":  {{0, 0, false, 0, false}, {hour + 2*time.Second, 0, false, day, true}},
		"back":                   {{0, 0, false, 0, false}, {-40 * day, hour, false, 0, false}},
		"back and forth":         {{0, 0, false, 0, false}, {-40 * day, hour, false, 0, false}, {40 * day, hour, false, day, true}},
		"twice":                  {{0, 0, false, 0, false}, {2 * day, hour, false, day, true}, {2 * day, 20 * hour, false, day, true}},
		"suspended":              {{0, 0, false, 0, false}, {5 * day, 5 * day, false, 0, false}},
		"a boot later":           {{0, 0, false, 0, false}, {29 * day, 0, true, 0, false}},
		"off for long":           {{0, 0, false, 0, false}, {31 * day, hour, true, day, true}, {day, day, false, 0, false}},
		"a boot does not end it": {{0, 0, false, 0, false}, {9 * day, 0, false, day, true}, {hour, 10 * hour, true, 14 * hour, false}, {14 * hour, 14 * hour, false, 0, false}},
		"many boots do not, too": {{0, 0, false, 0, false}, {9 * day, 0, false, day, true}, {hour, time.Minute, true, day - time.Minute, false}, {hour, time.Minute, true, day - 2*time.Minute, false}},
		"the first pass":         {{70 * 365 * day, 0, false, day, true}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", "clock")
			now, b := time.Unix(1_800_000_000, 0), named(100*hour)
			if err := begin(path, now, b); err != nil {
				t.Fatal(err)
			}
			for i, s := range steps {
				now = now.Add(s.wall)
				b.up += s.boot
				if s.reboot {
					b.id, b.up = strings.Repeat(string('a'+rune(i)), 36), s.boot
				}
				a, err := look(path, now, b)
				if err != nil || a.Wait != s.wait || a.found() != s.found || a.Believed() != (s.wait == 0) {
					t.Fatalf("pass %d: %+v, %v, want to wait %v", i, a, err, s.wait)
				}
			}
		})
	}
}

// What a crash or a person left in the record makes everything wait for a day,
// and then it goes on.
func TestAnOddRecordWaits(t *testing.T) {
	b := named(100 * hour)
	now := time.Unix(1_800_000_000, 0)
	whole := record(now, b, 0)
	for _, text := range []string{"", "x", "\x00", whole[:60], whole + "x", record(now, b, 40*day), strings.Repeat("9", 4096)} {
		path := filepath.Join(t.TempDir(), "clock")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := look(path, now, b); err != nil || a.Wait != day || a.Odd == "" {
			t.Errorf("%.40q: %+v, %v", text, a, err)
		}
		if a, err := look(path, now.Add(hour), named(101*hour)); err != nil || a.Wait != 23*hour || a.Odd != "" {
			t.Errorf("%.40q, an hour later: %+v, %v", text, a, err)
		}
	}
}

// Where the boot has no name each pass counts as one of another boot. It is told
// once, and what waits goes on waiting as long as before.
func TestABootWithoutAName(t *testing.T) {
	nameless, err := readBoot(filepath.Join(t.TempDir(), "boot_id"))
	if err != nil || !errors.Is(nameless.nameless, fs.ErrNotExist) || nameless.up <= 0 {
		t.Fatalf("%+v, %v", nameless, err)
	}
	path := filepath.Join(t.TempDir(), "clock")
	now := time.Unix(1_800_000_000, 0)
	nameless.up = 100 * hour
	if err := begin(path, now, nameless); err != nil {
		t.Fatal(err)
	}
	for i, s := range []struct {
		wall, up time.Duration
		named    bool
		wait     time.Duration
		moved    bool
		told     bool
	}{
		{up: 100 * hour, told: true},
		{wall: 29 * day, up: 101 * hour},
		{wall: 40 * day, up: 102 * hour, wait: day, moved: true},
		{wall: hour, up: 103 * hour, wait: 23 * hour},
		{wall: hour, up: 2 * hour, wait: 21 * hour}, // booted
		{wall: hour, up: 500 * hour, wait: 0},       // it cannot be known whether it was
		{wall: 40 * day, up: 501 * hour, wait: day, moved: true},
		{wall: hour, up: 502 * hour, named: true, wait: 23 * hour},
		{wall: hour, up: 503 * hour, wait: 22 * hour, told: true},
	} {
		now = now.Add(s.wall)
		b := nameless
		if b.up = s.up; s.named {
			b = named(s.up)
		}
		a, err := look(path, now, b)
		if err != nil || a.Wait != s.wait || a.found() != s.moved || (a.Nameless != nil) != s.told {
			t.Errorf("pass %d: %+v, %v, want %+v", i, a, err, s)
		}
	}
}

// A new home's clock is believed, one that has lost its record is not.
func TestBegin(t *testing.T) {
	home := t.TempDir()
	if err := Begin(home, time.Now()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(home, Record)); err != nil || len(text) != recordSize {
		t.Errorf("%q, %v", text, err)
	}
	if a, err := Look(home, time.Now()); err != nil || !a.Believed() {
		t.Errorf("a new home: %+v, %v", a, err)
	}
	if err := os.RemoveAll(filepath.Join(home, "run")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a, err := Look(home, time.Now().Add(365*day)); err != nil || a.Believed() {
			t.Errorf("run/ is gone: %+v, %v", a, err)
		}
	}
}

func TestNoRecordNoTrust(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "run"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(home, time.Now()); err == nil {
		t.Error("a record that cannot be written is no error")
	}
}

// The machine's own boot clock.
func TestLook(t *testing.T) {
	home := t.TempDir()
	now := time.Now()
	if err := Begin(home, now); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		now     time.Time
		believe bool
	}{{now, true}, {now.Add(time.Minute), true}, {now.Add(2 * hour), false}, {now.Add(2 * hour), false}} {
		if a, err := Look(home, s.now); err != nil || a.Believed() != s.believe {
			t.Errorf("at %v: %+v, %v", s.now.Sub(now), a, err)
		}
	}
	if st, err := os.Stat(filepath.Join(home, "run", "clock")); err != nil || st.Size() != recordSize {
		t.Errorf("%v, %v", st, err)
	}
}
