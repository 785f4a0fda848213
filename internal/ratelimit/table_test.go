package ratelimit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is the other process of TestProcesses.
func TestMain(m *testing.M) {
	if path := os.Getenv("RATELIMIT_TEST_FILE"); path != "" {
		t := Open(path)
		for range 200 {
			if err := t.Update("shared", func(e Entry) Entry { e.Count++; return e }); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t *testing.T) *Table {
	t.Helper()
	table := Open(filepath.Join(t.TempDir(), "t"))
	t.Cleanup(func() { table.Close() })
	return table
}

func count(t *testing.T, table *Table, key string) uint64 {
	t.Helper()
	e, err := table.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return e.Count
}

func add(t *testing.T, table *Table, key string) {
	t.Helper()
	if err := table.Update(key, func(e Entry) Entry { e.Count++; return e }); err != nil {
		t.Fatal(err)
	}
}

func TestUpdate(t *testing.T) {
	table := open(t)
	when := time.Unix(1764000000, 5)
	for range 3 {
		add(t, table, "a")
	}
	if err := table.Update("b", func(e Entry) Entry {
		if e != (Entry{}) {
			t.Errorf("new key: %+v", e)
		}
		return Entry{Time: when}
	}); err != nil {
		t.Fatal(err)
	}
	again := Open(table.path) // another process
	defer again.Close()
	if n := count(t, again, "a"); n != 3 {
		t.Errorf("a counts %d", n)
	}
	if e, _ := again.Get("b"); !e.Time.Equal(when) || e.Count != 0 {
		t.Errorf("b is %+v", e)
	}
}

// However many keys there are the file has one size, and a key in use stays.
func TestBounded(t *testing.T) {
	table := open(t)
	add(t, table, "ours")
	for i := range 3 * ways * sets {
		if i%1000 == 0 {
			add(t, table, "ours")
		}
		if i < 4000 || i%7 == 0 {
			add(t, table, fmt.Sprint("192.0.2.", i))
		}
	}
	if n := count(t, table, "ours"); n != 1+(3*ways*sets+999)/1000 {
		t.Errorf("ours counts %d", n)
	}
	if st, err := os.Stat(table.path); err != nil || st.Size() != fileSize {
		t.Errorf("%v, %v", st.Size(), err)
	}
}

// A set forgets what was not used for longest.
func TestOldestGoes(t *testing.T) {
	row := make([]byte, ways*slotSize)
	for i := range ways {
		encode(row[i*slotSize:], bytes.Repeat([]byte{byte(i + 1)}, hashSize), Entry{Count: uint64(i)})
	}
	first := bytes.Repeat([]byte{1}, hashSize)
	if i, found := find(row, first); i != 0 || !found {
		t.Errorf("%d, %v", i, found)
	}
	encode(row, first, Entry{}) // used again
	if i, found := find(row, bytes.Repeat([]byte{99}, hashSize)); i != 1 || found {
		t.Errorf("%d, %v", i, found)
	}
}

func TestProcesses(t *testing.T) {
	table := open(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "RATELIMIT_TEST_FILE="+table.path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		wg.Go(func() {
			for range 200 {
				add(t, table, "shared")
			}
		})
	}
	wg.Wait()
	if n := count(t, table, "shared"); n != 1600 {
		t.Errorf("%d of 1600", n)
	}
}

// What is no table is made one; what is no file is an error; a file that was
// removed is made again.
func TestBroken(t *testing.T) {
	table := open(t)
	for _, text := range []string{"", "x", strings.Repeat("x", fileSize), magic} {
		if err := os.WriteFile(table.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		add(t, table, "a")
		if n := count(t, table, "a"); n != 1 {
			t.Errorf("%.10q: %d", text, n)
		}
	}
	os.Remove(table.path)
	add(t, table, "a")
	if n := count(t, table, "a"); n != 1 {
		t.Errorf("removed: %d", n)
	}
	for _, make := range []func(string) error{
		func(p string) error { return os.Mkdir(p, 0o700) },
		func(p string) error { return os.Symlink("elsewhere", p) },
	} {
		os.Remove(table.path)
		if err := make(table.path); err != nil {
			t.Fatal(err)
		}
		if err := table.Update("a", func(e Entry) Entry { return e }); err == nil {
			t.Error("no error")
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(table.path), "elsewhere")); err == nil {
		t.Error("a link was followed")
	}
}

func TestTake(t *testing.T) {
	table := open(t)
	start := time.Unix(1764000000, 0)
	rate := Rate{Most: 3, Per: time.Minute}
	for i, tt := range []struct {
		after time.Duration
		n     int64
		want  bool
	}{
		{0, 1, true}, {0, 2, true}, {0, 1, false}, {time.Second, 1, false},
		{20 * time.Second, 1, true}, {20 * time.Second, 1, false},
		{time.Minute, 2, true}, {time.Minute, 1, false},
		{time.Hour, 4, false}, {time.Hour, 3, true},
		{30 * time.Minute, 1, false}, // the clock went back: one span, no more
		{31 * time.Minute, 1, true}, {time.Hour + time.Minute, 3, true},
	} {
		ok, err := table.Take("k", tt.n, rate, start.Add(tt.after))
		if ok != tt.want || err != nil {
			t.Errorf("%d: %v, %v", i, ok, err)
		}
	}
	if ok, _ := table.Take("other", 3, rate, start); !ok {
		t.Error("keys are not apart")
	}
	for _, none := range []Rate{{}, {Most: 3}, {Per: time.Hour}} {
		if ok, err := table.Take("k", 1000, none, start); !ok || err != nil {
			t.Errorf("%+v: %v, %v", none, ok, err)
		}
	}
	odd := Rate{Most: 7, Per: time.Second} // no whole nanoseconds each
	for i := range 7 {
		if ok, _ := table.Take("odd", 1, odd, start); !ok {
			t.Errorf("%d of 7 is too much", i+1)
		}
	}
	if ok, _ := table.Take("odd", 1, odd, start); ok {
		t.Error("8 of 7")
	}
}

// Where nothing can be counted nothing is refused.
func TestTakeBroken(t *testing.T) {
	table := Open(filepath.Join(t.TempDir(), "no", "such"))
	if ok, err := table.Take("k", 1, Rate{1, time.Hour}, time.Now()); !ok || err == nil {
		t.Errorf("%v, %v", ok, err)
	}
}
