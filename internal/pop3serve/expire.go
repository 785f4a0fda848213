package pop3serve

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// Expirer removes from the trash of every user in control/users what DELE moved
// there longer ago than control/undelete. Each session does so for its own mailbox;
// this is for users who do not log in, and for when the setting is gone: then
// everything that DELE moved there goes. A mailbox that cannot be cleaned stops no
// other.
type Expirer struct {
	Control   *control.Control
	Log       *maillog.Log
	Now       func() time.Time
	AgesCount func() bool // whether the age of what is there may be believed
}

// Run does it once.
func (e *Expirer) Run(ctx context.Context) error {
	window, err := e.Control.Undelete()
	if err != nil {
		return err
	}
	users, err := e.Control.UsersNow()
	if err != nil {
		return err
	}
	if err := spool.CheckMark(control.MailRoot(e.Control.Home())); err != nil {
		return err
	}
	asOwner, err := launchedBy()
	if err != nil {
		return err
	}
	if window > 0 && !e.AgesCount() { // without the setting, age does not matter
		return status.Logged(status.Temp("4.3.0", "the clock was moved, or run/clock was lost: "+
			"for a day nothing is removed for its age (see the log)", nil))
	}
	failed := 0
	for _, u := range users {
		if ctx.Err() != nil {
			return nil
		}
		if err := e.user(asOwner, &u, window); err != nil {
			e.Log.Trouble("", "expire trash", err)
			failed++
		}
	}
	if failed > 0 {
		return status.Logged(status.Temp("4.3.0", "some mailboxes could not be cleaned (see the log)", nil))
	}
	return nil
}

// user cleans the trash of one user, in a process of the owner where that is
// another user of the machine.
func (e *Expirer) user(asOwner *owners, u *control.User, window time.Duration) error {
	root := u.Maildir()
	if asOwner != nil && isForeign(e.Control.Home(), u) {
		return asOwner.expire(pop3.Account{Login: u.Address, Maildir: root}, window, e.Log)
	}
	if err := checkOwner(root); err != nil {
		return err
	}
	return expireTrash(root, e.Now().Add(-window), e.Log)
}

// expireTrash cleans the trash of one mailbox, if it has one.
func expireTrash(root string, before time.Time, log *maillog.Log) error {
	trash, err := maildir.OpenTrash(root, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer trash.Close()
	n, err := trash.Expire(before)
	if n > 0 {
		log.Expired(trash.Path(), n)
	}
	return err
}
