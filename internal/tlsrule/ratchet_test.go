package tlsrule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const mx = "mx.example.net:25"

// ratchet is one of a home with these settings.
func ratchet(t *testing.T, files map[string]string) (*Ratchet, string) {
	t.Helper()
	c, dir := home(t, files)
	r := OpenRatchet(c)
	t.Cleanup(func() { r.Close() })
	return r, dir
}

// TestRatchet: a host that had TLS is held to it, for two days after its first failure,
// and no longer than the setting says after its last success.
func TestRatchet(t *testing.T) {
	const held, free, freed = "held", "free", "freed"
	type step struct {
		after  time.Duration // since the first step
		worked bool
		verify bool // the failure is a bad certificate; with worked, the success a good one
		want   string
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		ratchet, retry string
		steps          []step
	}{
		"never had TLS":         {"", "", []step{{0, false, false, free}, {3 * day, false, false, free}}},
		"held, then freed":      {"", "", []step{{0, true, false, ""}, {day, false, false, held}, {2 * day, false, false, held}, {3*day - 1, false, false, held}, {3 * day, false, false, freed}, {3*day + time.Hour, false, false, free}}},
		"TLS came back":         {"", "", []step{{0, true, false, ""}, {day, false, false, held}, {2 * day, true, false, ""}, {3 * day, false, false, held}, {5*day - 1, false, false, held}, {5 * day, false, false, freed}}},
		"remembered anew":       {"", "", []step{{0, true, false, ""}, {day, false, false, held}, {3 * day, false, false, freed}, {4 * day, true, false, ""}, {5 * day, false, false, held}}},
		"too long ago":          {"", "", []step{{0, true, false, ""}, {30 * day, false, false, free}}},
		"just not too long ago": {"", "", []step{{0, true, false, ""}, {30*day - 1, false, false, held}}},
		"no mail in between":    {"", "", []step{{0, true, false, ""}, {day, false, false, held}, {10 * day, false, false, held}, {12 * day, false, false, freed}}},
		"short memory":          {"2h", "", []step{{0, true, false, ""}, {time.Hour, false, false, held}, {2 * time.Hour, false, false, free}}},
		"off":                   {"off", "", []step{{0, true, false, ""}, {time.Hour, false, false, free}}},
		"mail lives shortly":    {"", "lifetime: 8h", []step{{0, true, false, ""}, {time.Hour, false, false, held}, {5*time.Hour - 1, false, false, held}, {5 * time.Hour, false, false, freed}}},
		"bad certificate":       {"", "", []step{{0, true, true, ""}, {time.Hour, false, true, free}}},
		"held to a certificate": {"30d verify", "", []step{{0, true, true, ""}, {time.Hour, false, true, held}, {49 * time.Hour, false, true, freed}}},
		"never had a good one":  {"30d verify", "", []step{{0, true, false, ""}, {time.Hour, false, true, free}, {time.Hour, false, false, held}}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			if c.ratchet != "" {
				files["tls-ratchet"] = c.ratchet + "\n"
			}
			if c.retry != "" {
				files["retry"] = c.retry + "\n"
			}
			r, _ := ratchet(t, files)
			began := time.Now().Truncate(time.Second)
			for i, s := range c.steps {
				now := began.Add(s.after)
				if s.worked {
					if err := r.Worked(mx, s.verify, now); err != nil {
						t.Fatal(err)
					}
					continue
				}
				h, err := r.Fell(mx, s.verify, now)
				if err != nil {
					t.Fatal(err)
				}
				got := map[bool]string{true: held, false: free}[h.Held]
				if h.Freed {
					got = freed
				}
				if got != s.want {
					t.Errorf("step %d: %s (%s), want %s", i, got, h.Why, s.want)
				}
			}
		})
	}
}

// What is remembered is about one name and port, whatever its case, and survives the
// process; Forget ends it.
func TestMemory(t *testing.T) {
	r, dir := ratchet(t, nil)
	now := time.Now().Truncate(time.Second)
	if err := r.Worked("MX.example.net:25", true, now); err != nil {
		t.Fatal(err)
	}
	r.Close()
	r2 := &Ratchet{table: r.table, c: r.c}
	m, err := r2.Memory(mx)
	if err != nil || !m.TLS.Equal(now) || !m.Verified || !m.Since.IsZero() {
		t.Errorf("%+v %v", m, err)
	}
	if got := m.String(); !strings.HasPrefix(got, "TLS on 20") || !strings.HasSuffix(got, ", certificate verified") {
		t.Error(got)
	}
	for _, other := range []string{"mx.example.net:587", "mx2.example.net:25"} {
		if h, err := r.Fell(other, false, now); h.Held || err != nil {
			t.Errorf("%s: %+v %v", other, h, err)
		}
	}
	if h, err := r.Fell(mx, false, now.Add(time.Hour)); !h.Held || err != nil || !strings.Contains(h.Why, "it had TLS on ") {
		t.Errorf("%+v %v", h, err)
	}
	if m, _ := r.Memory(mx); !strings.Contains(m.String(), ", none since ") {
		t.Error(m)
	}
	if err := r.Forget(mx); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Memory(mx); m.String() != "nothing" || err != nil {
		t.Errorf("%+v %v", m, err)
	}
	if h, err := r.Fell(mx, false, now); h.Held || err != nil {
		t.Errorf("%+v %v", h, err)
	}
	st, err := os.Stat(filepath.Join(dir, "run", "tls-seen"))
	if err != nil {
		t.Fatal(err)
	}
	size := st.Size()
	for i := range 3000 {
		if err := r.Worked(strings.Repeat("x", i%200)+mx, true, now); err != nil {
			t.Fatal(err)
		}
	}
	if st, _ := os.Stat(filepath.Join(dir, "run", "tls-seen")); st.Size() != size {
		t.Errorf("the file grew from %d to %d octets", size, st.Size())
	}
}

// A file that cannot be used holds no mail, and a broken one is made anew.
func TestBrokenMemory(t *testing.T) {
	r, dir := ratchet(t, nil)
	path := filepath.Join(dir, "run", "tls-seen")
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Worked(mx, false, time.Now()); err != nil {
		t.Fatal(err)
	}
	if h, err := r.Fell(mx, false, time.Now()); !h.Held || err != nil {
		t.Errorf("%+v %v", h, err)
	}
	r, dir = ratchet(t, nil)
	if err := os.Remove(filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	if err := r.Worked(mx, false, time.Now()); err == nil {
		t.Error("there is no directory")
	}
	if h, err := r.Fell(mx, false, time.Now()); h.Held || h.Fault == nil || err != nil {
		t.Errorf("%+v %v", h, err)
	}
	r, _ = ratchet(t, map[string]string{"tls-ratchet": "never\n"})
	if h, err := r.Fell(mx, false, time.Now()); err == nil {
		t.Errorf("a broken setting: %+v", h)
	}
}
