package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/dir"
)

// trashFolder is the Maildir++ folder of what was deleted.
const trashFolder = ".Trash"

// OpenTrash opens the folder Trash of the Maildir root. With create it is made
// where it is missing; else the error is fs.ErrNotExist.
func OpenTrash(root string, create bool) (*Dir, error) {
	path := filepath.Join(root, trashFolder)
	d, err := Open(path)
	if !create || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if err := Create(path); err != nil {
		return nil, err
	}
	// The mark of a Maildir++ folder, for programs that deliver into it.
	f, err := dir.OpenPath(filepath.Join(path, "maildirfolder"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	return Open(path)
}

// Park moves a message into trash and notes in its name, as P=, when. The key
// stays. Sync of both makes it durable.
func (d *Dir) Park(m *Message, trash *Dir, now time.Time) error {
	return d.again(m, func() error {
		return d.sub(m.Sub).Rename(m.Name, trash.cur, ParkedName(*m, now))
	})
}

// ParkedName is the name that Park gives a message. A message that was put back by hand, and
// deleted again, has another time from then on.
func ParkedName(m Message, now time.Time) string {
	var attrs []string
	for _, a := range strings.Split(m.base(), ",") {
		if !strings.HasPrefix(a, "P=") {
			attrs = append(attrs, a)
		}
	}
	info := m.info()
	if info == "" {
		info = ":2,"
	}
	return strings.Join(attrs, ",") + ",P=" + strconv.FormatInt(now.Unix(), 10) + info
}

// parkedAt is when a message was parked; ok is false for one that was not.
func (m Message) parkedAt() (at time.Time, ok bool) {
	for _, a := range strings.Split(m.base(), ",")[1:] {
		if v, is := strings.CutPrefix(a, "P="); is {
			if n := number(v); n > 0 {
				return time.Unix(n, 0), true
			}
		}
	}
	return time.Time{}, false
}

// Expire removes what was parked before a time, and nothing else: what other
// programs put into the trash is theirs. It returns how many there were.
func (d *Dir) Expire(before time.Time) (n int, err error) {
	list, err := d.List()
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		if at, parked := m.parkedAt(); !parked || !at.Before(before) {
			continue
		}
		gone := d.sub(m.Sub).Remove(m.Name)
		if gone == nil {
			n++
		} else if !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return n, err
}

// Weight is how much of a Maildir++ quota a message takes, in octets; 0 where
// nobody keeps count or the message does not count.
func (d *Dir) Weight(m *Message) int64 {
	switch {
	case strings.Contains(m.Flags, "T"):
		return 0
	case m.Size >= 0:
		return m.Size
	}
	st, err := d.sub(m.Sub).StatName(m.Name)
	if err != nil {
		return 0
	}
	return st.Size
}

// Counted reports whether a program keeps a Maildir++ quota of the Maildir
// root, in the file maildirsize.
func Counted(root string) bool {
	st, err := os.Lstat(filepath.Join(root, sizeFile))
	return err == nil && st.Mode().IsRegular()
}

const sizeFile = "maildirsize"

// Discount tells the Maildir++ quota of the Maildir root that n messages of so
// many octets are gone: a line more, as the format wants it.
func Discount(root string, octets int64, n int) error {
	f, err := dir.OpenPath(filepath.Join(root, sizeFile), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %d\n", -octets, -n)
	return errors.Join(err, f.Close())
}
