package control

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// User is a row of control/users: who may log in, and whose mailbox it is.
type User struct {
	Address  string            // as written in the row
	Hash     string            // `{SCHEME}hash`; "" never matches a password
	Home     string            // absolute directory of the owner; the Maildir is Home/Maildir
	UID, GID int               // -1 where the row names none
	Extra    map[string]string // the extra fields; not to be changed
	Where    string            // "control/users:12"
}

// userTable is control/users.
type userTable struct {
	users   []User
	index   map[string]int // folded address to place in users
	schemes []string       // of passwords
	scram   map[ScramCost]int

	exec  Program // is asked instead of rows
	check Program // checks passwords
}

// UsersProgram reports whether a program stands in control/users, without a look
// at the rows. Where the file cannot be read there is none.
func (c *Control) UsersProgram() bool {
	data, _, err := read(c.path("users"), maxTable)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		var t userTable
		if is, err := t.program(string(bytes.TrimSpace(line[:min(len(line), maxLine)]))); is && err == nil {
			return true
		}
	}
	return false
}

func usersFile(home string) file[userTable] {
	return file[userTable]{name: "users", max: maxTable, required: true,
		parse: func(name string, data []byte) (userTable, error) { return parseUsers(home, name, data) }}
}

// parseUsers reads rows `address:{SCHEME}hash:uid:gid:gecos:home:shell:extra`,
// the syntax of Dovecot's passwd-file.
func parseUsers(home, name string, data []byte) (userTable, error) {
	t := userTable{index: map[string]int{}, scram: map[ScramCost]int{}}
	ls, err := lines(name, data)
	if err != nil {
		return t, err
	}
	seen := map[string]int{}
	for _, l := range ls {
		if is, err := t.program(l.text); err != nil {
			return t, fail(name, l.n, "%v", err)
		} else if is {
			continue
		}
		u, err := parseUser(home, l.text)
		if err != nil {
			return t, fail(name, l.n, "%v", err)
		}
		key := FoldAddress(u.Address)
		if err := once(name, seen, key, l.n); err != nil {
			return t, err
		}
		u.Where = where(name, l.n)
		t.index[key] = len(t.users)
		t.users = append(t.users, u)
		if scheme, _, _ := SplitScheme(u.Hash); !Barred(u.Hash) && !slices.Contains(t.schemes, scheme) {
			t.schemes = append(t.schemes, scheme)
		}
		if cost, ok := scramCost(u.Hash); ok {
			t.scram[cost]++
		}
	}
	if t.exec != nil && len(t.users) > 0 {
		return t, failFile(name, "exec: stands instead of rows, and there are both")
	}
	if t.check != nil {
		t.schemes = []string{"CHECKPASSWORD"}
	}
	return t, nil
}

// program reads a line exec:PROGRAM or checkpassword:PROGRAM. No row begins
// like these: an address has an @.
func (t *userTable) program(text string) (is bool, err error) {
	for _, kind := range []struct {
		prefix string
		into   *Program
	}{{"exec:", &t.exec}, {"checkpassword:", &t.check}} {
		rest, ok := strings.CutPrefix(text, kind.prefix)
		if !ok {
			continue
		}
		if *kind.into != nil {
			return true, errors.New(kind.prefix + " stands there already")
		}
		*kind.into, err = parseProgram(rest)
		return true, err
	}
	return false, nil
}

func parseUser(home, text string) (u User, err error) {
	f := strings.SplitN(text, ":", 8)
	if len(f) < 2 {
		return u, errors.New("no colon (a row is `address:{SCHEME}hash:uid:gid::home::`)")
	}
	f = append(f, make([]string, 8-len(f))...)
	u.Address, u.Hash = f[0], f[1]
	if err := CheckAddress(u.Address); err != nil {
		return u, errors.New("address " + strconv.Quote(u.Address) + " " + err.Error())
	}
	if strings.HasPrefix(u.Hash, "{") && !strings.Contains(u.Hash, "}") {
		return u, errors.New("no } after the scheme of the password")
	}
	if u.UID, err = parseID("uid", f[2]); err != nil {
		return u, err
	}
	if u.GID, err = parseID("gid", f[3]); err != nil {
		return u, err
	}
	if u.Home, err = userHome(home, u.Address, f[5]); err != nil {
		return u, err
	}
	u.Extra, err = parseExtra(f[7])
	return u, err
}

