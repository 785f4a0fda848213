package mailctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/home"
	"paperpath/internal/rights"
	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// The modes of a home that has a user for each program. What keeps a program out is the group of
// a directory on the way; below it all belongs to the programs that come so far.
const (
	passedHome = 0o751 // users of the machine pass to run/submit
	readDir    = 0o2750
	sharedDir  = 0o2770
	passedRun  = 0o2771
	readFile   = 0o640
	sharedFile = 0o660
)

// portion is a part of the home whose files all have a group and a mode.
type portion struct {
	path       string
	group      string
	top        uint32 // mode of the directory itself
	dirs       uint32 // of those below
	files      uint32
	except     []string // names in it that are other portions, or nobody else's
	executable bool     // who may read a file may execute it where its owner may
	closed     bool     // its group keeps programs out that come so far
}

// relayDirs are the directories in control/ that mailrelay's user alone reads.
func relayDirs() []string { return []string{"dkim", "relay-logins"} }

// portions are the parts of a home with users.
func portions() []portion {
	list := []portion{
		{path: "", group: rights.SystemUser, top: passedHome},
		{path: "control", group: rights.SystemUser, top: readDir, dirs: readDir, files: readFile, executable: true,
			except: append(relayDirs(), "users", "tls")},
		{path: "control/users", group: rights.GroupUsers, files: readFile, closed: true},
		{path: "control/tls", group: rights.GroupTLS, top: readDir, dirs: readDir, files: readFile, closed: true},
		{path: "spool", group: rights.GroupSpool, top: 0o750},
		{path: "mail", group: rights.GroupMail, top: sharedDir, dirs: sharedDir, files: sharedFile},
		{path: "log", group: rights.SystemUser, top: sharedDir, dirs: sharedDir, files: sharedFile},
		{path: "run", group: rights.SystemUser, top: passedRun, files: sharedFile, except: []string{"pop3"}},
	}
	for _, in := range spool.Inboxes() {
		list = append(list, portion{path: filepath.Join("spool", string(in)), group: rights.SystemUser,
			top: sharedDir, dirs: sharedDir, files: sharedFile})
	}
	return append(list, portion{path: "spool/" + spool.Record, group: rights.SystemUser, files: 0o664})
}

// share gives the parts of the home whose paths begin like that the groups and modes that a user
// for each program needs, and reports what it has changed. What belongs to one of these users already was made by the
// program, as it has to be.
func (i Init) share(o owner, begin string) error {
	if !o.apart() {
		return nil
	}
	for _, t := range portions() {
		if !strings.HasPrefix(t.path, begin) {
			continue
		}
		gid, err := groupID(t.group)
		if err != nil {
			return err
		}
		real, err := filepath.EvalSymlinks(filepath.Join(i.Dir, t.path)) // control may be a link
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		g := giving{portion: t, owner: o.uid, gid: gid}
		if err := g.walk(real); err != nil {
			return err
		}
		if !i.fresh {
			g.tell(i, filepath.Join(i.Dir, t.path))
		}
	}
	return nil
}

// logs makes the log, so that it is the owner's, as logrotate(8) wants it, whoever writes to it
// first. In run/pop3 are only times of logins, which pop3d makes anew as its own user.
func (i Init) logs(o owner) error {
	f, err := dir.OpenPath(filepath.Join(i.Dir, "log", "mail.log"), os.O_WRONLY|os.O_CREATE, sharedFile)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return removeOwn(filepath.Join(i.Dir, "run", "pop3"), o.uid)
}

// removeOwn removes a directory of a user with what is in it.
func removeOwn(path string, uid int) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || int(st.Uid) != uid || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return os.RemoveAll(path)
}

// giving is the walk through a portion.
type giving struct {
	portion
	owner, gid int
	had        uint32 // the mode of the top, if that was changed
	more       int    // names below that were changed
}

// walk gives the portion at a path without links.
func (g *giving) walk(path string) error {
	if g.top == 0 { // one file
		d, err := dir.Open(filepath.Dir(path))
		if err != nil {
			return err
		}
		defer d.Close()
		return g.file(d, filepath.Base(path))
	}
	d, err := dir.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	changed, err := g.give(d.Fd(), st, g.top)
	if changed {
		g.had = st.Mode & 0o7777
	}
	if err != nil || g.files == 0 {
		return err
	}
	return g.below(d, g.except)
}

