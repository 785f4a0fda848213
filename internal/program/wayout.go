package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// wayOut is advice to print after a system error: who owns the file, or what to do
// about the port; where there is no home at all, that. It is "" if there is none.
func (f *frame) wayOut(err error) string {
	if !f.homeless && (control.NoDefault(err) || errors.Is(err, fs.ErrNotExist)) {
		if home := spool.CheckHome(f.Dir); home != nil && !strings.Contains(err.Error(), home.Error()) {
			return ": " + home.Error()
		}
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		switch {
		case call.Syscall == "bind" && errors.Is(err, unix.EADDRINUSE):
			return " (another program uses it: stop that program, or use another port here and in control/services)"
		case call.Syscall == "bind" && errors.Is(err, unix.EACCES):
			return " (ports below 1024 are opened by root: start this as root, which it gives up then, " +
				"by a socket unit of systemd or by inetd, or with the capability CAP_NET_BIND_SERVICE)"
		}
		return ""
	}
	if !errors.Is(err, fs.ErrPermission) || os.Geteuid() == 0 {
		return ""
	}
	path := filepath.Join(f.Dir, "spool")
	var file *fs.PathError
	if errors.As(err, &file) && filepath.IsAbs(file.Path) {
		path = file.Path
	}
	return f.whoMay(path)
}

// whoMay names who can reach path: the owner of the first directory above it
// that the caller can look at, or of path itself.
func (f *frame) whoMay(path string) string {
	var st unix.Stat_t
	for err := unix.Lstat(path, &st); err != nil; err = unix.Lstat(path, &st) {
		if path == filepath.Dir(path) {
			return ""
		}
		path = filepath.Dir(path)
	}
	owner, us := userName(int(st.Uid)), os.Geteuid()
	ours := strings.HasPrefix(path, f.Dir+"/")
	uid, _, ok := f.SpoolOwner()
	switch {
	case int(st.Uid) == us:
		return ""
	case ok && uid == us && ours: // a file that root has edited
		return fmt.Sprintf(" (%s belongs to %s: chown it to %s)", path, owner, userName(us))
	case st.Uid == 0:
		return fmt.Sprintf(" (%s belongs to root: run this as root)", path)
	}
	return fmt.Sprintf(" (%s belongs to %s: run this as that user, or as root)", path, owner)
}

// userName is the name of a user, or the number if there is no account.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
