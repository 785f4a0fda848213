package deliver

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// Prepare returns the Maildir of u, made where it is missing. Below home/mail
// the directories above it are made too; a mailbox elsewhere has an owner's
// directory to be in. Where either looks like a volume that is not mounted, and
// where a directory on the way is another user's, nothing is made. Every error is
// temporary.
func Prepare(home string, u *control.User) (string, error) {
	p, err := maildirOf(home, u)
	if err != nil {
		return "", err
	}
	complete, err := complete(p, u)
	if complete || err != nil {
		return p.Path(), err
	}
	if err := p.Create(); err != nil {
		return "", status.Temp("4.2.0", "no mailbox can be made", fmt.Errorf("%s: %w", u.Where, err))
	}
	return p.Path(), nil
}

// maildirOf returns where the mailbox of u is. It has to be ours: what we write is,
// and in another one's directories they say where it goes.
func maildirOf(home string, u *control.User) (p maildir.Place, err error) {
	p = maildir.Place{Base: u.Home, Rel: "Maildir", UID: os.Geteuid()}
	owner := u.UID
	if u.Within(home) {
		if err := spool.CheckMark(control.MailRoot(home)); err != nil {
			return p, err
		}
		p.Base, p.Rel = control.MailRoot(home), strings.TrimPrefix(u.Maildir(), control.MailRoot(home)+"/")
	} else if owner < 0 {
		var st unix.Stat_t
		if err := unix.Stat(u.Home, &st); err != nil {
			return p, status.Temp("4.2.0", "no mailbox can be made", fmt.Errorf("%s: %s: %w", u.Where, u.Home, err))
		}
		owner = int(st.Uid)
	}
	if owner >= 0 && owner != p.UID {
		return p, status.Temp("4.2.0", "the mailbox is another user's",
			fmt.Errorf("%s: %s belongs to uid %d, and maildeliver runs as uid %d", u.Where, p.Path(), owner, p.UID))
	}
	return p, nil
}

// complete reports whether all of the mailbox at p is there.
func complete(p maildir.Place, u *control.User) (bool, error) {
	there, err := p.Complete()
	if err != nil {
		return false, status.Temp("4.2.0", "cannot use the mailbox", fmt.Errorf("%s: %w", u.Where, err))
	}
	return there, nil
}
