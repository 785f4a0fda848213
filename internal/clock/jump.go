package clock

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// A wall clock may be set wrong, by years. Whatever is removed for its age would
// then be removed all at once, so each pass that removes such things first asks
// whether the wall clock has gone as the boot clock has.

const (
	maxLead   = time.Hour           // of the wall clock over the boot clock, from one pass to the next
	maxAbsent = 30 * 24 * time.Hour // between two passes of different boots
	distrust  = 24 * time.Hour      // by the boot clock, for which ages then do not count
)

// Record is the file that a pass leaves in a home.
const Record = "run/clock"

// Ages says whether the age of things is to be believed.
type Ages struct {
	Wait  time.Duration // by the boot clock, until it is; 0: it is
	Moved time.Duration // how far the wall clock is ahead, where this pass found that it has moved
	Odd   string        // what the record held where this pass could not read it
	// Nameless says why the boot has no name, the first time that it has none: in a
	// root directory without /proc, or with little of it. Each pass then counts as
	// one of another boot.
	Nameless error
}

// Believed reports whether things may be removed for their age.
func (a Ages) Believed() bool { return a.Wait == 0 }

// Found reports whether it is this pass that found a reason to wait.
func (a Ages) Found() bool { return a.Moved > 0 || a.Odd != "" }

// Look compares the time now with the pass before, of which run/clock in home
// tells, and notes this one there. A home that has lost the record, with run/ in
// memory for one, has nothing to compare the clock with: it is not believed. On an
// error nothing is to be removed for its age.
func Look(home string, now time.Time) (Ages, error) {
	b, err := readBoot(bootID)
	if err != nil {
		return Ages{}, fmt.Errorf("read the boot clock: %w", err)
	}
	return look(filepath.Join(home, Record), now, b)
}

// Begin notes in a new home that the clock is right. Where the boot has no name it
// is the first Look that tells so.
func Begin(home string, now time.Time) error {
	b, err := readBoot(bootID)
	if err != nil {
		return fmt.Errorf("read the boot clock: %w", err)
	}
	return begin(filepath.Join(home, Record), now, b)
}

func begin(path string, now time.Time, b boot) error {
	if b.nameless != nil {
		b.id = newID
	}
	f, err := dir.OpenLocked(path)
	if err == nil {
		defer f.Close()
		_, err = f.WriteAt([]byte(record(now, b, 0)), 0)
	}
	if err != nil {
		return fmt.Errorf("record of the clock: %w", err)
	}
	return nil
}

// boot is the clock that no one can set.
type boot struct {
	id       string // of this boot, or noID
	up       time.Duration
	nameless error // why it is noID
}

const (
	bootID = "/proc/sys/kernel/random/boot_id"
	noID   = "-"
	newID  = "new" // in a new home's record, where there is none
)

func readBoot(path string) (boot, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return boot{}, fmt.Errorf("clock_gettime: %w", err)
	}
	id, err := os.ReadFile(path)
	b := boot{strings.TrimSpace(string(id)), time.Duration(ts.Nano()), err}
	if err == nil && b.id == "" {
		b.nameless = fmt.Errorf("%s is empty", path)
	}
	if b.nameless != nil {
		b.id = noID
	}
	return b, nil
}

func look(path string, now time.Time, b boot) (Ages, error) {
	f, err := dir.OpenLocked(path)
	if err != nil {
		return Ages{}, fmt.Errorf("record of the clock: %w", err)
	}
	defer f.Close() // and with it the lock goes
	text, err := io.ReadAll(io.LimitReader(f, 2*recordSize))
	if err != nil {
		return Ages{}, fmt.Errorf("record of the clock: %w", err)
	}
	a := judge(string(text), now, b)
	// The same length at each write: a torn record is one that cannot be read.
	if _, err = f.WriteAt([]byte(record(now, b, a.Wait)), 0); err == nil && len(text) > recordSize {
		err = f.Truncate(recordSize)
	}
	if err != nil {
		return Ages{}, fmt.Errorf("record of the clock: %w", err)
	}
	return a, nil
}

const recordSize = 128

// record is a pass: the boot, the wall clock, the boot clock and the time to
// wait, in seconds, in a line of recordSize octets.
func record(now time.Time, b boot, wait time.Duration) string {
	text := fmt.Sprintf("%s %d %d %d", b.id, now.Unix(), b.up/time.Second, (wait+time.Second-1)/time.Second)
	return fmt.Sprintf("%-*s\n", recordSize-1, text)
}

// judge compares this pass with the record of the one before.
func judge(text string, now time.Time, b boot) Ages {
	var id string
	var wall, up, wait int64
	_, err := fmt.Sscanf(text, "%s %d %d %d\n", &id, &wall, &up, &wait)
	if err != nil || len(text) != recordSize || wait < 0 || wait > int64(distrust/time.Second) {
		odd := "nothing, or was lost"
		if text != "" {
			odd = fmt.Sprintf("%.40q", text)
		}
		return Ages{Wait: distrust, Odd: odd, Nameless: b.nameless}
	}
	gone := b.up // of another boot there was at least this much
	ahead := now.Sub(time.Unix(wall, 0))
	most := maxAbsent
	since := b.up - time.Duration(up)*time.Second
	switch {
	case id == b.id && id != noID:
		gone = since
		ahead, most = ahead-gone, maxLead
	case (id == noID || b.id == noID) && since >= 0: // perhaps the same boot: this much at least
		gone = since
	}
	a := Ages{Wait: max(time.Duration(wait)*time.Second-max(gone, 0), 0)}
	if id != noID {
		a.Nameless = b.nameless
	}
	if ahead > most {
		a.Wait, a.Moved = distrust, ahead.Truncate(time.Second)
	}
	return a
}