// below gives what is in a directory.
func (g *giving) below(d *dir.Dir, except []string) error {
	return eachName(d, except, func(name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(d.Fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return gone(err, d.Join(name))
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR || g.dirs == 0 {
			return g.file(d, name)
		}
		sub, err := d.OpenSub(name)
		if err != nil {
			return gone(err, d.Join(name))
		}
		defer sub.Close()
		if st, err = sub.Stat(); err != nil {
			return err
		}
		changed, err := g.give(sub.Fd(), st, g.dirs)
		g.count(changed)
		if err != nil {
			return err
		}
		return g.below(sub, nil)
	})
}

// file gives a regular file that has one name: a link could lead to a file of another part.
func (g *giving) file(d *dir.Dir, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(d.Fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return gone(err, d.Join(name))
	}
	mode := g.files
	if g.executable {
		mode |= st.Mode&0o100>>3 | st.Mode&0o100
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || !g.wrong(st, mode) || g.path == "run" && strings.HasPrefix(name, "table-") {
		return nil // or a database of a table, which its maker alone may write
	}
	fd, err := unix.Openat(d.Fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return gone(err, d.Join(name))
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return gone(err, d.Join(name))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return nil
	}
	changed, err := g.give(fd, st, mode)
	g.count(changed)
	return err
}

// wrong reports whether something of the owner's has another group or mode.
func (g *giving) wrong(st unix.Stat_t, mode uint32) bool {
	return int(st.Uid) == g.owner && (int(st.Gid) != g.gid || st.Mode&0o7777 != mode)
}

// give changes the group and the mode of an open file or directory, where they are wrong.
func (g *giving) give(fd int, st unix.Stat_t, mode uint32) (changed bool, err error) {
	if !g.wrong(st, mode) {
		return false, nil
	}
	if int(st.Gid) != g.gid {
		err = unix.Fchown(fd, -1, g.gid)
	}
	if err == nil {
		err = unix.Fchmod(fd, mode) // after the group, whose change can clear bits
	}
	if err != nil {
		return false, fmt.Errorf("give %s to the group %s: %w", g.path, g.group, err)
	}
	return true, nil
}

func (g *giving) count(changed bool) {
	if changed {
		g.more++
	}
}

// tell reports what was changed.
func (g *giving) tell(i Init, path string) {
	switch {
	case g.had != 0:
		fmt.Fprintf(i.Notes, "%s had mode %04o, now %04o and group %s\n", visible.Escape(path), g.had, g.top, g.group)
	case g.more > 0 && g.top == 0:
		fmt.Fprintf(i.Notes, "%s has mode %04o and group %s now\n", visible.Escape(path), g.files, g.group)
	}
	if g.more > 0 && g.top != 0 {
		fmt.Fprintf(i.Notes, "%s: %d names below had another group or mode than %s\n", visible.Escape(path), g.more, g.group)
	}
}

// relayParts makes what mailrelay alone reads, and gives it its user: control/dkim, and
// control/relay-logins. Only root can give away a file, and gives none that was not the owner's.
func (i Init) relayParts(o owner) error {
	relay, err := rights.NamedUser(rights.RelayUser)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(i.Dir, "control"))
	if err != nil {
		return err
	}
	control, err := dir.Open(real)
	if err != nil {
		return err
	}
	defer control.Close()
	for _, name := range relayDirs() {
		given := 0
		err := home.AsRoot(func() error { return giveAway(control, name, o, relay, &given) })
		if err != nil {
			return err
		}
		if given > 0 && !i.fresh {
			fmt.Fprintf(i.Notes, "control/%s belongs to %s alone now\n", name, rights.RelayUser)
		}
	}
	return nil
}

// giveAway gives a directory and all that is in it to another user, who alone reads it.
func giveAway(d *dir.Dir, name string, from owner, to rights.User, given *int) error {
	sub, err := d.OpenSub(name)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil // where it leads to, an administrator sees to it
	}
	if errors.Is(err, fs.ErrNotExist) {
		sub, err = d.MakeSub(name) // root's until it is given, so nobody else has put anything there
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	if err := giveOne(sub.Fd(), from, to, 0o700, given); err != nil {
		return fmt.Errorf("%s: %w", sub.Path(), err)
	}
	return eachName(sub, nil, func(name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(sub.Fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return gone(err, sub.Join(name))
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return giveAway(sub, name, from, to, given)
		}
		fd, err := unix.Openat(sub.Fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil // a link
		}
		defer unix.Close(fd)
		return giveOne(fd, from, to, 0o600, given)
	})
}

// giveOne gives an open file or directory of the owner, or of root, to another user.
func giveOne(fd int, from owner, to rights.User, mode uint32, given *int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if int(st.Uid) != from.uid && st.Uid != 0 || kind != unix.S_IFDIR && (kind != unix.S_IFREG || st.Nlink != 1) {
		return nil
	}
	*given++
	if err := unix.Fchown(fd, to.UID, to.GID); err != nil {
		return err
	}
	return unix.Fchmod(fd, mode)
}

// eachName calls do for the names in a directory, hidden ones too.
func eachName(d *dir.Dir, except []string, do func(name string) error) error {
	f, err := d.File()
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(except, name) {
			continue
		}
		if err := do(name); err != nil {
			return err
		}
	}
	return nil
}

// gone passes over what has been moved or removed meanwhile.
func gone(err error, path string) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	return fmt.Errorf("share %s: %w", path, err)
}
