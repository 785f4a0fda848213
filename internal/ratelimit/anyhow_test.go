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

// anyhow is a table that counts in memory where it must, and what it told.
func anyhow(t *testing.T) (table *Table, told *[]error) {
	t.Helper()
	told = new([]error)
	table = OpenAnyhow(filepath.Join(t.TempDir(), "t"), func(err error) { *told = append(*told, err) })
	t.Cleanup(func() { table.Close() })
	return table, told
}

// threeOf takes four of three.
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

// noWrites has the kernel refuse each write to a file from here on.
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

// A file that is there and can be read, but no longer written, is no hole in a limit.
func TestCountsWhereWritesFail(t *testing.T) {
	table, told := anyhow(t)
	add(t, table, "other")
	if len(*told) > 0 {
		t.Fatal(*told)
	}
	noWrites(t)
	threeOf(t, table)
	if len(*told) == 0 {
		t.Error("nobody was told")
	}
}

// A process that was stopped while it had the file locked holds up nobody for long,
// and the limits go on.
func TestLockedByWhoWasStopped(t *testing.T) {
	table, told := anyhow(t)
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
	if took := time.Since(began); took < lockTime || took > 2*lockTime {
		t.Errorf("it took %v: one waits for all, for %v", took, lockTime)
	}
	if len(*told) == 0 || !errors.Is((*told)[0], dir.ErrLocked) {
		t.Error(*told)
	}
	strict := Open(table.path)
	defer strict.Close()
	for range 2 {
		if err := strict.Update("k", func(e Entry) Entry { return e }); !errors.Is(err, dir.ErrLocked) {
			t.Error(err)
		}
	}
	stopped.Close()
	table.until = time.Now() // a minute later
	if n := count(t, table, "other"); n != 1 {
		t.Errorf("the file is not asked again: %d", n)
	}
}

// A full disk does not end the counting: the file has its room, an older one too.
func TestRoomIsReserved(t *testing.T) {
	table, _ := anyhow(t)
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
