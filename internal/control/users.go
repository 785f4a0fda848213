package control

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"paperpath/internal/addr"
)

// User is a row of control/users: who may log in, and whose mailbox it is. An account of the
// machine is a User too, without a password.
type User struct {
	Address  string            // as written in the row
	Hash     string            // `{SCHEME}hash`; "" never matches a password
	Home     string            // absolute directory of the owner
	UID, GID int               // -1 if the row has none
	Extra    map[string]string // the extra fields; read-only
	Quota    Quota             // how much the mailbox may hold
	Folders  bool              // an extension names a folder of the mailbox
	Where    string            // "control/users:12"

	Account string // the name of the machine's account; "": it is a row
	Shell   string // of the account
	Box     string // the Maildir below Home; "" is Maildir
}

// Maildir is the path of the user's mailbox.
func (u *User) Maildir() string { return filepath.Join(u.Home, cmp.Or(u.Box, usualBox)) }

// MayLogIn reports whether the user is an account of the machine that has a shell.
func (u *User) MayLogIn() bool {
	switch filepath.Base(u.Shell) {
	case "nologin", "false":
		return false
	}
	return u.Account != ""
}

// userTable is control/users, with what is derived from all its rows.
type userTable struct {
	contents[User]
	check   Program // checks passwords; nil: the rows have the hashes
	schemes []string
	scram   map[ScramCost]int
}

// foldersField is the extra field by which mail for an extension goes into a folder.
const foldersField = "extension_folders"

const checkPrefix = "checkpassword:"

