package settle

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"paperpath/internal/dir"
)

// spend takes one report from the hour's budget, which all processes of a home
// share in run/bounces; false where none is left. An error is a local fault.
func spend(home string, limit int64, now time.Time) (bool, error) {
	f, err := dir.OpenLocked(filepath.Join(home, "run", "bounces"))
	if err != nil {
		return false, fmt.Errorf("bounce budget: %w", err)
	}
	defer f.Close() // releases the lock
	hour := now.Unix() / 3600
	used := readBudget(f, hour)
	if used >= limit {
		return false, nil
	}
	// Every write has the same length, so a torn line is that of another hour, or
	// its number is slightly wrong.
	if _, err := f.WriteAt(fmt.Appendf(nil, "%012d %012d\n", hour, used+1), 0); err != nil {
		return false, fmt.Errorf("bounce budget: %w", err)
	}
	return true, nil
}

// readBudget returns how many reports were sent in this hour; any other content
// of the file counts as another hour's.
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
