package pop3serve

import (
	"fmt"
	"os"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/pop3"
	"paperpath/internal/spool"
)

// accounts are the pop3.Users of control/users. A login is an address; a name
// without a domain is one in the first of control/domains. The mailbox is Maildir/
// in the user's home, or the folder that the login names after the domain.
type accounts struct {
	auth.Users
}

// newAccounts returns the users for one session. client is the client's IP address,
// or the kind of its connection where it has none.
func newAccounts(c *control.Control, guard *auth.Guard, client string) pop3.Users {
	return &accounts{auth.Users{Control: c, Guard: guard, Client: client}}
}

// Account returns the mailbox of the user who has logged in.
func (a *accounts) Account(login string) (pop3.Account, error) {
	_, v, err := auth.AddressOf(a.Control, login)
	if err != nil {
		return pop3.Account{}, err
	}
	home, user := a.Control.Home(), a.User()
	// A volume that is not mounted must not look like an empty mailbox.
	if err := spool.CheckMark(control.MailRoot(home)); err != nil {
		return pop3.Account{}, err
	}
	account := pop3.Account{Login: user.Address, Maildir: user.Maildir(),
		Folder: v.Folder, ReadOnly: v.ReadOnly, Foreign: isForeign(home, user)}
	return account, checkOwner(account.Maildir)
}

// isForeign reports whether another user of the machine owns the mailbox: the row
// has another uid, or the mailbox is outside mail/. One that a group of ours shares is ours.
func isForeign(home string, user *control.User) bool {
	if user.SharedBy(home) != 0 {
		return false
	}
	if user.UID >= 0 {
		return user.UID != os.Geteuid()
	}
	return !user.Within(home)
}

// checkOwner keeps a process that runs as root away from what another user owns or
// could replace: it would follow their links as root. A home that belongs to root
// throughout (a container) is served.
func checkOwner(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := dir.Trusted(path, 0); err != nil {
		return fmt.Errorf("%w, and pop3d runs as root: start it as that user, or let them own spool/ too: %w",
			err, pop3.ErrPermanent)
	}
	return nil
}
