package home

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

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

// parentDeath is the signal that we get when our parent ends; 0: none.
type parentDeath int32

// atParentDeath is the signal that the program was started with. Only the first thread has
// it, and only while packages are initialised is the goroutine of main bound to that thread.
var atParentDeath = askParentDeath()

// askParentDeath returns the signal of this thread.
func askParentDeath() (p parentDeath) {
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&p)), 0)
	return p
}

// restore asks for the signal again: the kernel forgets it when a process changes
// its ids (prctl(2), PR_SET_PDEATHSIG). If the parent has ended in the meantime
// the signal will never come.
func (p parentDeath) restore(parent int) error {
	if p == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(p), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_PDEATHSIG: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the process that started this program has ended")
	}
	return nil
}
