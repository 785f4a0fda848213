package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Boxes are Maildirs, DIR/USER/Maildir.
type Boxes struct {
	Dir   string
	Users []string
}

// NewBoxes makes them, owned by uid.
func NewBoxes(dir string, users []string, uid int) (Boxes, error) {
	b := Boxes{dir, users}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return b, err
	}
	for _, user := range users {
		box := b.Maildir(user)
		for _, sub := range []string{"tmp", "new", "cur"} {
			path := filepath.Join(box, sub)
			if err := errors.Join(os.MkdirAll(path, 0o700), os.Chown(path, uid, uid)); err != nil {
				return b, fmt.Errorf("make mailboxes: %w", err)
			}
		}
		if err := errors.Join(os.Chown(box, uid, uid), os.Chown(filepath.Dir(box), uid, uid)); err != nil {
			return b, fmt.Errorf("make mailboxes: %w", err)
		}
	}
	return b, nil
}

// Of are the mailboxes of some of the users.
func (b Boxes) Of(users []string) Boxes { return Boxes{b.Dir, users} }

// old begins the names of messages that were there before.
const old = "old."

// Fill puts n messages, one file under many names, into the mailbox of a user.
func (b Boxes) Fill(user string, n int) error {
	const most = 10000 // names of one file; no file system here allows less
	first := ""
	for i := range n {
		path := filepath.Join(b.new(user), fmt.Sprintf("%s%d", old, i))
		var err error
		if i%most == 0 {
			first, err = path, os.WriteFile(path, []byte("Subject: old\n\nold\n"), 0o600)
		} else {
			err = os.Link(first, path)
		}
		if err != nil {
			return fmt.Errorf("fill a mailbox: %w", err)
		}
	}
	return nil
}

// Maildir is the mailbox of a user.
func (b Boxes) Maildir(user string) string { return filepath.Join(b.Dir, user, "Maildir") }

// new is where new mail of a user lies.
func (b Boxes) new(user string) string { return filepath.Join(b.Maildir(user), "new") }

// Sweep counts the messages in the mailboxes by their Message-ID, and moves them aside. They are
// not removed before the end of the run: for minutes ext4 looks at each inode that was freed
// before it takes another one, which would be most of what the next server seems to do.
// A message of fewer octets than least counts as none. Those of Fill stay.
func (b Boxes) Sweep(least int64) (ids map[string]int, err error) {
	ids = map[string]int{}
	for _, user := range b.Users {
		list, err := os.ReadDir(b.new(user))
		if err != nil {
			return nil, fmt.Errorf("sweep mailboxes: %w", err)
		}
		aside := filepath.Join(b.Dir, user, "aside")
		if err := os.MkdirAll(aside, 0o700); err != nil {
			return nil, fmt.Errorf("sweep mailboxes: %w", err)
		}
		for _, e := range list {
			if strings.HasPrefix(e.Name(), old) {
				continue
			}
			path := filepath.Join(b.new(user), e.Name())
			id, size, err := messageID(path)
			if err != nil {
				return nil, fmt.Errorf("sweep mailboxes: %w", err)
			}
			if size >= least {
				ids[id]++
			}
			if err := os.Rename(path, filepath.Join(aside, e.Name())); err != nil {
				return nil, fmt.Errorf("sweep mailboxes: %w", err)
			}
		}
	}
	return ids, nil
}

// Count looks for messages of at least so many octets, by their Message-ID, and sweeps the mailboxes.
func (b Boxes) Count(res *Result, want []string, least int64) error {
	ids, err := b.Sweep(least)
	if err != nil {
		return err
	}
	for _, id := range want {
		if ids[id] > 0 {
			res.Arrived++
		}
		if ids[id] > 1 {
			res.Twice++
		}
	}
	return nil
}

// messageID is that of the message in a file, and the file's size.
func messageID(path string) (id string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	head := make([]byte, 8<<10) // more than any header here
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	_, rest, _ := bytes.Cut(head[:n], []byte("\nMessage-ID: <"))
	word, _, _ := bytes.Cut(rest, []byte(">"))
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	return string(word), info.Size(), nil
}