// UsersProgram reports whether control/users names a program, without parsing the
// rows. If the file cannot be read, it names none.
func (c *Control) UsersProgram() bool {
	if now, err := stat(c.path("users")); err == nil && now.size >= storedBytes {
		if db := c.storedNow("users", now); db != nil {
			return len(db.Check) > 0
		}
	}
	f, err := os.OpenFile(c.path("users"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if c.namesProgram(line) {
			return true
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			_, err = in.ReadSlice('\n')
		}
		if err != nil {
			return false
		}
	}
}

// namesProgram reports whether a line of control/users names a program.
func (c *Control) namesProgram(line []byte) bool {
	line = bytes.TrimSpace(line)
	if at := bytes.IndexByte(line, '@'); at >= 0 && at < bytes.IndexByte(line, ':') {
		return false // the row of a user, as nearly all are
	}
	text := string(line)
	argument, ok := strings.CutPrefix(text, checkPrefix)
	if b, rest, is := c.backend(text); is && b.programs {
		argument, ok = rest, true
	}
	_, err := parseProgram(argument)
	return ok && err == nil
}

func usersFile(c *Control) file[userTable] {
	return file[userTable]{name: "users", max: maxTable, required: true,
		parse: func(_ string, data []byte) (userTable, error) { return parseUsers(c, data) },
		stored: &storing[userTable]{
			write: func(lines iter.Seq2[string, bool], to *rowWriter) error { return storeUsers(c, lines, to) },
			open:  func(db *database) (userTable, error) { return storedUsers(c, db) },
		}}
}

// parseUsers reads rows `address:{SCHEME}hash:uid:gid:gecos:home:shell:extra`,
// the syntax of Dovecot's passwd-file.
func parseUsers(c *Control, data []byte) (userTable, error) {
	var t userTable
	contents, err := t.reading(c).readTo(c, eachLine(data), nil)
	t.contents = contents
	return t, err
}

// reading is the table of users; what is read of it is noted in t.
func (t *userTable) reading(c *Control) table[User] {
	rows := usersTable(c.home)
	t.scram = map[ScramCost]int{}
	rows.setting = func(text string) (bool, error) {
		is, err := t.checkLine(text)
		if is && err == nil {
			t.schemes = []string{"CHECKPASSWORD"}
		}
		return is, err
	}
	rows.each = func(u User) {
		if scheme, _, _ := SplitScheme(u.Hash); t.check == nil && !Barred(u.Hash) && !slices.Contains(t.schemes, scheme) {
			t.schemes = append(t.schemes, scheme)
		}
		if cost, ok := scramCost(u.Hash); ok {
			t.scram[cost]++
		}
	}
	return rows
}

// storeUsers writes the users to a database.
func storeUsers(c *Control, lines iter.Seq2[string, bool], to *rowWriter) error {
	var t userTable
	if _, err := t.reading(c).readTo(c, lines, to); err != nil {
		return err
	}
	to.meta.Check, to.meta.Schemes = t.check, t.schemes
	for cost, n := range t.scram {
		to.meta.Scram = append(to.meta.Scram, storedCost{cost.Iterations, cost.Salt, n})
	}
	return nil
}

// storedUsers is the table whose rows are in a database.
func storedUsers(c *Control, db *database) (userTable, error) {
	t := userTable{contents: usersTable(c.home).opened(db), check: db.Check, schemes: db.Schemes, scram: map[ScramCost]int{}}
	for _, s := range db.Scram {
		t.scram[ScramCost{s.Iterations, s.Salt}] = s.Rows
	}
	return t, nil
}

func usersTable(home string) table[User] {
	return table[User]{
		name: "users", required: true,
		form: "a row is `address:{SCHEME}hash:uid:gid::home::`",
		key: func(text string) string {
			address, _, ok := strings.Cut(text, ":")
			if !ok || addr.CheckAddress(address) != nil {
				return ""
			}
			return addr.FoldAddress(address)
		},
		parse: func(where, text string) ([]entry[User], error) {
			u, err := parseUser(home, text)
			u.Where = where
			return []entry[User]{{addr.FoldAddress(u.Address), u}}, err
		},
		askable: func(key string) bool { return addr.CheckAddress(key) == nil },
	}
}

// checkLine parses a line checkpassword:PROGRAM.
func (t *userTable) checkLine(text string) (is bool, err error) {
	rest, is := strings.CutPrefix(text, checkPrefix)
	switch {
	case !is:
		return false, nil
	case t.check != nil:
		return true, errors.New(checkPrefix + " is in the file already")
	}
	t.check, err = parseProgram(rest)
	return true, err
}

func parseUser(home, text string) (u User, err error) {
	f := strings.SplitN(text, ":", 8)
	if len(f) < 2 {
		return u, errors.New("no colon (a row is `address:{SCHEME}hash:uid:gid::home::`)")
	}
	f = append(f, make([]string, 8-len(f))...)
	u.Address, u.Hash = f[0], f[1]
	if err := addr.CheckAddress(u.Address); err != nil {
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
	if u.Extra, err = parseExtra(f[7]); err != nil {
		return u, err
	}
	if word, ok := u.Extra[foldersField]; ok {
		if word != "yes" && word != "no" {
			return u, errors.New(foldersField + " " + strconv.Quote(word) + " is neither yes nor no")
		}
		u.Folders = word == "yes"
	}
	u.Quota, err = parseQuota(u.Extra)
	return u, err
}

// parseID reads a numeric uid or gid; an empty one is -1.
func parseID(what, s string) (int, error) {
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errors.New(what + " " + strconv.Quote(s) + " is not a number")
	}
	return int(n), nil
}

// userHome returns the absolute path for a row's home field: an absolute one stays as
// it is, a relative one is below the Paperpath home, and an empty one means
// mail/DOMAIN/USER.
func userHome(home, address, field string) (string, error) {
	if field == "" {
		local, domain := addr.Split(addr.FoldAddress(address))
		if !PathElement(local) || !PathElement(domain) {
			return "", errors.New("this address cannot be a directory name, so the row needs a home field")
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

// PathElement reports whether s can be the name of a directory as it is: not hidden,
// not too long, without slashes, quotes and control characters.
func PathElement(s string) bool {
	return s != "" && len(s) <= 200 && s[0] != '.' && s[0] != '-' &&
		!strings.ContainsAny(s, "/\\\"") && strings.IndexFunc(s, isControl) < 0 && !strings.Contains(s, "\t")
}

// parseExtra parses `name=value name ...`.
func parseExtra(s string) (map[string]string, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil, nil
	}
	extra := make(map[string]string, len(words))
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		if _, twice := extra[name]; twice || name == "" {
			return nil, errors.New("extra field " + strconv.Quote(w) + " has no name, or the name of another one")
		}
		extra[name] = value
	}
	return extra, nil
}

// User returns the row of exactly this address, ASCII letters folded. nil without an
// error means that there is none.
func (c *Control) User(address string) (*User, error) {
	f := usersFile(c)
	u, _, err := find[User](c, f, addr.FoldAddress(address))
	if u == nil && err == nil {
		err = hiddenIn[User](c, f)
	}
	return u, err
}

// LoginUser is User for a login, where timing must not reveal which users exist. So
// no answer comes from the cache, which has only users that exist; no login waits for
// a table that may still be changing; and a row that cannot be read hides no user:
// LoginsSettled says whether a negative answer can be relied on.
func (c *Control) LoginUser(address string) (*User, error) {
	t, _, err := load(c, usersFile(c))
	if err != nil {
		return nil, err
	}
	u, err := t.fresh(addr.FoldAddress(address))
	return u, c.temporary(err)
}

// LoginsSettled reports whether control/users has not changed for a second and has
// no row that cannot be read, so that a login it does not allow is wrong.
func (c *Control) LoginsSettled() bool {
	s, err := stat(c.path("users"))
	return err == nil && !c.fresh(s) && hiddenIn[User](c, usersFile(c)) == nil
}

// Users returns all rows in the order of the file, without those that are
// broken, and none if a backend has them. It has no default: a missing file is a
// temporary error.
func (c *Control) Users() ([]User, error) {
	return query(c, usersFile(c), func(t userTable) ([]User, bool, error) {
		all := t.list()
		return all, len(all) > 0 || t.asked(), nil
	})
}

// UserNow is User without the wait for a file that may still be changing, for people
// who have just edited it: a mistake there costs no mail.
func (c *Control) UserNow(address string) (*User, error) {
	t, _, err := load(c, usersFile(c))
	if err != nil {
		return nil, err
	}
	u, err := t.row(addr.FoldAddress(address))
	return u, c.temporary(err)
}

// UsersNow is Users without that wait.
func (c *Control) UsersNow() ([]User, error) {
	t, _, err := load(c, usersFile(c))
	if err != nil {
		return nil, err
	}
	return t.list(), nil
}

// FirstUser returns the address of the first row, "" if there is none. A broken row
// before it is a temporary error.
func (c *Control) FirstUser() (string, error) {
	u, err := firstRow[User](c, usersFile(c))
	if u == nil || err != nil {
		return "", err
	}
	return u.Address, nil
}

// UsersWhole reports whether no row of control/users is broken, so that a mailbox
// that no row names belongs to no user.
func (c *Control) UsersWhole() (bool, error) {
	t, _, err := load(c, usersFile(c))
	return err == nil && len(t.broken) == 0, err
}

// SomeUser returns a row, the same one for the same n while the table does not
// change; nil if none is known.
func (c *Control) SomeUser(n uint32) (*User, error) {
	return query(c, usersFile(c), func(t userTable) (*User, bool, error) {
		u := t.some(n)
		return u, u != nil || t.asked(), nil
	})
}

// AsksForUsers reports whether a backend has the rows of control/users.
func (c *Control) AsksForUsers() (bool, error) {
	t, _, err := load(c, usersFile(c))
	return err == nil && t.asked(), err
}

// CheckPassword returns the program that control/users names for checking passwords,
// nil if there is none.
func (c *Control) CheckPassword() (Program, error) {
	t, _, err := load(c, usersFile(c))
	return t.check, err
}

// checkPrograms says why a program in control/users cannot be run.
func (t userTable) checkPrograms() error {
	if err := t.check.check(); err != nil || t.from == nil {
		return err
	}
	return t.from.check()
}
