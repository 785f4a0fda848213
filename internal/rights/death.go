package rights

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
// the signal will never come. apart says that we have become somebody else than the parent may
// send a signal to.
func (p parentDeath) restore(parent int, apart bool) error {
	if p == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(p), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_PDEATHSIG: %w", err)
	}
	watch := -1
	if apart {
		watch, _ = unix.PidfdOpen(parent, 0) // before Linux 5.3 there is none
	}
	if os.Getppid() != parent {
		return errors.New("the process that started this program has ended")
	}
	if watch >= 0 {
		go p.await(watch)
	}
	return nil
}

// await sends the signal itself when the parent has ended: the kernel sends it only where the
// parent might, and mailctl start works as the owner, who may not in a home with a user for each
// program.
func (p parentDeath) await(parent int) {
	polled := []unix.PollFd{{Fd: int32(parent), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(polled, -1); n > 0 && err == nil {
			break
		} else if err != nil && err != unix.EINTR {
			return
		}
	}
	_ = unix.Kill(os.Getpid(), syscall.Signal(p))
}
