package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"paperpath/internal/addr"
)

// containerID matches the hostname of a container that was given no name.
var containerID = regexp.MustCompile(`^([0-9a-f]{12}|[0-9a-f]{64})(\.|$)`)

// checkHostname warns of a hostname that other hosts cannot know.
func (c *Control) checkHostname(r *Report) {
	host, err := c.Hostname()
	if err != nil {
		return
	}
	const mend = "set it to this host's name in the DNS, such as mx.example.org"
	line := 0
	if ls := c.fileLines("hostname"); len(ls) > 0 {
		line = ls[0].n
	}
	switch {
	case containerID.MatchString(host):
		r.warn("hostname", line, fmt.Sprintf("%q looks like the id of a container", host), mend)
	case !strings.Contains(host, "."), strings.HasPrefix(host, "localhost."):
		r.warn("hostname", line, fmt.Sprintf("%q is not fully qualified", host), mend)
	}
}

// maxAlike is how many rows with the same fault Check names.
const maxAlike = 20

// checkReached warns of users whom mail cannot reach, or has not reached yet.
func (c *Control) checkReached(r *Report) {
	users, err := c.UsersNow()
	if err != nil {
		return
	}
	some := len(c.fileLines("domains")) > 0
	apart, empty := 0, 0
	for _, u := range users {
		line := 0
		fmt.Sscanf(u.Where, "control/users:%d", &line)
		_, domain := addr.Split(u.Address)
		if where, err := c.localNow(domain); some && where == "" && err == nil {
			if apart++; apart <= maxAlike {
				r.warn("users", line, fmt.Sprintf("%s gets no mail: %s is not in control/domains",
					u.Address, domain),
					"add the domain there, or remove the user")
			}
		}
		if lacksMailbox(u.Home) {
			if empty++; empty <= maxAlike {
				r.warn("users", line, fmt.Sprintf("the home of %s is empty: %s has no Maildir",
					u.Address, u.Home),
					"below mail/ the first delivery makes it")
			}
		}
	}
	if n := max(apart-maxAlike, 0) + max(empty-maxAlike, 0); n > 0 {
		r.warn("users", 0, fmt.Sprintf("%d more rows like these", n), "")
	}
}

// checkWishes warns of rows of control/user-checks that are about nobody.
func (c *Control) checkWishes(r *Report) {
	t, _, err := load(c, userChecksFile(c))
	users, _, wrong := load(c, usersFile(c))
	if err != nil || wrong != nil || users.from != nil { // a program knows who has a mailbox
		return
	}
	more := 0
	t.eachRow(func(key string, row userRow) {
		local, domain := addr.Split(key)
		where, err := c.localNow(domain)
		what := ""
		if where == "" && err == nil {
			what = domain + " is not in control/domains"
		} else if u, err := users.row(key); local != "" && u == nil && err == nil {
			what = key + " is not in control/users"
		}
		if what == "" {
			return
		}
		if more++; more <= maxAlike {
			line := 0
			fmt.Sscanf(row.where, "control/user-checks:%d", &line)
			r.warn("user-checks", line, "the row is about nobody: "+what, "correct or remove it")
		}
	})
	if more > maxAlike {
		r.warn("user-checks", 0, fmt.Sprintf("%d more rows like these", more-maxAlike), "")
	}
}

// lacksMailbox reports whether there is certainly no Maildir in home.
func lacksMailbox(home string) bool {
	_, err := os.Stat(filepath.Join(home, "Maildir"))
	return errors.Is(err, fs.ErrNotExist)
}

// checkSecret warns of a file that every user of the machine can read.
func (c *Control) checkSecret(r *Report, name string) {
	if OthersRead(c.path(name)) {
		r.warn(name, 0, "every user of this machine can read it", "chmod o-r "+c.path(name))
	}
}

// OthersRead reports whether every user of the machine can read path: its mode allows
// that, and so does the mode of each directory above it.
func OthersRead(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o004 == 0 {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// fileLines returns the lines of a file that begin a row, if it can be read: for
// Check, which does not wait for the file to settle.
func (c *Control) fileLines(name string) []line {
	data, _, err := read(c.path(name), maxTable)
	if err != nil {
		return nil
	}
	return rowLines(data)
}
