package home

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// Owner returns whom a program that was started as root has to become: the
// owner of the spool. ok is false where it is not root, and where the spool is
// root's, for which see package program.
func (h *Home) Owner() (uid, gid int, ok bool) {
	uid, gid, ok = h.SpoolOwner()
	return uid, gid, ok && uid != 0 && os.Geteuid() == 0
}

// SpoolOwner returns the owner of the spool. It is not ok where there is no spool:
// what is missing is told by whoever needs it.
func (h *Home) SpoolOwner() (uid, gid int, ok bool) {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(h.Dir, "spool"), &st); err != nil {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// GiveUpRoot makes a program that runs as root the owner of the spool. Open has
// done that already, but for those that keep root.
func (h *Home) GiveUpRoot() error {
	uid, gid, ok := h.Owner()
	if !ok {
		return nil
	}
	parent := os.Getppid()
	err := Become(uid, gid)
	if err == nil {
		err = h.death.again(parent)
	}
	if err != nil && !partlyMapped(userMap()) {
		return status.Temp("4.3.5", fmt.Sprintf("cannot become uid %d, the owner of the spool", uid), err)
	}
	return nil
}

// Become makes this process, which is root, the user uid with no group but gid,
// for good.
func Become(uid, gid int) error {
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("setgid %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("setuid %d: %w", uid, err)
	}
	return nil
}

// LendRoot lets this process, which is root, work as the owner of the spool: what
// it opens, makes and signals is the owner's. Its real and saved ids stay
// root's, so that ChildAsRoot can start a program that binds a port before it
// becomes the owner. lent is false where there is nothing to lend.
func (h *Home) LendRoot() (lent bool, err error) {
	uid, gid, ok := h.Owner()
	if !ok {
		return false, nil
	}
	err = syscall.Setgroups([]int{gid})
	if err == nil {
		err = syscall.Setresgid(-1, gid, -1)
	}
	if err == nil {
		err = syscall.Setresuid(-1, uid, -1)
	}
	if err != nil && !partlyMapped(userMap()) {
		return false, status.Temp("4.3.5", fmt.Sprintf("cannot work as uid %d, the owner of the spool", uid), err)
	}
	return err == nil, nil
}

// ChildAsRoot is the credential of a child of a process whose root is lent. Its
// groups stay those of the owner until it becomes him itself.
func ChildAsRoot() *syscall.Credential { return &syscall.Credential{NoSetGroups: true} }

// userMap is the map of user ids of our user namespace (user_namespaces(7)), ""
// where the kernel has none.
func userMap() string {
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return ""
	}
	return string(data)
}

// partlyMapped reports whether a user namespace has less than all users. Its
// root cannot become an owner whom it does not hold.
func partlyMapped(uidMap string) bool {
	return uidMap != "" && strings.Join(strings.Fields(uidMap), " ") != "0 0 4294967295"
}
