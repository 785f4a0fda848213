package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// Kind is what a face is, for what its caller may not do.
type Kind int

// The kinds. A face with a message in hand answers 75, since whoever gave it
// the message would bounce it on 77 for a fault of ours.
const (
	Filter Kind = iota // has a message in hand
	Agent              // has one too, and stores or sends for others: never as root unless control/root lets it
	Person             // a verb for people: 77
	Server             // listens, or works at an inbox: 77, and never as root unless control/root lets it
)

// Owner returns whom a program that was started as root has to become: the
// owner of the spool. ok is false where it is not root, and where the spool is
// root's, for which see refuseRoot.
func (f *Frame) Owner() (uid, gid int, ok bool) {
	uid, gid, ok = f.ownerOfSpool()
	return uid, gid, ok && uid != 0 && os.Geteuid() == 0
}

// ownerOfSpool is not ok where there is no spool: what is missing is told by
// whoever needs it.
func (f *Frame) ownerOfSpool() (uid, gid int, ok bool) {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(f.Home, "spool"), &st); err != nil {
		return 0, 0, false
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
	parent := os.Getppid()
	err := Become(uid, gid)
	if err == nil {
		err = f.death.again(parent)
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
func (f *Frame) LendRoot() (lent bool, err error) {
	uid, gid, ok := f.Owner()
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

// refuseRoot is the error of a face that does not run as root, where it still is
// root: the spool is root's too. Nothing that strangers send is worked upon as
// the root of a machine, unless control/root says so.
func (f *Frame) refuseRoot(kind Kind) error {
	if os.Geteuid() != 0 || kind != Server && kind != Agent || strangersRoot(userMap()) {
		return nil
	}
	if uid, _, ok := f.ownerOfSpool(); !ok || uid != 0 {
		return nil
	}
	may, err := f.Control.MayRunAsRoot(f.Name)
	if may || err != nil {
		return err
	}
	e := &status.Error{Exit: status.NotAllowed, Text: fmt.Sprintf("%s does not run as root, whose this home is: give %s to a user "+
		"(mailctl init --owner), or write %q into %s", f.Name, f.Home, f.Name, filepath.Join(f.Home, "control", "root"))}
	if kind == Agent {
		e.Exit = status.TempFail
	}
	return e
}

// notAllowed gives an error that a lack of permission brought about the exit
// status 77, for the kinds that have it.
func (k Kind) notAllowed(err error) bool {
	return (k == Person || k == Server) && errors.Is(err, fs.ErrPermission)
}

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

// strangersRoot reports whether the root of a user namespace is another user
// outside of it: an ordinary one to everybody there.
func strangersRoot(uidMap string) bool {
	for line := range strings.Lines(uidMap) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "0" {
			return f[1] != "0"
		}
	}
	return false
}
