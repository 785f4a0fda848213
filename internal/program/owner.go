package program

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
// root's: a container, or a home that mailctl check warns of.
func (f *Frame) Owner() (uid, gid int, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(f.Home, "spool"), &st); err != nil || st.Uid == 0 {
		return 0, 0, false // what is missing is told by whoever needs it
	}
	return int(st.Uid), int(st.Gid), true
}

// GiveUpRoot makes a program that runs as root the owner of the spool. The
// frame has done that already, but for programs and verbs with KeepRoot.
func (f *Frame) GiveUpRoot() error {
	uid, gid, ok := f.Owner()
	if !ok {
		return nil
	}
	err := syscall.Setgroups([]int{gid})
	if err == nil {
		err = syscall.Setgid(gid)
	}
	if err == nil {
		err = syscall.Setuid(uid)
	}
	if err != nil && !inNamespace() {
		return status.Temp("4.3.5", fmt.Sprintf("cannot become uid %d, the owner of the spool", uid), err)
	}
	return nil
}

// inNamespace reports whether we are in a user namespace of less than all
// users. Its root is an ordinary user to everybody outside, and cannot become
// an owner whom it does not hold (user_namespaces(7)).
func inNamespace() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(data)), " ") != "0 0 4294967295"
}
