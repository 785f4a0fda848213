package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/userns"
)

// maxLinks bounds the symbolic links in a path (path_resolution(7)).
const maxLinks = 40

// Trusted returns an error if anybody but root and the user uid can replace what is at
// the absolute path: if a directory or symbolic link on the way, or the file itself,
// belongs to another user, or if everyone may write to a directory that is not sticky.
// The error says where. If the end of the path is missing, nobody else can make it.
func Trusted(path string, uid int) error {
	w := trust{uid: uid, at: "/", partly: userns.Partly(userns.Map())}
	if _, err := w.check("/"); err != nil {
		return err
	}
	names := split(path)
	for links := 0; len(names) > 0; {
		name := names[0]
		names = names[1:]
		target, err := w.step(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case target != "":
			if links++; links > maxLinks {
				return &fs.PathError{Op: "follow", Path: path, Err: unix.ELOOP}
			}
			if filepath.IsAbs(target) {
				w.at = "/"
			}
			names = append(split(target), names...)
		}
	}
	return nil
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// trust is a walk along a path.
type trust struct {
	uid    int
	at     string // a directory whose path has no links
	partly bool   // some users of the machine have no number in this namespace
}

// step goes on to name or, if that is a link, returns its target.
func (w *trust) step(name string) (target string, err error) {
	switch name {
	case ".":
		return "", nil
	case "..":
		w.at = filepath.Dir(w.at)
		return "", nil
	}
	path := filepath.Join(w.at, name)
	link, err := w.check(path)
	if !link || err != nil {
		w.at = path
		return "", err
	}
	return os.Readlink(path)
}

// check reports whether there is a symbolic link at path, and refuses what w refuses.
func (w *trust) check(path string) (link bool, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	link = st.Mode&unix.S_IFMT == unix.S_IFLNK
	owner := int(st.Uid)
	// An owner without a number in this container is outside of it, and can do anything.
	ours := owner == 0 || owner == w.uid || w.partly && owner == userns.Overflow
	switch {
	case !ours && w.uid == 0:
		return link, fmt.Errorf("%s belongs to uid %d, not to root", path, owner)
	case !ours:
		return link, fmt.Errorf("%s belongs to uid %d, neither to root nor to uid %d", path, owner, w.uid)
	case link:
	case st.Mode&unix.S_IWOTH != 0 && st.Mode&unix.S_ISVTX == 0:
		return link, fmt.Errorf("%s is writable by everyone", path)
	}
	return link, nil
}
