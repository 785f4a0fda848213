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

// A wall clock may be set wrong by years. Everything that is removed because of its age
// would then go at once, so each pass that removes things first compares the wall clock
// with the boot clock.

const (
	maxLead   = time.Hour           // that the wall clock may gain over the boot clock between two passes
	maxAbsent = 30 * 24 * time.Hour // between two passes in different boots
	distrust  = 24 * time.Hour      // on the boot clock: the time during which ages then do not count
)

// Record is the file that a pass leaves in a home.
const Record = "run/clock"

// Ages says whether the age of files can be believed.
type Ages struct {
	Wait  time.Duration // on the boot clock, until it can; 0: it can
	Moved time.Duration // how far the wall clock is ahead, if this pass found that it has moved
	Odd   string        // what the record held, if this pass could not parse it
	// Nameless says why the boot has no id, the first time that it has none: the root
	// directory has no /proc, or not all of it. Each pass then counts as another boot.
	Nameless error
}

// Believed reports whether files may be removed because of their age.
func (a Ages) Believed() bool { return a.Wait == 0 }

// Look compares the time now with the previous pass, which is recorded in run/clock in
// home, and records this one. If the record is lost, for example because run/ is in
// memory, there is nothing to compare with, and ages are not believed. After an error
// nothing may be removed because of its age.
func Look(home string, now time.Time) (Ages, error) {
	b, err := readBoot(bootID)
	if err != nil {
		return Ages{}, fmt.Errorf("read the boot clock: %w", err)
	}
	return look(filepath.Join(home, Record), now, b)
}

// Begin records in a new home that the clock is right. If the boot has no id, the first
// Look says so.
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

// boot is the state of the clock that nobody can set.
type boot struct {
	id       string // of this boot; noID if it has none
	up       time.Duration
	nameless error // why it is noID
}

const (
	bootID = "/proc/sys/kernel/random/boot_id"
	noID   = "-"
	newID  = "new" // in the record of a new home, if there is none
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
	// Records have a fixed length, so one that was written partly does not parse.
	if _, err = f.WriteAt([]byte(record(now, b, a.Wait)), 0); err == nil && len(text) > recordSize {
		err = f.Truncate(recordSize)
	}
	if err != nil {
		return Ages{}, fmt.Errorf("record of the clock: %w", err)
	}
	return a, nil
}

const recordSize = 128

// record formats a pass: the boot id, the wall clock, the boot clock and the time to
// wait, in seconds, in a line of recordSize octets.
func record(now time.Time, b boot, wait time.Duration) string {
	text := fmt.Sprintf("%s %d %d %d", b.id, now.Unix(), b.up/time.Second, (wait+time.Second-1)/time.Second)
	return fmt.Sprintf("%-*s\n", recordSize-1, text)
}

// judge compares this pass with the record of the previous one.
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
	gone := b.up // since another boot at least this much has passed
	ahead := now.Sub(time.Unix(wall, 0))
	most := maxAbsent
	since := b.up - time.Duration(up)*time.Second
	switch {
	case id == b.id && id != noID:
		gone = since
		ahead, most = ahead-gone, maxLead
	case (id == noID || b.id == noID) && since >= 0: // perhaps the same boot: at least this much has passed
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
