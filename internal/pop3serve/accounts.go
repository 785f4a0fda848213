package pop3serve

import (
	"fmt"
	"os"
	"path/filepath"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/pop3"
	"paperpath/internal/spool"
)

// accounts is the pop3.Users over control/users: a login is an address, or stands
// for one in the first of control/domains; the mailbox is Maildir/ in the
// user's home, or the folder that the login asks for behind the domain.
type accounts struct {
	auth.Users
}

// newAccounts returns the Users of one session. client is the client's IP address,
// or what it has in the place of one.
func newAccounts(c *control.Control, guard *auth.Guard, client string) pop3.Users {
	return &accounts{auth.Users{Control: c, Guard: guard, Client: client}}
}

// Account is the mailbox of the user who proved who they are.
func (a *accounts) Account(login string) (pop3.Account, error) {
	_, v, err := auth.AddressOf(a.Control, login)
	if err != nil {
		return pop3.Account{}, err
	}
	return accountOf(a.Control, a.User(), v)
}

// accountOf is the mailbox of a user who proved who they are.
func accountOf(c *control.Control, user *control.User, v auth.View) (pop3.Account, error) {
	// The mark first: a volume that is not mounted is no empty mailbox.
	if err := spool.CheckMark(filepath.Join(c.Home(), "mail")); err != nil {
		return pop3.Account{}, err
	}
	a := pop3.Account{Login: user.Address, Maildir: user.Maildir(),
		Folder: v.Folder, ReadOnly: v.ReadOnly, Foreign: isForeign(c.Home(), user)}
	return a, checkOwner(a.Maildir)
}

// isForeign reports whether a mailbox is another user's of the machine: the
// row names one, or the mailbox lies outside mail/.
func isForeign(home string, user *control.User) bool {
	if user.UID >= 0 {
		return user.UID != os.Geteuid()
	}
	return !user.Within(home)
}

// checkOwner keeps a process that is root away from what another user owns, or
// could put in its place: a link of theirs would be read as root. A home that is
// root's throughout (a container) is served.
func checkOwner(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := dir.Trusted(path, 0); err != nil {
		return fmt.Errorf("%w, and pop3d runs as root: start it as that user, or give them spool/ too: %w",
			err, pop3.ErrPermanent)
	}
	return nil
}
