// Package rights says whose a home is, and makes a program that was started as root run as the user
// that it has there.
package rights

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/status"
	"paperpath/internal/userns"
)

// Default is the home unless --home or $PAPERPATH_HOME names another.
const Default = "/var/lib/paperpath"

// Place is a home, as a program sees it.
type Place struct {
	Name string // of the program
	Dir  string // absolute
	As   string // the program whose user this one becomes where each has its own; "": Name

	death parentDeath
}

// Here is the place of the program called name, which this process is. Find finds the directory.
func Here(name string) Place { return Place{Name: name, death: atParentDeath} }

// Find finds the directory: dir, else $PAPERPATH_HOME, else Default.
func (p *Place) Find(dir string) error {
	dir, err := filepath.Abs(cmp.Or(dir, os.Getenv("PAPERPATH_HOME"), Default))
	if err != nil {
		return status.Temp("4.3.5", "cannot find the home", err)
	}
	p.Dir = dir
	return nil
}

// Owner returns the user whom a home belongs to if a program has to give up root for them: the
// owner of the spool, or of the home if there is no spool. ok is false if the program is not
// root, or if that user is root, for which see package program.
func (p *Place) Owner() (uid, gid int, ok bool) {
	uid, gid, ok = p.SpoolOwner()
	if !ok {
		uid, gid, ok = ownerOf(p.Dir)
	}
	return uid, gid, ok && uid != 0 && os.Geteuid() == 0
}

// SpoolOwner returns the owner of the spool; ok is false if there is no spool.
func (p *Place) SpoolOwner() (uid, gid int, ok bool) {
	return ownerOf(filepath.Join(p.Dir, "spool"))
}

func ownerOf(path string) (uid, gid int, ok bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// Trust refuses (77) to let root work on a home that a third user could replace: the
// settings, and the programs that they name, could be that user's, whoever owns the
// home.
func (p *Place) Trust() error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, _, _ := p.Owner() // 0 if root stays root
	parts := []string{"spool"}
	if uid == 0 {
		parts = []string{"control", "spool", "mail", "log", "run"}
	}
	for _, part := range parts {
		if err := dir.Trusted(filepath.Join(p.Dir, part), uid); err != nil {
			return &status.Error{Exit: status.NotAllowed, Text: fmt.Sprintf("root does not work with the home %s, "+
				"which another user could exchange: %v "+
				"(run this as the user whose home it is, or chown what is wrong)", p.Dir, err)}
		}
	}
	return nil
}

// GiveUpRoot makes a program that runs as root run as its user, which is the owner of the spool
// or, in a home that has one for each program, its own. Open does that for all programs that do
// not keep root.
func (p *Place) GiveUpRoot() error {
	u, ok, err := p.User()
	if err != nil {
		return status.Temp("4.3.5", "cannot run as the user of "+p.Name, err)
	}
	if !ok {
		return nil
	}
	owner, _, _ := p.Owner()
	parent := os.Getppid()
	if err = Become(u); err == nil {
		p.ShareFiles()
		err = p.death.restore(parent, u.UID != owner)
	}
	if err != nil && !userns.Partly(userns.Map()) {
		return status.Temp("4.3.5", fmt.Sprintf("cannot become uid %d, the user of %s in this home", u.UID, p.Name), err)
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
