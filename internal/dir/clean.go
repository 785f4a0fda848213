package dir

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// CleanAge is the age at which a draft in tmp/ counts as abandoned. Writers give up
// long before (an SMTP session lasts 24 hours at most).
const CleanAge = 36 * time.Hour

// Abandoned reports whether a draft has not changed for CleanAge. The ctime decides:
// the mtime may be one that the file is meant to have.
func Abandoned(st unix.Stat_t, now time.Time) bool {
	return now.Sub(time.Unix(st.Ctim.Unix())) > CleanAge
}

// Clean removes the abandoned drafts of a tmp/ directory. now is the machine's clock,
// which the file system's times are taken from, read before ages is called. ages is
// called only if there are abandoned drafts and says whether their age can be believed
// (nil: it can): when the clock steps forward, a draft that was just written looks old.
// What keep (nil: nothing) is true of is no draft and stays.
func (d *Dir) Clean(now time.Time, ages func() bool, keep func(name string) bool) error {
	var old []string
	err := d.Names(func(name string) bool {
		st, err := d.StatName(name)
		if err == nil && Kind(st) == "" && Abandoned(st, now) && (keep == nil || !keep(name)) {
			old = append(old, name)
		}
		return true
	})
	if len(old) > 0 && ages != nil && !ages() {
		return err
	}
	for _, name := range old {
		if gone := d.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
