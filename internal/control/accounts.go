package control

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"paperpath/internal/addr"
)

// accountsRow is a row of control/accounts: a domain in which the machine's users have
// mailboxes.
type accountsRow struct {
	least int    // the lowest uid of a person
	box   string // the Maildir, below the home
	known string // an account that there is, "" for none: getent that misses it misses others too
	where string
}

const (
	leastUID    = 1000 // of people, on the Linux systems that we know of
	nobodyUID   = 65534
	usualBox    = "Maildir"
	maxAccount  = 64 // octets of a user's name
	accountForm = "a row is `example.org` or `example.org: minuid=500 maildir=Mail known=bob`"
)

func accountsTable() table[accountsRow] {
	return table[accountsRow]{
		name: "accounts", form: accountForm,
		key: func(text string) string {
			domain, _, _ := strings.Cut(text, ":")
			domain = strings.Trim(domain, " \t")
			if addr.CheckDomain(domain) != nil {
				return ""
			}
			return addr.FoldDomain(domain)
		},
		parse: func(where, text string) ([]entry[accountsRow], error) {
			domain, options, _ := strings.Cut(text, ":")
			domain = strings.Trim(domain, " \t")
			if err := addr.CheckDomain(domain); err != nil {
				return nil, fmt.Errorf("domain %q %w", domain, err)
			}
			r := accountsRow{least: leastUID, box: usualBox, where: where}
			for _, word := range strings.Fields(options) {
				if err := r.option(word); err != nil {
					return nil, err
				}
			}
			return []entry[accountsRow]{{addr.FoldDomain(domain), r}}, nil
		},
	}
}

func accountsFile(c *Control) file[contents[accountsRow]] { return accountsTable().file(c) }

func (r *accountsRow) option(word string) error {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "minuid":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is no user id above 0 (such as minuid=500)", word)
		}
		r.least = int(n)
		return nil
	case "maildir":
		if value == "." || filepath.Clean(value) != value || !filepath.IsLocal(value) {
			return fmt.Errorf("%q is no path below a home (such as maildir=Mail)", word)
		}
		r.box = value
		return nil
	case "known":
		if !isAccountName(value) {
			return fmt.Errorf("%q is no name of an account (such as known=bob)", word)
		}
		r.known = value
		return nil
	}
	return fmt.Errorf("%q (the options are minuid=, maildir= and known=)", word)
}

// Owner returns the mailbox of exactly this address: the row of control/users, else the
// account of that name where control/accounts has the domain. nil without an error means
// that there is none.
func (c *Control) Owner(address string) (*User, error) {
	u, err := c.User(address)
	if u != nil || err != nil {
		return u, err
	}
	u, daemon, err := c.account(address)
	if daemon {
		return nil, err
	}
	return u, err
}

// IsDaemon reports whether an address is that of an account which no person has: one with a
// uid below that of people, or nobody. Cron writes to such accounts, and bounces come back to
// them.
func (c *Control) IsDaemon(address string) (bool, error) {
	_, daemon, err := c.account(address)
	return daemon, err
}

// account looks up the account of an address whose domain control/accounts has.
func (c *Control) account(address string) (u *User, daemon bool, err error) {
	f := accountsFile(c)
	if some, err := mayHave[accountsRow](c, f); !some || err != nil {
		return nil, false, err
	}
	name, domain := addr.Split(addr.FoldAddress(address))
	row, _, err := find[accountsRow](c, f, domain)
	if err == nil && row == nil {
		err = hiddenIn[accountsRow](c, f)
	}
	if row == nil || err != nil {
		return nil, false, err
	}
	a, err := c.passwd(name)
	if a == nil && err == nil {
		err = c.missing(name, row)
	}
	if a == nil || err != nil {
		return nil, false, c.temporary(err)
	}
	u = &User{Address: name + "@" + domain, Account: a.name, Home: filepath.Clean(a.home), UID: a.uid, GID: a.gid,
		Box: row.box, Shell: a.shell, Where: row.where + ", account " + a.name}
	switch {
	case a.uid < row.least || a.uid == nobodyUID || a.uid < 0:
		return nil, true, nil
	case !filepath.IsAbs(a.home) || u.Home == "/":
		return nil, false, failFile("accounts", "account %s has no home: %q", a.name, a.home)
	}
	return u, false, nil
}

// missing is the error of an account that getent does not find, if it does not find one either
// that there is: getent(1) exits alike for a user who is not there and for a directory that is
// away.
func (c *Control) missing(name string, row *accountsRow) error {
	if row.known == "" || !isAccountName(name) {
		return nil
	}
	known, err := c.accounts().fresh(row.known)
	if known == nil && err == nil {
		err = failFile("accounts", "getent does not find the account %s of known= either", row.known)
	}
	if err != nil {
		c.noAccounts.forget(name)
	}
	return err
}

// passwdEntry is what we need of an account.
type passwdEntry struct {
	name, home, shell string
	uid, gid          int
}

// passwdTable reads what getent's answers are made into.
func passwdTable() table[passwdEntry] {
	return table[passwdEntry]{name: "accounts", askable: isAccountName,
		parse: func(_, text string) ([]entry[passwdEntry], error) {
			e, err := parsePasswd(text)
			return []entry[passwdEntry]{{addr.Fold(e.name), e}}, err
		}}
}

// parsePasswd reads a line of passwd(5).
func parsePasswd(text string) (e passwdEntry, err error) {
	f := strings.Split(text, ":")
	if len(f) != 7 {
		return e, errors.New("not the seven fields of passwd(5)")
	}
	e = passwdEntry{name: f[0], home: f[5], shell: f[6]}
	if e.uid, err = parseID("uid", f[2]); err != nil {
		return e, err
	}
	e.gid, err = parseID("gid", f[3])
	if err == nil && (e.uid < 0 || e.gid < 0) {
		err = errors.New("no uid or no gid")
	}
	return e, err
}

// isAccountName reports whether an account can have a name: getent(1) takes a number for a
// uid, and a word with a hyphen in front for an option.
func isAccountName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz_"
	return len(name) <= maxAccount && strings.Trim(name, letters+"0123456789.-") == "" && strings.ContainsAny(name, letters) &&
		name[0] != '-' && name[0] != '.'
}
