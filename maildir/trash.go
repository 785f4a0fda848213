package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/dir"
)

// trashFolder is the Maildir++ folder of deleted messages.
const trashFolder = ".Trash"

// OpenTrash opens the folder Trash of the Maildir root. If it is missing it is made
// with create; without, the error is fs.ErrNotExist.
func OpenTrash(root string, create bool) (*Dir, error) {
	path := filepath.Join(root, trashFolder)
	d, err := Open(path)
	if !create || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if err := Create(path); err != nil {
		return nil, err
	}
	if err := MarkFolder(path); err != nil {
		return nil, err
	}
	return Open(path)
}

// MarkFolder makes the mark of a Maildir++ folder, for programs that deliver into it.
func MarkFolder(path string) error {
	f, err := dir.OpenPath(filepath.Join(path, "maildirfolder"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// MoveToTrash moves a message into trash and adds the time to its name, as P=. It
// keeps its key. Sync of both makes the move durable.
func (d *Dir) MoveToTrash(m *Message, trash *Dir, now time.Time) error {
	return d.retryMoved(m, func() error {
		return d.sub(m.Sub).Rename(m.Name, trash.cur, TrashName(*m, now))
	})
}

// TrashName returns the name that MoveToTrash gives a message. One that was put back by
// hand and is deleted again gets the new time.
func TrashName(m Message, now time.Time) string {
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

// trashedAt returns the time at which MoveToTrash moved a message; ok is false for
// other messages.
func (m Message) trashedAt() (at time.Time, ok bool) {
	for _, a := range strings.Split(m.base(), ",")[1:] {
		if v, is := strings.CutPrefix(a, "P="); is {
			if n := number(v); n > 0 {
				return time.Unix(n, 0), true
			}
		}
	}
	return time.Time{}, false
}

// Expire removes the messages that MoveToTrash moved before a time, and no others:
// what other programs put into the trash is theirs. It returns their number.
func (d *Dir) Expire(before time.Time) (n int, err error) {
	list, err := d.List()
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		if at, ok := m.trashedAt(); !ok || !at.Before(before) {
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
