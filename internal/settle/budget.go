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
// share in run/bounces; false where it is spent. An error is trouble of our
// own.
func spend(home string, limit int64, now time.Time) (bool, error) {
	f, err := dir.OpenLocked(filepath.Join(home, "run", "bounces"))
	if err != nil {
		return false, fmt.Errorf("bounce budget: %w", err)
	}
	defer f.Close() // and with it the lock goes
	hour := now.Unix() / 3600
	used := readBudget(f, hour)
	if used >= limit {
		return false, nil
	}
	// The same length at each write: a torn line is another hour's, or a
	// number that is off by a little.
	if _, err := f.WriteAt(fmt.Appendf(nil, "%012d %012d\n", hour, used+1), 0); err != nil {
		return false, fmt.Errorf("bounce budget: %w", err)
	}
	return true, nil
}

// readBudget returns how many reports this hour had; whatever else the file
// holds is another hour's.
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
