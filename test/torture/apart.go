package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Uids of homes and mailboxes that are not root's, where the tests run as root. Neither need
// have a name.
const (
	apartUID   = 61801 // of a home, and of the programs that work in it
	foreignUID = 61802 // of owen's mailbox, in a home of root's
)

// owners says whose a world is.
type owners struct {
	apart   bool   // all of it is apartUID's, and the programs run as that user
	foreign string // a user whose mailbox is foreignUID's; "" for none
}

// hand gives the files of the world to those whose they are. What is so already stays
// untouched.
func (w *world) hand() error {
	if os.Geteuid() != 0 {
		return nil
	}
	var err error
	if w.owners.apart {
		err = errors.Join(chown(w.home, apartUID), chown(w.far, apartUID))
	}
	if w.owners.foreign != "" {
		err = errors.Join(err, chown(w.mailbox(w.owners.foreign), foreignUID))
	}
	return err
}

func chown(tree string, uid int) error {
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) == uid {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// credential is the user as whom the programs run; nil for the one who tests.
func (w *world) credential() *syscall.Credential {
	if !w.owners.apart || os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: apartUID, Gid: apartUID}
}

// command is a program and its arguments, to be run as that user.
func (w *world) command(program string, args ...string) (string, []string) {
	if w.credential() == nil {
		return program, args
	}
	uid := strconv.Itoa(apartUID)
	return "/usr/bin/setpriv", append([]string{"--reuid", uid, "--regid", uid, "--clear-groups", "--", w.programs.Path(program)}, args...)
}
