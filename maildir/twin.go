package maildir

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Untwin takes the names in new/ away whose message is in cur/ too: the same
// file under two names. A power cut leaves that on btrfs, which may keep the
// new name of a file that was moved and forget that the old one went; whoever
// then deletes one name would see the message come back under the other. Only
// names that the last List has left out are looked at.
func (d *Dir) Untwin() error {
	var failed error
	for _, t := range d.twins {
		kept, err := d.cur.StatName(t.cur)
		if err != nil {
			continue // moved on meanwhile
		}
		st, err := d.new.StatName(t.new)
		if err != nil || st.Ino != kept.Ino || st.Dev != kept.Dev || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if err := d.new.Remove(t.new); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	d.twins = nil
	return failed
}

// twin is a message that List has found in both directories.
type twin struct{ new, cur string }
