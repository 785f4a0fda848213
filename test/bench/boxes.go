package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Maildir is the mailbox of a user.
func (b Boxes) Maildir(user string) string { return filepath.Join(b.Dir, user, "Maildir") }
