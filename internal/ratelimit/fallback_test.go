package ratelimit

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// withFallback returns a table with a fallback, and the errors that it reported.
func withFallback(t *testing.T) (table *Table, reported *[]error) {
	t.Helper()
	reported = new([]error)
	table = OpenWithFallback(filepath.Join(t.TempDir(), "t"), func(err error) { *reported = append(*reported, err) })
	t.Cleanup(func() { table.Close() })
	return table, reported
}

// threeOf takes four events where three are allowed.
func threeOf(t *testing.T, table *Table) {
	t.Helper()
	rate, now := Rate{Most: 3, Per: time.Hour}, time.Now()
	for i := range 4 {
		full, err := table.Full("k", rate, now)
		ok, wrong := table.Take("k", 1, rate, now)
		if full != (i == 3) || ok != (i < 3) || err != nil || wrong != nil {
			t.Errorf("%d of 3: full %v, taken %v: %v, %v", i+1, full, ok, err, wrong)
		}
	}
}

// noWrites makes the kernel refuse every write to a file from here on.
func noWrites(t *testing.T) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &had); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 16, Max: had.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &had); err != nil {
			t.Fatal(err)
		}
		signal.Reset(unix.SIGXFSZ)
	})
}

// A file that can be read but no longer written does not disable a limit.
func TestCountsWhereWritesFail(t *testing.T) {
	table, reported := withFallback(t)
	add(t, table, "other")
	if len(*reported) > 0 {
		t.Fatal(*reported)
	}
	noWrites(t)
	threeOf(t, table)
	if len(*reported) == 0 {
		t.Error("no error was reported")
	}
}

// A process that was stopped while it held the lock delays nobody for long, and the
// limits stay in force.
func TestLockedByWhoWasStopped(t *testing.T) {
	table, reported := withFallback(t)
	add(t, table, "other")
	stopped, err := os.Open(table.path)
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	if err := unix.Flock(int(stopped.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	threeOf(t, table)
	if took := time.Since(began); took < lockTime || took > 6*lockTime { // all eight calls would take 8*lockTime
		t.Errorf("it took %v: only the first call waits, for %v", took, lockTime)
	}
	if len(*reported) == 0 || !errors.Is((*reported)[0], dir.ErrLocked) {
		t.Error(*reported)
	}
	strict := Open(table.path)
	defer strict.Close()
	for range 2 {
		if err := strict.Update("k", func(e Entry) Entry { return e }); !errors.Is(err, dir.ErrLocked) {
			t.Error(err)
		}
	}
	stopped.Close()
	table.avoidUntil = time.Now() // a minute later
	if n := count(t, table, "other"); n != 1 {
		t.Errorf("the file is not used again: %d", n)
	}
}

// Counting goes on when the disk is full: the file is allocated, an existing one too.
func TestRoomIsReserved(t *testing.T) {
	table, _ := withFallback(t)
	for range 2 {
		add(t, table, "k")
		var st unix.Stat_t
		if err := unix.Stat(table.path, &st); err != nil {
			t.Fatal(err)
		}
		if st.Blocks*512 < fileSize || st.Size != fileSize {
			t.Errorf("%d octets of %d have room", st.Blocks*512, st.Size)
		}
		table.Close()
		if err := os.Truncate(table.path, header); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(table.path, fileSize); err != nil {
			t.Fatal(err)
		}
	}
}
