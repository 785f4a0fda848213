package control

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// AddUser appends a row to control/users. homeField is the row's home, below the
// Paperpath home. It refuses an address that is there already or that no row can
// hold. Every other byte of the file stays.
func (c *Control) AddUser(address, hash, homeField string) error {
	if err := addr.CheckAddress(address); err != nil {
		return refuse("address %q %v", address, err)
	}
	return c.editUsers(address, hash, func(data []byte, u *User) ([]byte, error) {
		if u != nil {
			return nil, refuse("%s is already in %s", address, u.Where)
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			data = append(data, '\n')
		}
		return append(data, address+":"+hash+"::::"+homeField+"::\n"...), nil
	})
}

// SetPassword changes the password field of the row of address.
func (c *Control) SetPassword(address, hash string) error {
	return c.editUsers(address, hash, func(data []byte, u *User) ([]byte, error) {
		if u == nil {
			return nil, NoUser(address)
		}
		return editLine(data, u, func(row string) string {
			f := strings.SplitN(row, ":", 3)
			f[1] = hash
			return strings.Join(f, ":")
		})
	})
}

// DelUser removes the row of address and returns it. The mail stays.
func (c *Control) DelUser(address string) (*User, error) {
	var gone *User
	err := c.editUsers(address, "", func(data []byte, u *User) ([]byte, error) {
		if u == nil {
			return nil, NoUser(address)
		}
		gone = u
		return editLine(data, u, func(string) string { return "" })
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// editUsers replaces the text of control/users with the result of edit, one editor at
// a time. edit gets the row of address, nil if there is none. Afterwards that row
// must have the password field hash; if hash is empty, the row must be gone.
func (c *Control) editUsers(address, hash string, edit func([]byte, *User) ([]byte, error)) error {
	unlock, err := c.lock()
	if err != nil {
		return broken(err)
	}
	defer unlock()
	data, _, err := read(c.path("users"), maxTable)
	if err != nil {
		return failFile("users", "%w", err)
	}
	had, err := c.rowNow(data, address)
	if err != nil {
		return err
	}
	edited, err := edit(bytes.Clone(data), had)
	if err != nil {
		return err
	}
	has, err := c.rowNow(edited, address)
	if err != nil || (has == nil) != (hash == "") || has != nil && has.Hash != hash {
		return refuse("no row of control/users can hold the address %q", address)
	}
	if err := Write(c.path("users"), edited, 0o600); err != nil {
		return broken(fmt.Errorf("write control/users: %w", err))
	}
	return nil
}

// lock locks the directory for one editor. It is not the file that is locked, because
// each edit replaces the file.
func (c *Control) lock() (unlock func(), err error) {
	d, err := os.Open(c.path(""))
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if err == nil {
			return func() { d.Close() }, nil
		}
		if err != unix.EINTR {
			d.Close()
			return nil, fmt.Errorf("lock %s: %w", d.Name(), err)
		}
	}
}

// rowNow returns the row of address in the text of control/users, nil if there is
// none. Broken rows of other users stay as they are; a broken row of address itself,
// and rows that a backend has, are not ours to edit.
func (c *Control) rowNow(data []byte, address string) (*User, error) {
	c.mu.Lock()
	t, err := parseUsers(c, data)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if t.asked() {
		return nil, refuse("control/users looks its users up by %s, so they cannot be edited here", t.from)
	}
	u, err := t.row(addr.FoldAddress(address))
	if err != nil {
		return nil, refuse("%v: correct the row first", err)
	}
	return u, nil
}

// editLine applies edit to the text of u's line; "" removes the line.
func editLine(data []byte, u *User, edit func(string) string) ([]byte, error) {
	_, after, _ := strings.Cut(u.Where, ":")
	n, err := strconv.Atoi(after)
	if err != nil {
		return nil, err
	}
	ls := bytes.SplitAfter(data, []byte("\n"))
	if n > len(ls) {
		return nil, errors.New("the row is gone")
	}
	text, ended := strings.CutSuffix(string(ls[n-1]), "\n")
	text = edit(text)
	if text != "" && ended {
		text += "\n"
	}
	ls[n-1] = []byte(text)
	return bytes.Join(ls, nil), nil
}

func refuse(format string, args ...any) error {
	return &status.Error{Exit: status.Refused, Text: fmt.Sprintf(format, args...)}
}

// NoUser is the error of a change to a user that control/users does not have.
func NoUser(address string) error {
	return &status.Error{Exit: status.NoMailbox,
		Text: fmt.Sprintf("there is no user %q in control/users", address)}
}
