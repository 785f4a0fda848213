package mailctl

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
	"paperpath/maildir"
)

// Users edits control/users of a home.
type Users struct {
	Home    string
	Control *control.Control
	Out     io.Writer
	Notes   io.Writer // what a person should know
}

// check refuses a home that is missing, incomplete or not mounted.
func (u Users) check() error {
	for _, part := range []string{"spool", "mail"} {
		if err := spool.CheckMark(filepath.Join(u.Home, part)); err != nil {
			return err
		}
	}
	return nil
}

// Add makes the user address with its Maildir. The password is asked for only when
// everything else is right. The row is written last, so that anyone who can log in
// has a mailbox.
func (u Users) Add(address, scheme string, password func() (string, error)) error {
	if err := u.check(); err != nil {
		return err
	}
	if err := addr.CheckAddress(address); err != nil {
		return refused("address %q %v (ADDRESS is user@domain)", address, err)
	}
	if err := u.checkNew(address); err != nil {
		return err
	}
	home, err := homeField(address)
	if err != nil {
		return err
	}
	hash, err := hashed(scheme, password)
	if err != nil {
		return err
	}
	box := (&control.User{Home: filepath.Join(u.Home, home)}).Maildir()
	if exists(box) {
		fmt.Fprintf(u.Notes, "%s exists already: its mail now belongs to %s\n", visible.Escape(home),
			visible.Escape(address))
	}
	root := control.MailRoot(u.Home)
	place := maildir.Place{Base: root, UID: os.Geteuid(), GID: control.MailGroup(u.Home), Rel: strings.TrimPrefix(box, root+"/")}
	if err := place.Create(); err != nil {
		return status.Temp("4.3.0", "cannot make the mailbox of "+address, err)
	}
	return u.Control.AddUser(address, hash, home)
}

// checkNew refuses a domain that is not local and an address that already exists.
func (u Users) checkNew(address string) error {
	_, domain := addr.Split(address)
	_, local, err := u.Control.IsLocal(domain)
	if err != nil {
		return err
	}
	if !local {
		return refused("%s is not in control/domains (echo %s >>%s)", domain, domain,
			filepath.Join(u.Home, "control", "domains"))
	}
	old, err := u.Control.UserNow(address)
	if err != nil {
		return err
	}
	if old != nil {
		return refused("%s is already in %s (mailctl user passwd changes the password)", old.Address,
			old.Where)
	}
	return nil
}

// homeField returns the directory of a new user, below the home.
func homeField(address string) (string, error) {
	local, domain := addr.Split(addr.FoldAddress(address))
	// A row that began with # would be a comment.
	if !control.PathElement(local) || !control.PathElement(domain) ||
		strings.ContainsAny(local+domain, ": ") || local[0] == '#' {
		return "", refused("address %q cannot be a directory name", address)
	}
	return filepath.Join("mail", domain, local), nil
}

func hashed(scheme string, password func() (string, error)) (string, error) {
	text, err := password()
	if err != nil {
		return "", err
	}
	return auth.Hash(scheme, text)
}

// Passwd changes the password of address.
func (u Users) Passwd(address, scheme string, password func() (string, error)) error {
	if err := u.check(); err != nil {
		return err
	}
	old, err := u.Control.UserNow(address)
	if err != nil {
		return err
	}
	if old == nil {
		return control.NoUser(address)
	}
	hash, err := hashed(scheme, password)
	if err != nil {
		return err
	}
	return u.Control.SetPassword(address, hash)
}

// Del removes the user address. The mail stays unless purge is set.
func (u Users) Del(address string, purge bool) error {
	if err := u.check(); err != nil {
		return err
	}
	if purge {
		if err := u.mayPurge(address); err != nil {
			return err
		}
	}
	postmaster, err := u.Control.Postmaster()
	if err != nil {
		postmaster = "" // a broken file: mailctl check says so
	}
	gone, err := u.Control.DelUser(address)
	if err != nil {
		return err
	}
	u.noteWhatLedTo(gone.Address, postmaster)
	if !purge {
		fmt.Fprintf(u.Notes, "the mail stays in %s (--purge removes it)\n",
			visible.Escape(u.shown(gone.Home)))
		return nil
	}
	if err := os.RemoveAll(gone.Home); err != nil {
		return status.Temp("4.3.0",
			gone.Address+" is no longer a user, but some of the mail is still there", err)
	}
	return nil
}

// noteWhatLedTo tells what mail came to the user who is gone by other names: postmaster's,
// where they were the one before, and that of aliases.
func (u Users) noteWhatLedTo(gone, postmaster string) {
	if addr.FoldAddress(gone) == addr.FoldAddress(postmaster) {
		switch now, err := u.Control.Postmaster(); {
		case err != nil:
		case now == "":
			fmt.Fprintln(u.Notes, "warning: mail for postmaster, abuse and root has no mailbox now (add a user, or name one in control/postmaster)")
		case now == postmaster:
			fmt.Fprintf(u.Notes, "warning: control/postmaster still names %s (name another user there)\n", visible.Escape(gone))
		default:
			fmt.Fprintf(u.Notes, "warning: mail for postmaster, abuse and root goes to %s now (control/postmaster can name another user)\n",
				visible.Escape(now))
		}
	}
	for _, f := range route.AliasesTo(u.Control, gone) {
		fmt.Fprintln(u.Notes, "warning: "+f.String())
	}
}

// mayPurge refuses to remove a directory that does not belong to one user alone.
func (u Users) mayPurge(address string) error {
	user, err := u.Control.UserNow(address)
	if err != nil {
		return err
	}
	if user == nil {
		return control.NoUser(address)
	}
	rel, err := filepath.Rel(control.MailRoot(u.Home), user.Home)
	if err != nil || !filepath.IsLocal(rel) || !strings.Contains(rel, "/") {
		return refused("%s is not a directory mail/DOMAIN/USER: remove it yourself, and the user without --purge", u.shown(user.Home))
	}
	if whole, err := u.Control.UsersWhole(); err != nil {
		return err
	} else if !whole {
		return refused("a row of control/users is broken, and its mailbox may be there too: correct it first")
	}
	all, err := u.Control.UsersNow()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Where != user.Where && (below(other.Home, user.Home) || below(user.Home, other.Home)) {
			return refused("%s is also the mailbox of %s: remove the user without --purge",
				u.shown(user.Home), other.Address)
		}
	}
	return nil
}

// below reports whether path is parent or inside it.
func below(path, parent string) bool {
	rel, err := filepath.Rel(parent, path)
	return err == nil && filepath.IsLocal(rel)
}

// shown is a path as people see it: relative to the home if it is inside it.
func (u Users) shown(path string) string {
	if rel, err := filepath.Rel(u.Home, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// List prints address and directory, and `no password` if no password matches.
func (u Users) List() error {
	if err := u.check(); err != nil {
		return err
	}
	all, err := u.Control.UsersNow()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(u.Out, 0, 8, 2, ' ', 0)
	for _, user := range all {
		note := ""
		if auth.Barred(user.Hash) {
			note = "\tno password"
		}
		fmt.Fprintf(w, "%s\t%s%s\n", visible.Escape(user.Address), visible.Escape(u.shown(user.Home)), note)
	}
	return w.Flush()
}

func refused(format string, args ...any) error {
	return &status.Error{Exit: status.Refused, Text: fmt.Sprintf(format, args...)}
}
