package home

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/rights"
	"paperpath/internal/status"
	"paperpath/internal/userns"
)

// LendRoot makes this process, which is root, work as the owner of the spool: files
// and signals are the owner's. Its real and saved ids stay root's, so that
// StartAsRoot can start a program that binds a port before it becomes its own user.
// lent is false if the process is not root, or the owner is.
func (h *Home) LendRoot() (lent bool, err error) {
	u, ok, err := h.User()
	if err != nil {
		return false, status.Temp("4.3.5", "cannot work as the owner of the spool", err)
	}
	if !ok {
		return false, nil
	}
	err = WorkAs(u)
	if err != nil && !userns.Partly(userns.Map()) {
		return false, status.Temp("4.3.5", fmt.Sprintf("cannot work as uid %d, the owner of the spool", u.UID), err)
	}
	return err == nil, nil
}

// WorkAs makes this process, which is root or has worked as somebody else before, work as a
// user: only its real and saved ids stay root's.
func WorkAs(u rights.User) error {
	if err := syscall.Setresuid(-1, 0, -1); err != nil {
		return fmt.Errorf("setresuid 0: %w", err)
	}
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(-1, u.GID, -1); err != nil {
		return fmt.Errorf("setresgid %d: %w", u.GID, err)
	}
	if err := syscall.Setresuid(-1, u.UID, -1); err != nil {
		return fmt.Errorf("setresuid %d: %w", u.UID, err)
	}
	return nil
}

// StartAsRoot starts a child as root after LendRoot. It keeps the owner's groups
// until it becomes its own user itself.
func StartAsRoot(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Credential = &syscall.Credential{NoSetGroups: true}
	return cmd.Start()
}

// StartAsOwner starts, after LendRoot, a child that can never be root again.
func StartAsOwner(cmd *exec.Cmd) error {
	groups, err := syscall.Getgroups()
	if err != nil {
		return fmt.Errorf("getgroups: %w", err)
	}
	c := &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}
	for _, g := range groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	cmd.SysProcAttr.Credential = c
	return AsRoot(cmd.Start)
}

// AsRoot calls do as root after LendRoot. Only this thread is root for that moment.
func AsRoot(do func() error) error {
	uid := os.Geteuid()
	runtime.LockOSThread()
	if err := threadWorksAs(0); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	done := do()
	if err := threadWorksAs(uid); err != nil {
		panic(err) // the thread stays locked, so it goes with its goroutine
	}
	runtime.UnlockOSThread()
	return done
}

// threadWorksAs changes the effective user id of this thread alone; the library's
// wrapper changes that of all threads.
func threadWorksAs(uid int) error {
	const same = ^uintptr(0)
	if _, _, err := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); err != 0 {
		return fmt.Errorf("setresuid %d: %w", uid, err)
	}
	return nil
}
