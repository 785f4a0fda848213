package home

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// forgoPrivileges keeps this process and its children from gaining privileges by a
// set-user-ID program, unless control/users names a program: a program that uses PAM
// may need that.
func (h *Home) forgoPrivileges() {
	if !h.Control.UsersProgram() {
		NoNewPrivileges()
	}
}

// NoNewPrivileges sets PR_SET_NO_NEW_PRIVS for all threads, or in a program with
// cgo, which ours are not, for this one.
func NoNewPrivileges() {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
}