// parseID reads a numeric uid or gid; an empty one is -1.
func parseID(what, s string) (int, error) {
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errors.New(what + " " + strconv.Quote(s) + " is no number")
	}
	return int(n), nil
}

// userHome returns the absolute path for a row's home field: absolute as it
// is, else below the Paperpath home, mail/DOMAIN/USER where it is empty.
func userHome(home, address, field string) (string, error) {
	if field == "" {
		local, domain := Split(FoldAddress(address))
		if !PathElement(local) || !PathElement(domain) {
			return "", errors.New("this address makes no directory name, so the row needs a home field")
		}
		return filepath.Join(home, "mail", domain, local), nil
	}
	for _, element := range strings.Split(field, "/") {
		if element == ".." {
			return "", errors.New("home " + strconv.Quote(field) + " has a .. in it")
		}
	}
	if filepath.IsAbs(field) {
		return filepath.Clean(field), nil
	}
	clean := filepath.Clean(field)
	if clean == "." {
		return "", errors.New("home " + strconv.Quote(field) + " is the Paperpath home itself")
	}
	return filepath.Join(home, clean), nil
}

// PathElement reports whether s can be a directory's name as it is: not
// hidden, not too long, no slash, no quote and no control character.
func PathElement(s string) bool {
	return s != "" && len(s) <= 200 && s[0] != '.' && s[0] != '-' &&
		!strings.ContainsAny(s, "/\\\"") && strings.IndexFunc(s, isControl) < 0 && !strings.Contains(s, "\t")
}

// parseExtra reads `name=value name ...`.
func parseExtra(s string) (map[string]string, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil, nil
	}
	extra := make(map[string]string, len(words))
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		if _, twice := extra[name]; twice || name == "" {
			return nil, errors.New("extra field " + strconv.Quote(w) + " has no name, or one that stands there already")
		}
		extra[name] = value
	}
	return extra, nil
}

// User returns the row of exactly this address, ASCII letters folded. nil
// without an error says that there is none.
func (c *Control) User(address string) (*User, error) {
	t, err := query(c, usersFile(c.home), func(t userTable) (userTable, bool) {
		return t, t.exec != nil || t.find(address) != nil
	})
	if err != nil {
		return nil, err
	}
	return c.userIn(t, address)
}

// LoginUser is User for who says to be that user: a program in the place of the
// rows is asked each time. What is remembered are only users that exist, and it
// would be quicker for them. For the same reason nobody waits for a table that
// an editor may be at work on: LoginsSettled says what a negative answer is
// worth.
func (c *Control) LoginUser(address string) (*User, error) {
	t, err := query(c, usersFile(c.home), func(t userTable) (userTable, bool) { return t, true })
	if err != nil {
		return nil, err
	}
	if t.exec != nil {
		return c.lookups.fresh(c.home, t.exec, address)
	}
	return t.find(address), nil
}

// LoginsSettled reports whether control/users has been still for a second, so
// that a login which it does not let in is wrong.
func (c *Control) LoginsSettled() bool {
	s, err := stat(c.path("users"))
	return err == nil && !c.fresh(s)
}

func (c *Control) userIn(t userTable, address string) (*User, error) {
	if t.exec != nil {
		return c.lookups.user(c.home, t.exec, address)
	}
	return t.find(address), nil
}

// Users returns all rows in the order of the file, none where a program stands
// in their place. It has no default: no file is a temporary error.
func (c *Control) Users() ([]User, error) {
	return query(c, usersFile(c.home), func(t userTable) ([]User, bool) {
		return append([]User(nil), t.users...), len(t.users) > 0 || t.exec != nil
	})
}

// UserNow is User without the wait for a file at rest, for people who have
// just edited it: their mistake costs no mail.
func (c *Control) UserNow(address string) (*User, error) {
	t, _, err := load(c, usersFile(c.home))
	if err != nil {
		return nil, err
	}
	return c.userIn(t, address)
}

// UsersNow is Users without the wait for a file at rest.
func (c *Control) UsersNow() ([]User, error) {
	t, _, err := load(c, usersFile(c.home))
	return append([]User(nil), t.users...), err
}
