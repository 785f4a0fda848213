package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// Path is the Maildir of a mailbox.
func Path(u *control.User) string { return filepath.Join(u.Home, "Maildir") }

// Prepare returns the Maildir of u, made where it is missing. Below home/mail
// the directories above it are made too; a mailbox elsewhere has an owner's
// directory to be in. Where either looks like a volume that is not mounted
// nothing is made. Every error is temporary.
func Prepare(home string, u *control.User) (string, error) {
	path, inside := Path(u), within(home, u)
	if inside {
		if err := spool.CheckMark(mailRoot(home)); err != nil {
			return "", err
		}
	}
	complete, err := Complete(path)
	if complete || err != nil {
		return path, err
	}
	if !inside {
		if _, err := os.Stat(u.Home); err != nil {
			return "", status.Temp("4.2.0", "no mailbox can be made", fmt.Errorf("%s: %w", u.Where, err))
		}
	}
	if err := maildir.Create(path); err != nil {
		return "", status.Temp("4.2.0", "no mailbox can be made", err)
	}
	return path, nil
}

func mailRoot(home string) string { return filepath.Join(home, "mail") }

// within reports whether u lives below home/mail.
func within(home string, u *control.User) bool {
	return strings.HasPrefix(u.Home, mailRoot(home)+"/")
}

// Complete reports whether path is there with all that a Maildir has.
func Complete(path string) (bool, error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		st, err := os.Lstat(filepath.Join(path, sub))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, status.Temp("4.2.0", "cannot look at the mailbox", err)
		case !st.IsDir():
			return false, status.Temp("4.2.0", "cannot use the mailbox",
				fmt.Errorf("%s is no directory", filepath.Join(path, sub)))
		}
	}
	return true, nil
}
