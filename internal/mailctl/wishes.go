package mailctl

import (
	"fmt"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/visible"
)

// Wishes prints which senders a user wants or does not want, with the row that says so.
func (u Users) Wishes(address string) error {
	if err := u.known(address); err != nil {
		return err
	}
	list, err := u.Control.UserRules(address)
	if err != nil {
		return err
	}
	for _, r := range list {
		if _, err := fmt.Fprintf(u.Out, "%-5s %s (%s)\n", r.Wish, visible.Escape(r.Sender), r.Where); err != nil {
			return err
		}
	}
	return nil
}

// Wish writes which senders a user, or with "@domain" all of a domain, wants or does not
// want; control.Indifferent takes senders out.
func (u Users) Wish(address string, wish control.Wish, senders []string) error {
	if err := u.known(address); err != nil {
		return err
	}
	return u.Control.SetWish(address, wish, senders)
}

// known refuses an address that is no user's: the row would be of no use.
func (u Users) known(address string) error {
	if domain, whole := strings.CutPrefix(address, "@"); whole {
		_, local, err := u.Control.IsLocal(domain)
		if err == nil && !local {
			err = refused("%s is not in control/domains", domain)
		}
		return err
	}
	user, err := u.Control.UserNow(address)
	if err == nil && user == nil {
		err = control.NoUser(address)
	}
	return err
}
