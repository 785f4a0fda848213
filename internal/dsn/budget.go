package dsn

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// spend takes one report from the hour's budget, which all processes of a home
// share in run/bounces. The error says that it is spent, or why nobody knows.
func spend(home string, limit int64, now time.Time) error {
	path := filepath.Join(home, "run", "bounces")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o660)
	if err != nil {
		return fmt.Errorf("bounce budget: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("bounce budget: lock %s: %w", path, err)
	}
	hour := now.Unix() / 3600
	used := readBudget(f, hour)
	if used >= limit {
		return fmt.Errorf("the budget of %d bounces an hour is spent (control/limits)", limit)
	}
	// Same length at each write, so that a torn one is read as another hour.
	if _, err := f.WriteAt([]byte(fmt.Sprintf("%012d %012d\n", hour, used+1)), 0); err != nil {
		return fmt.Errorf("bounce budget: %w", err)
	}
	return nil
}

// readBudget returns the reports of this hour; whatever else the file holds is
// another hour's.
func readBudget(f *os.File, hour int64) int64 {
	b := make([]byte, 64)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0
	}
	var when, used int64
	if _, err := fmt.Sscanf(string(b[:n]), "%d %d", &when, &used); err != nil || when != hour || used < 0 {
		return 0
	}
	return used
}
