package maildir

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	gomaildir "github.com/emersion/go-maildir"
)

// trashFolder is the Maildir++ folder of deleted messages.
const trashFolder = ".Trash"

// OpenTrash opens the folder Trash of the Maildir root. If it is missing it is made
// with create; without, the error is fs.ErrNotExist.
func OpenTrash(root string, create bool) (*Dir, error) { return OpenFolder(root, trashFolder, create) }

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

// trashedAt returns the time at which MoveToTrash moved the message that has a name up to the
// colon; ok is false for other messages.
func trashedAt(base string) (at time.Time, ok bool) {
	for _, a := range strings.Split(base, ",")[1:] {
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
	if d.cur.Fd() < 0 {
		return 0, nil
	}
	walked := d.library().Walk(func(m *gomaildir.Message) error {
		if at, ok := trashedAt(m.Key()); !ok || !at.Before(before) {
			return nil
		}
		gone := m.Remove()
		if gone == nil {
			n++
		} else if !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return nil
	})
	return n, errors.Join(err, unreadable(walked))
}

// library is the Maildir for go-maildir, which works by path: this one leads to the directory
// that is open, whatever has taken its place meanwhile.
func (d *Dir) library() gomaildir.Dir {
	if open := "/proc/self/fd/" + strconv.Itoa(d.self.Fd()); exists(open) {
		return gomaildir.Dir(open)
	}
	return gomaildir.Dir(d.path)
}

// unreadable is what remains of the error of a walk without the names that are not those of
// messages with flags, which other programs may leave: the walk passes over them.
func unreadable(err error) error {
	var name *gomaildir.MailfileError
	var flag *gomaildir.FlagError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest error
		for _, e := range joined.Unwrap() {
			if !errors.As(e, &name) && !errors.As(e, &flag) {
				rest = errors.Join(rest, e)
			}
		}
		return rest
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
