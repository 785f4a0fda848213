package full

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

func newMarks(t *testing.T) *Marks {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := Open(home)
	t.Cleanup(func() { m.Close() })
	return m
}

// replied is the SMTP code of an error, 0 for none.
func replied(err error) int {
	if err == nil {
		return 0
	}
	code, _, _ := status.Reply(err)
	return code
}

// TestMarks follows one mailbox: each step is an act at a time after the first mark.
func TestMarks(t *testing.T) {
	const bob = "Bob@example.net"
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"a mark counts for 15 minutes", []step{{"rcpt", 0, 0}, {"mark", 0, 452}, {"rcpt", 0, 452}, {"rcpt", 14 * time.Minute, 452}, {"rcpt", 15 * time.Minute, 0}}},
		{"room was made", []step{{"mark", 0, 452}, {"lift", time.Minute, 0}, {"rcpt", time.Minute, 0}, {"mark", 2 * time.Minute, 452}, {"rcpt", 3 * time.Minute, 452}}},
		{"a message did fit", []step{{"mark", 0, 452}, {"clear", time.Minute, 0}, {"rcpt", time.Minute, 0}, {"mark", 25 * time.Hour, 452}}},
		{"one recipient an hour passes", []step{{"mark", 0, 452}, {"remark", 10 * time.Minute, 452}, {"remark", 55 * time.Minute, 452},
			{"rcpt", 59 * time.Minute, 452}, {"rcpt", 61 * time.Minute, 0}, {"rcpt", 62 * time.Minute, 452}}},
		{"full for a day", []step{{"mark", 0, 452}, {"mark", 23 * time.Hour, 452}, {"lift", 23 * time.Hour, 0}, {"mark", 25 * time.Hour, 552}, {"rcpt", 25 * time.Hour, 552}}},
		{"another time", []step{{"mark", 0, 452}, {"mark", 80 * time.Hour, 452}}},
		{"the clock was ahead", []step{{"mark", 100 * time.Hour, 452}, {"rcpt", 0, 0}, {"mark", 0, 452}, {"mark", 25 * time.Hour, 552}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMarks(t)
			for i, s := range tt.steps {
				if got := m.do(t, s.what, bob, start.Add(s.at)); got != s.want {
					t.Errorf("step %d, %s at %v: %d, want %d", i, s.what, s.at, got, s.want)
				}
			}
			if got := replied(m.Refusal("alice@example.net", start)); got != 0 {
				t.Errorf("another mailbox: %d", got)
			}
		})
	}
}

type step struct {
	what string
	at   time.Duration
	want int
}

func (m *Marks) do(t *testing.T, what, who string, now time.Time) int {
	t.Helper()
	switch what {
	case "mark":
		return replied(m.Mark(who, now))
	case "remark": // by an entry that passed no mark
		e, err := m.table.Get(passed(who))
		if err != nil {
			t.Fatal(err)
		}
		marked := m.Mark(who, now)
		if err := m.table.Update(passed(who), func(ratelimit.Entry) ratelimit.Entry { return e }); err != nil {
			t.Fatal(err)
		}
		return replied(marked)
	case "lift":
		return replied(m.Lift(who, now))
	case "clear":
		return replied(m.Clear(who))
	}
	return replied(m.Refusal(who, now))
}

// TestWarn: once a day.
func TestWarn(t *testing.T) {
	m, now := newMarks(t), time.Now()
	for i, want := range []bool{true, false, false, true} {
		if got, err := m.Warn("bob@example.net", now.Add(time.Duration(i)*8*time.Hour)); got != want || err != nil {
			t.Errorf("%d: %v %v", i, got, err)
		}
	}
}

// TestWithoutAFile: what cannot be read refuses nobody for good.
func TestWithoutAFile(t *testing.T) {
	m := Open(t.TempDir())
	if err := m.Mark("bob@example.net", time.Now()); !status.IsTemporary(err) {
		t.Error(err)
	}
	if err := m.Refusal("bob@example.net", time.Now()); err == nil || !status.IsTemporary(err) {
		t.Error(err)
	}
}
