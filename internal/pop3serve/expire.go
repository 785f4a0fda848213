package pop3serve

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// Expire removes from the trash of every user of control/users what DELE
// parked there longer ago than control/undelete. Sessions do it too, each for
// its own mailbox; this is for users who do not come, and for when the setting
// has gone: then all that was parked goes. A mailbox that cannot be cleaned
// stops no other.
func Expire(ctx context.Context, h *home.Home) error {
	window, err := h.Control.Undelete()
	if err != nil {
		return err
	}
	users, err := h.Control.UsersNow()
	if err != nil {
		return err
	}
	if err := spool.CheckMark(control.MailRoot(h.Dir)); err != nil {
		return err
	}
	asOwner, err := launchedBy()
	if err != nil {
		return err
	}
	// Where the setting has gone nothing goes for its age.
	if window > 0 && !h.AgesCount() {
		return status.Temp("4.3.0", "the clock was moved, or run/clock was lost: for a day nothing is removed for its age (see the log)", nil)
	}
	failed := 0
	for _, u := range users {
		if ctx.Err() != nil {
			return nil
		}
		if err := expireOf(h, asOwner, &u, window); err != nil {
			h.Log.Trouble("", "expire trash", err)
			failed++
		}
	}
	if failed > 0 {
		return status.Temp("4.3.0", "some mailboxes could not be cleaned (see the log)", nil)
	}
	return nil
}

// expireOf cleans the trash of one user; where another user of the machine owns
// it, a process of theirs does it.
func expireOf(h *home.Home, asOwner *owners, u *control.User, window time.Duration) error {
	root := u.Maildir()
	if asOwner != nil && isForeign(h.Dir, u) {
		return asOwner.expire(pop3.Account{Login: u.Address, Maildir: root}, window, h.Log)
	}
	if err := checkOwner(root); err != nil {
		return err
	}
	return expireTrash(root, h.Clock.Now().Add(-window), h.Log)
}

// expireTrash cleans the trash of one mailbox, where there is one.
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
