package deliver

import (
	"path/filepath"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/maildir"
)

// box is where in a mailbox a message goes.
type box struct {
	path   string       // of the Maildir: the mailbox, or a folder of it
	dir    *maildir.Dir // the same, if it is open
	others []string     // other Maildirs of it where an attempt before may have put the message
}

// junkOr returns the folder for a message that is junk or not wanted, "" for one that goes
// where all mail goes. What is not wanted is refused where there is no such folder. For a user
// who wants folders it is made.
func junkOr(home string, u *control.User, named func() (string, error), wish control.Wish, junk bool) (string, error) {
	if wish == control.Allow || !junk && wish != control.Deny {
		return "", nil
	}
	name, err := named()
	if err != nil {
		return "", err
	}
	folder, err := junkFolder(name, home, u, nil)
	switch {
	case err != nil:
	case folder != "":
		err = prepareOther(home, u, folder)
	case wish == control.Deny:
		err = route.Unwanted()
	}
	return folder, err
}

// folderForJunk is the name that control/junk has, "" for none.
func folderForJunk(c *control.Control) (string, error) {
	junk, err := c.Junk()
	return junk.Folder, err
}

// junkFolder returns the Maildir of the folder for junk in the mailbox of u, "" if its name is
// "" or the mailbox has none. The user who wants folders has one, perhaps not yet: the others may
// read their mail by POP3, which shows no folders.
func junkFolder(name, home string, u *control.User, t *explain.Trail) (string, error) {
	if name == "" {
		t.Add("junk", "where all mail goes", "control/junk")
		return "", nil
	}
	p, err := maildirOf(home, u)
	if err != nil {
		return "", err
	}
	p.Rel = filepath.Join(p.Rel, "."+name) // Maildir++
	there, err := complete(p, u)
	if err != nil {
		return "", err
	}
	switch {
	case there:
		t.Add("junk", "the folder "+name, "control/junk")
	case u.Folders:
		t.Add("junk", "the folder "+name+", will be created", "control/junk")
	default:
		t.Add("junk", "where all mail goes: there is no folder "+name, "control/junk")
		return "", nil
	}
	return p.Path(), nil
}
