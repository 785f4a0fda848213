package home

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forgoPrivileges keeps this process and all that it starts from gaining rights
// by a set-id program. A program in control/users
// may have to: one that asks PAM does.
func (h *Home) forgoPrivileges() {
	if !h.Control.UsersProgram() {
		NoNewPrivileges()
	}
}

// NoNewPrivileges sets PR_SET_NO_NEW_PRIVS for all threads; each has its own. A
// program with cgo, which ours are not, sets it for one alone.
func NoNewPrivileges() {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
}

// parentDeath is the signal that we get when our parent ends, 0 for none.
type parentDeath int32

// askParentDeath finds it out. Only the first thread has it, which main begins
// on.
func askParentDeath() (p parentDeath) {
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&p)), 0)
	return p
}

// again asks for the signal once more: the kernel forgets it where a process
// changes its ids (prctl(2), PR_SET_PDEATHSIG). Where the parent has ended
// meanwhile nothing would end us any more.
func (p parentDeath) again(parent int) error {
	if p == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(p), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_PDEATHSIG: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("whoever started this program has ended")
	}
	return nil
}
