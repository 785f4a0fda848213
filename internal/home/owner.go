package home

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/status"
	"paperpath/internal/userns"
)

// Owner returns the user whom a home belongs to if a program has to give up root for them: the
// owner of the spool, or of the home if there is no spool. ok is false if the program is not
// root, or if that user is root, for which see package program.
func (h *Home) Owner() (uid, gid int, ok bool) {
	uid, gid, ok = h.SpoolOwner()
	if !ok {
		uid, gid, ok = ownerOf(h.Dir)
	}
	return uid, gid, ok && uid != 0 && os.Geteuid() == 0
}

// SpoolOwner returns the owner of the spool; ok is false if there is no spool.
func (h *Home) SpoolOwner() (uid, gid int, ok bool) {
	return ownerOf(filepath.Join(h.Dir, "spool"))
}

func ownerOf(path string) (uid, gid int, ok bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// trust refuses (77) to let root work on a home that a third user could replace: the
// settings, and the programs that they name, could be that user's, whoever owns the
// home.
func (h *Home) trust() error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, _, _ := h.Owner() // 0 if root stays root
	parts := []string{"spool"}
	if uid == 0 {
		parts = []string{"control", "spool", "mail", "log", "run"}
	}
	for _, part := range parts {
		if err := dir.Trusted(filepath.Join(h.Dir, part), uid); err != nil {
			return &status.Error{Exit: status.NotAllowed, Text: fmt.Sprintf("root does not work with the home %s, "+
				"which another user could exchange: %v "+
				"(run this as the user whose home it is, or chown what is wrong)", h.Dir, err)}
		}
	}
	return nil
}

// GiveUpRoot makes a program that runs as root run as its user, which is the owner of the spool
// or, in a home that has one for each program, its own. Open does that for all programs that do
// not keep root.
func (h *Home) GiveUpRoot() error {
	u, ok, err := h.User()
	if err != nil {
		return status.Temp("4.3.5", "cannot run as the user of "+h.Name, err)
	}
	if !ok {
		return nil
	}
	owner, _, _ := h.Owner()
	parent := os.Getppid()
	if err = Become(u); err == nil {
		h.shareFiles()
		err = h.death.restore(parent, u.UID != owner)
	}
	if err != nil && !userns.Partly(userns.Map()) {
		return status.Temp("4.3.5", fmt.Sprintf("cannot become uid %d, the user of %s in this home", u.UID, h.Name), err)
	}
	return nil
}

// Become makes this process, which is root, run as a user with no other groups, irrevocably.
func Become(u User) error {
	if os.Getuid() == 0 && os.Geteuid() != 0 { // after WorkAs
		if err := syscall.Setresuid(-1, 0, -1); err != nil {
			return fmt.Errorf("setresuid 0: %w", err)
		}
	}
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(u.GID); err != nil {
		return fmt.Errorf("setgid %d: %w", u.GID, err)
	}
	if err := syscall.Setuid(u.UID); err != nil {
		return fmt.Errorf("setuid %d: %w", u.UID, err)
	}
	return nil
}

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
func WorkAs(u User) error {
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
