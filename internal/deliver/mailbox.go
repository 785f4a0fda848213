package deliver

import (
	"fmt"
	"os"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// prepare returns the Maildir of u and creates it if it is missing. Below home/mail the
// directories above it are created too; elsewhere the owner's directory must exist. If
// a volume does not seem to be mounted, or a directory on the way belongs to another
// user, nothing is created. Every error is temporary.
func prepare(home string, u *control.User) (string, error) {
	p, err := maildirOf(home, u)
	if err != nil {
		return "", err
	}
	complete, err := complete(p, u)
	if complete || err != nil {
		return p.Path(), err
	}
	if err := p.Create(); err != nil {
		return "", status.Temp("4.2.0", "cannot create the mailbox", fmt.Errorf("%s: %w", u.Where, err))
	}
	return p.Path(), nil
}

// maildirOf returns where the mailbox of u is. It must belong to us, or to a group of ours: we would write our
// files there, and another owner of the directories decides where they end up.
func maildirOf(home string, u *control.User) (maildir.Place, error) {
	return maildirIn(nil, home, u)
}

// maildirIn is maildirOf for who has perhaps looked at mail/ a moment ago.
func maildirIn(root *mailRoot, home string, u *control.User) (p maildir.Place, err error) {
	p = maildir.Place{Base: u.Home, Rel: strings.TrimPrefix(u.Maildir(), u.Home+"/"), UID: os.Geteuid()}
	if u.Within(home) {
		if p.GID, err = root.look(home); err != nil {
			return p, err
		}
		p.Base = control.MailRoot(home)
		p.Rel = strings.TrimPrefix(u.Maildir(), p.Base+"/")
	}
	owner, _, ours, err := ownerOf(home, u)
	if err != nil {
		return p, err
	}
	if !ours {
		return p, status.Temp("4.2.0", "the mailbox belongs to another user",
			fmt.Errorf("%s: %s belongs to uid %d, and maildeliver runs as uid %d", u.Where, p.Path(), owner, p.UID))
	}
	return p, nil
}

// complete reports whether all directories of the mailbox at p exist.
func complete(p maildir.Place, u *control.User) (bool, error) {
	there, err := p.Complete()
	if err != nil {
		return false, unusable(u, err)
	}
	return there, nil
}

func unusable(u *control.User, err error) error {
	return status.Temp("4.2.0", "cannot use the mailbox", fmt.Errorf("%s: %w", u.Where, err))
}

// prepareOther creates a Maildir that the rules of u name, somewhere in the user's home, if
// it is missing. In the mailbox it is a folder.
func prepareOther(home string, u *control.User, path string) error {
	rel := strings.TrimPrefix(path, u.Home+"/")
	p := maildir.Place{Base: u.Home, Rel: rel, UID: os.Geteuid(), GID: u.SharedBy(home)}
	there, err := complete(p, u)
	if there || err != nil {
		return err
	}
	if err := p.Create(); err != nil {
		return status.Temp("4.2.0", "cannot create the folder", fmt.Errorf("%s: %w", u.Where, err))
	}
	if strings.HasPrefix(path, u.Maildir()+"/.") {
		err = maildir.MarkFolder(path)
	}
	return err
}
