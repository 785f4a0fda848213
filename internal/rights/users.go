package rights

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// SystemUser is the user that owns a home which serves the whole machine, and the group that all
// programs of such a home are in: it has the entries and the settings.
const SystemUser = "paperpath"

// The further groups of a home that has a user for each program. What keeps a program out is
// a directory, or a file, of a group that its user is not in.
const (
	GroupSpool = "ppspool" // passes through spool/
	GroupMail  = "ppmail"  // passes through mail/
	GroupUsers = "ppusers" // reads control/users, which has password hashes
	GroupTLS   = "pptls"   // reads control/tls, which has keys
)

// ProgramGroups are these groups.
func ProgramGroups() []string { return []string{GroupSpool, GroupMail, GroupUsers, GroupTLS} }

// ProgramUser is the user of a program, where each has its own.
type ProgramUser struct {
	Program string
	Name    string
	Groups  []string // beside SystemUser
}

// ProgramUsers are the users of all programs; mailctl is that of the home's owner, who is in
// all groups.
func ProgramUsers() []ProgramUser {
	return []ProgramUser{
		{"mailctl", SystemUser, ProgramGroups()},
		{"mailsubmit", "ppsubmit", []string{GroupSpool, GroupUsers, GroupTLS}},
		{"mailcheck", "ppcheck", []string{GroupSpool}},
		{"mailroute", "pproute", []string{GroupSpool, GroupMail, GroupUsers}},
		{"maildeliver", "ppdeliver", []string{GroupSpool, GroupMail, GroupUsers}},
		{"mailrelay", RelayUser, []string{GroupSpool}},
		{"pop3d", "pppop3", []string{GroupMail, GroupUsers, GroupTLS}},
	}
}

// RelayUser is the user of mailrelay: control/dkim and control/relay-logins are its own.
const RelayUser = "pprelay"

// User is a user of the machine, with all that a process of it has.
type User struct {
	UID, GID int
	Groups   []int // GID first
}

// HasUsers reports whether the home has a user for each program: spool/ is of the group that
// only mailctl init gives it.
func (p *Place) HasUsers() bool {
	_, gid, ok := p.SpoolOwner()
	if !ok {
		return false
	}
	g, err := user.LookupGroup(GroupSpool)
	return err == nil && g.Gid == strconv.Itoa(gid)
}

// User returns the user that a program started as root has to become: its own where the home
// has a user for each program, else the owner (see Owner). ok is false as there.
func (p *Place) User() (u User, ok bool, err error) {
	uid, gid, ok := p.Owner()
	if !ok || !p.HasUsers() {
		return User{uid, gid, []int{gid}}, ok, nil
	}
	if u, err = userOf(cmp.Or(p.As, p.Name)); err == nil && p.Name == "mailctl" && p.As == "" && u.UID != uid {
		err = fmt.Errorf("the home belongs to uid %d, and not to %s", uid, SystemUser)
	}
	return u, err == nil, err
}

// userOf returns the user of a program.
func userOf(program string) (User, error) {
	list := ProgramUsers()
	i := slices.IndexFunc(list, func(p ProgramUser) bool { return p.Program == program })
	if i < 0 {
		return User{}, fmt.Errorf("no user for %s", program)
	}
	u, err := NamedUser(list[i].Name)
	if err == nil && u.UID == 0 {
		err = fmt.Errorf("the user %s is root", list[i].Name)
	}
	return u, err
}

// NamedUser returns a user by name, with the groups that /etc/group lists.
func NamedUser(name string) (User, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("%w (mailctl init --create-user makes it)", err)
	}
	ids, err := account.GroupIds()
	if err != nil {
		return User{}, fmt.Errorf("groups of %s: %w", name, err)
	}
	uid, errUID := strconv.Atoi(account.Uid)
	gid, errGID := strconv.Atoi(account.Gid)
	u := User{uid, gid, []int{gid}}
	for _, text := range ids {
		id, failed := strconv.Atoi(text)
		err = errors.Join(err, failed)
		if !slices.Contains(u.Groups, id) {
			u.Groups = append(u.Groups, id)
		}
	}
	return u, errors.Join(err, errUID, errGID)
}

// Reserved returns the users and groups of the home itself: no process for a mailbox has them.
func (p *Place) Reserved() (uids, gids []int) {
	uid, _, ok := p.SpoolOwner()
	if !ok {
		uid, _, ok = ownerOf(p.Dir)
	}
	if ok {
		uids = append(uids, uid)
	}
	if !p.HasUsers() {
		return uids, nil
	}
	for _, p := range ProgramUsers() {
		if u, err := NamedUser(p.Name); err == nil {
			uids = append(uids, u.UID)
		}
	}
	for _, name := range append(ProgramGroups(), SystemUser) {
		if g, err := user.LookupGroup(name); err == nil {
			gid, _ := strconv.Atoi(g.Gid)
			gids = append(gids, gid)
		}
	}
	return uids, gids
}

// IsOwnUser reports whether this process runs as the user of the program, in a home that has one
// for each.
func (p *Place) IsOwnUser() bool {
	if !p.HasUsers() {
		return false
	}
	u, err := userOf(p.Name)
	return err == nil && u.UID == os.Geteuid()
}

// ShareFiles leaves the group of what this process makes its rights, whatever umask it was started
// with, where programs of several users share the home.
func (p *Place) ShareFiles() {
	if p.IsOwnUser() {
		unix.Umask(0o007)
	}
}
