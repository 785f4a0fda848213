package mailctl

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/home"
	"paperpath/internal/rights"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// systemUser is the user that owns a home that serves the whole machine.
const systemUser = rights.SystemUser

// owner is the user that owns a home.
type owner struct {
	uid, gid int
	why      string // for a person: "as --owner says"

	groups []int // of the user, in a home that has a user for each program
}

// apart reports whether the home has a user for each program.
func (o owner) apart() bool { return o.groups != nil }

// user is the owner as a process has it.
func (o owner) user() rights.User {
	if o.apart() {
		return rights.User{UID: o.uid, GID: o.gid, Groups: o.groups}
	}
	return rights.User{UID: o.uid, GID: o.gid, Groups: []int{o.gid}}
}

func (o owner) String() string {
	if u, err := user.LookupId(strconv.Itoa(o.uid)); err == nil {
		return fmt.Sprintf("%s (uid %d, gid %d)", u.Username, o.uid, o.gid)
	}
	return fmt.Sprintf("uid %d, gid %d", o.uid, o.gid)
}

// chooseOwner decides who will own the home. It asks no questions: init runs in
// installers too.
func (i Init) chooseOwner() (owner, error) {
	switch {
	case i.CreateUser && i.Owner != "":
		return owner{}, status.UsageError("--create-user makes the user %s, so there is no other --owner",
			systemUser)
	case i.CreateUser:
		return i.createUsers()
	case i.Owner != "":
		o, err := namedOwner(i.Owner, "as --owner says")
		return o, cmp.Or(err, mayGive(o, i.Owner))
	case i.hasUsers():
		return systemOwner("as before, with a user for each program")
	case os.Geteuid() != 0:
		return owner{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	return i.likelyOwner()
}

// hasUsers reports whether the home is one with a user for each program, and we may mend it.
func (i Init) hasUsers() bool {
	return os.Geteuid() == 0 && (&rights.Place{Dir: i.Dir}).HasUsers()
}

// mayGive refuses to make a home for o if we cannot give it to them.
func mayGive(o owner, name string) error {
	if os.Geteuid() != 0 && o.uid != os.Geteuid() {
		return &status.Error{Exit: status.NotAllowed,
			Text: "only root makes a home for another user: " + name}
	}
	return nil
}

// likelyOwner is the owner if root names none: the owner of the home or of the
// directory that it will be in, else the system user.
func (i Init) likelyOwner() (owner, error) {
	if st, err := statOf(filepath.Join(i.Dir, "spool")); err == nil &&
		exists(filepath.Join(i.Dir, "control", "root")) {
		return owner{uid: int(st.Uid), gid: int(st.Gid), why: "as before"}, nil
	}
	path, st, err := nearest(i.Dir)
	if err != nil {
		return owner{}, fmt.Errorf("find an owner for the home: %w", err)
	}
	if st.Uid != 0 {
		return owner{uid: int(st.Uid), gid: int(st.Gid), why: "as " + path + " does"}, nil
	}
	o, err := namedOwner(systemUser, "because that user exists")
	if err == nil {
		return o, nil
	}
	return o, &status.Error{Exit: status.NotAllowed, Text: "a mail system does not run as root: " +
		"name the owner of the home with --owner USER, or let --create-user make the user " + systemUser + " (or --owner root, if you insist)"}
}

// nearest returns path, or the nearest directory above it that exists.
func nearest(path string) (string, unix.Stat_t, error) {
	for {
		st, err := statOf(path)
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path, st, err
		}
		path = filepath.Dir(path)
	}
}

func statOf(path string) (st unix.Stat_t, err error) {
	if err := unix.Stat(path, &st); err != nil {
		return st, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st, nil
}

// namedOwner finds a user by name or number. For a number without an account, as in a
// container, the group has the same number.
func namedOwner(name, why string) (owner, error) {
	u, err := user.Lookup(name)
	uid, number := strconv.ParseUint(name, 10, 31)
	if err != nil && number == nil {
		if u, err = user.LookupId(name); err != nil {
			return owner{uid: int(uid), gid: int(uid), why: why}, nil
		}
	}
	if err != nil {
		return owner{}, status.UsageError("there is no user %q", name)
	}
	id, errID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if err := errors.Join(errID, errGID); err != nil {
		return owner{}, fmt.Errorf("user %s: %w", name, err)
	}
	return owner{uid: id, gid: gid, why: why}, nil
}

// giveTo makes the home's directory for its owner, and gives them the parts of the
// home that root made, such as mount points. From then on we are the owner, so that
// nothing below is written as root.
func (i Init) giveTo(o owner) error {
	if os.Geteuid() != 0 {
		return os.MkdirAll(filepath.Dir(i.Dir), 0o755)
	}
	if st, err := statOf(filepath.Join(i.Dir, "spool")); err == nil && int(st.Uid) != o.uid &&
		exists(filepath.Join(i.Dir, "spool", "route")) {
		return &status.Error{Exit: status.NotAllowed,
			Text: fmt.Sprintf("%s is a home of uid %d, not of %s (stop it, then chown -R it)", i.Dir, st.Uid, o)}
	}
	if err := i.make(o); err != nil {
		return err
	}
	if o.uid == 0 {
		return nil
	}
	become := rights.Become
	if o.apart() {
		become = home.WorkAs // until all is given: settle makes it final
	}
	if err := become(o.user()); err != nil {
		return fmt.Errorf("become %s: %w", o, err)
	}
	return os.MkdirAll(filepath.Dir(i.Dir), 0o755)
}

// settle makes the owner of a home with users for good what it works as.
func (i Init) settle(o owner) error {
	if !o.apart() {
		return nil
	}
	return rights.Become(o.user())
}

// make does as root what the owner cannot: it makes a directory in one of root's, and
// gives the owner what belongs to root in the home. A path that the owner could
// replace in the meantime is left to them: there, root could be tricked into making
// and giving away something else.
func (i Init) make(o owner) error {
	path, st, err := nearest(i.Dir)
	if err != nil {
		return err
	}
	maker := o.uid
	if st.Uid == 0 {
		maker = 0
	}
	if err := dir.Trusted(path, maker); err != nil {
		return &status.Error{Exit: status.NotAllowed, Text: fmt.Sprintf("a home of %s cannot be in %s: %v", o,
			i.Dir, err)}
	}
	if maker != 0 && path != i.Dir {
		return nil
	}
	if maker == 0 {
		err := os.MkdirAll(filepath.Dir(i.Dir), 0o755)
		if err == nil {
			err = os.Mkdir(i.Dir, mode("", true))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return i.handOver(o, maker)
}

// handOver gives o the home, which belongs to before (o or root) until then, and the
// directories in it that belong to root. What belongs to anyone else, and what is not
// a directory, stays as it is.
func (i Init) handOver(o owner, before int) error {
	real, err := filepath.EvalSymlinks(i.Dir)
	if err != nil {
		return err
	}
	top, err := dir.Open(real)
	if err != nil {
		return err
	}
	defer top.Close()
	st, err := top.Stat()
	if err == nil && int(st.Uid) != before {
		err = fmt.Errorf("%s belongs to uid %d now", real, st.Uid)
	}
	if err != nil {
		return err
	}
	if err := giveDir(top, o); err != nil {
		return err
	}
	for _, name := range homeParts()[1:] {
		part, err := top.OpenSub(name)
		switch {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
			continue
		case err != nil:
			return err
		}
		err = giveDir(part, o)
		part.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// giveDir gives a directory that belongs to root to the owner.
func giveDir(d *dir.Dir, o owner) error {
	st, err := d.Stat()
	if err != nil || st.Uid != 0 || o.uid == 0 {
		return err
	}
	if err := unix.Fchown(d.Fd(), o.uid, o.gid); err != nil {
		return &fs.PathError{Op: "chown", Path: d.Path(), Err: err}
	}
	return nil
}

// mend gives the directories of the home the modes that they need, and reports each
// change: the owner may do everything, others may not write, and if root made the
// home, the users of the machine may pass through to run/submit.
func (i Init) mend() error {
	for _, sub := range homeParts() {
		path := filepath.Join(i.Dir, sub)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // spool/, which is made last
		}
		if err != nil {
			return err
		}
		had := info.Mode().Perm()
		want := (had | 0o700) &^ 0o002
		if i.public && (sub == "" || sub == "run") {
			want |= 0o011
		}
		if want == had {
			continue
		}
		if err := os.Chmod(path, info.Mode()&^fs.ModePerm|want); err != nil {
			return err
		}
		fmt.Fprintf(i.Notes, "%s had mode %04o, now %04o\n", visible.Escape(path), had, want)
	}
	return nil
}

// allowRoot writes control/root, for a home that is meant to belong to root.
func (i Init) allowRoot() error {
	path := filepath.Join(i.Dir, "control", "root")
	if exists(path) {
		return nil
	}
	fmt.Fprintf(i.Notes, "control/root allows every program of this home to run as root\n")
	return control.Write(path, []byte("*\n"), 0o600)
}
