package control

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// Within reports whether the mailbox is below MailRoot(home), where the home keeps
// its own mailboxes.
func (u *User) Within(home string) bool { return strings.HasPrefix(u.Home, MailRoot(home)+"/") }

// MailRoot is the directory of a home that holds the mailboxes of virtual users.
func MailRoot(home string) string { return filepath.Join(home, "mail") }

// MailGroup is the group whose users share the mailboxes of virtual users, in a home that has a
// user for each program; 0: there is none.
func MailGroup(home string) int {
	var st unix.Stat_t
	if err := unix.Stat(MailRoot(home), &st); err != nil || !dir.Shared(st) {
		return 0
	}
	return int(st.Gid)
}

// SharedBy returns the group whose users share the mailbox; 0: there is none.
func (u *User) SharedBy(home string) int {
	if !u.Within(home) {
		return 0
	}
	return MailGroup(home)
}
