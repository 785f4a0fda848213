package deliver

import (
	"fmt"
	"path/filepath"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// box is where in a mailbox a message goes.
type box struct {
	path   string   // of the Maildir: the mailbox, or a folder of it
	others []string // other Maildirs of it where an attempt before may have put the message

	replies []spool.Notice // what its user is told
}

// boxOf returns where in the mailbox of u an entry goes: into the folder for junk if a check
// found it to be junk, or the user denies its sender, and there is such a folder. Folders
// come and go, so an attempt before may have chosen the other one.
func (s *Stage) boxOf(e *spool.Entry, u *control.User, to addr.Address) (b box, err error) {
	if b.path, err = prepare(s.Home, u); err != nil {
		return b, err
	}
	found, err := authres.Read(e.Results())
	if err != nil {
		return b, fmt.Errorf("read the results: %w", err)
	}
	wish, err := s.wish(e, u)
	if err != nil {
		return b, err
	}
	_, junk := found.Junk()
	folder, err := junkOr(s.Control, s.Home, u, wish, junk)
	if folder == "" && err == nil && (wish == control.Allow || !junk) {
		return folderOf(b, u, to)
	}
	if folder == "" || err != nil {
		return b, err
	}
	b.path, b.others = folder, []string{b.path}
	return b, nil
}

// junkOr returns the folder for a message that is junk or not wanted, "" for one that goes
// where all mail goes. What is not wanted is refused where there is no such folder.
func junkOr(c *control.Control, home string, u *control.User, wish control.Wish, junk bool) (string, error) {
	if wish == control.Allow || !junk && wish != control.Deny {
		return "", nil
	}
	folder, err := junkFolder(c, home, u, nil)
	if folder == "" && err == nil && wish == control.Deny {
		err = route.Unwanted()
	}
	return folder, err
}

// junkFolder returns the Maildir of the folder for junk in the mailbox of u, "" if
// control/junk wants none or the mailbox has none.
func junkFolder(c *control.Control, home string, u *control.User, t *explain.Trail) (string, error) {
	junk, err := c.Junk()
	if err != nil {
		return "", err
	}
	if junk.Folder == "" {
		t.Add("junk", "where all mail goes", "control/junk")
		return "", nil
	}
	p, err := maildirOf(home, u)
	if err != nil {
		return "", err
	}
	p.Rel = filepath.Join(p.Rel, "."+junk.Folder) // Maildir++
	there, err := complete(p, u)
	if err != nil {
		return "", err
	}
	if !there {
		t.Add("junk", "where all mail goes: there is no folder "+junk.Folder, "control/junk")
		return "", nil
	}
	t.Add("junk", "the folder "+junk.Folder, "control/junk")
	return p.Path(), nil
}
