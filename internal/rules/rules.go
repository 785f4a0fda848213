// Package rules reads what users say in their own files about their mail: .qmail, .forward
// and vacation. It decides nothing and runs nothing.
package rules

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/dir"
	"paperpath/internal/status"
)

// Kind is what a step does with a message.
type Kind int

// The kinds.
const (
	Store   Kind = iota // into the user's mailbox
	Maildir             // into a Maildir
	Mbox                // to the end of a file
	Forward             // to an address
	Program             // to a program
)

// Step is one instruction.
type Step struct {
	Kind  Kind
	Text  string // the path, the address as written, or the command
	Where string // ".qmail:3"
}

// Rules are the instructions of one file.
type Rules struct {
	File        string // its name, ".qmail-lists"
	Qmail       bool   // dot-qmail(5); else the syntax of sendmail
	Steps       []Step
	ForwardOnly bool   // it may neither store nor run programs
	Default     string // of the extension, what -default stands for
	IsDefault   bool   // the file's name ends in -default
	List        bool   // the extension has a file ending in -owner: forwards come from that address
	VERP        bool   // and one ending in -owner-default: from an address for each recipient
}

// Bounds of a file.
const (
	maxFile  = 64 << 10
	maxSteps = 100 // instructions of a file
	maxExt   = 200 // octets of an extension that has a file
)

// Dir is the home of a user, for their files. Only regular files that belong to the user or
// to root are read, and a file that others can write, or whose directory they can write, is
// a temporary error: its author is not known.
type Dir struct {
	home string
	uid  int
	gid  int // whose users share the home; 0: none
	dir  *dir.Dir
}

// Open opens the home of a user; nil without an error if it does not exist.
func Open(home string, uid int) (*Dir, error) {
	path, err := filepath.EvalSymlinks(home)
	var d *dir.Dir
	if err == nil {
		d, err = dir.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, temp(err)
	}
	return &Dir{home: home, uid: uid, dir: d}, nil
}

// At is Open for a home that is open already: whoever opened it closes it.
func At(fd int, home string, uid int) *Dir {
	return &Dir{home: home, uid: uid, dir: dir.OfFd(fd, home)}
}

// ShareWith says that the users of a group share the home, 0 for none: a file may be of any of
// them.
func (d *Dir) ShareWith(gid int) *Dir {
	if d != nil {
		d.gid = gid
	}
	return d
}

// Close closes the directory.
func (d *Dir) Close() error {
	if d == nil {
		return nil
	}
	return d.dir.Close()
}

// temp is the error for what keeps us from reading a file: nobody but its user can mend it,
// and until then no mail is lost.
func temp(err error) error {
	return status.Temp("4.7.0", "the user's own rules cannot be used", err)
}

// read returns a file of the user, and its mode; nil if there is none.
func (d *Dir) read(name string) ([]byte, uint32, error) {
	f, err := d.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, temp(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, 0, temp(err)
	}
	if err := d.trust(name, st); err != nil {
		return nil, 0, temp(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s/%s is longer than %d bytes", d.home, name, maxFile)
	}
	if err != nil {
		return nil, 0, temp(err)
	}
	if text == nil {
		text = []byte{}
	}
	return text, st.Mode, nil
}

// open opens a file whose name begins with a dot, too.
func (d *Dir) open(name string) (*os.File, error) {
	fd, err := unix.Openat(d.dir.Fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, err // in most homes: who asks makes nothing of the path
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(d.home, name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.home, name)), nil
}

// trust refuses a file that another user may have written.
func (d *Dir) trust(name string, st unix.Stat_t) error {
	path := filepath.Join(d.home, name)
	home, err := d.dir.Stat()
	switch {
	case err != nil:
		return err
	case dir.Kind(st) != "":
		return fmt.Errorf("%s is %s", path, dir.Kind(st))
	case d.gid != 0 && int(home.Gid) == d.gid && dir.Shared(home) && (st.Mode|home.Mode)&unix.S_IWOTH == 0 && home.Mode&unix.S_ISVTX == 0:
		return nil
	case int(st.Uid) != d.uid && st.Uid != 0:
		return fmt.Errorf("%s belongs to uid %d", path, st.Uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("others than its owner can write %s (chmod go-w)", path)
	case int(home.Uid) != d.uid && home.Uid != 0:
		return fmt.Errorf("%s belongs to uid %d", d.home, home.Uid)
	case home.Mode&0o022 != 0:
		return fmt.Errorf("others than its owner can write %s (chmod go-w)", d.home)
	case home.Mode&unix.S_ISVTX != 0:
		return fmt.Errorf("%s is sticky: the user is editing their rules", d.home)
	}
	return nil
}

// hasOwner reports whether an extension has a file for failures of what it forwards. It must
// be that of this extension, whatever file has its rules: failures to an address without one
// would come to those rules again, and go to the whole list. verp says that there is one for the
// failures of each recipient, too (dot-qmail(5), VERP).
func (d *Dir) hasOwner(ext string) (owner, verp bool) {
	name := ".qmail-owner"
	if ext != "" {
		if !isName(ext) {
			return false, false
		}
		name = ".qmail-" + nameOf(ext) + "-owner"
	}
	has := func(name string) bool {
		var st unix.Stat_t
		return unix.Fstatat(d.dir.Fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
	owner = has(name)
	return owner, owner && has(name+"-default")
}

// Find returns the rules for an extension, "" for none; nil if the user has none. In turn:
// .qmail-EXT, .qmail-A-default for each shorter part A of it, .qmail-default, .forward+EXT;
// then, as for mail without an extension, .qmail and .forward.
func (d *Dir) Find(ext string) (*Rules, error) {
	if d == nil {
		return nil, nil
	}
	for _, c := range candidates(ext) {
		text, mode, err := d.read(c.File)
		if err != nil {
			return nil, err
		}
		if text == nil {
			continue
		}
		r := c
		if r.Qmail {
			err = r.parseQmail(string(text))
			r.ForwardOnly = r.ForwardOnly || mode&0o100 != 0
			r.List, r.VERP = d.hasOwner(ext)
		} else {
			err = r.parseForward(d, string(text))
		}
		if errors.As(err, new(*status.Error)) { // of a list, which says where it is
			return nil, err
		}
		if err != nil {
			return nil, temp(fmt.Errorf("%s/%w", d.home, err))
		}
		return &r, nil
	}
	return nil, nil
}

// isName reports whether an extension can be part of the name of a file.
func isName(ext string) bool {
	return ext != "" && len(ext) <= maxExt && !strings.ContainsFunc(ext, func(r rune) bool { return r == '/' || r < ' ' || r == 127 })
}

// nameOf is an extension in the name of a file. As in dot-qmail(5) letters are folded, and a
// dot is a colon, so that no name leads elsewhere. Only letters of ASCII are folded: the
// others may have another length then.
func nameOf(ext string) string { return strings.ReplaceAll(addr.Fold(ext), ".", ":") }

// candidates are the files for an extension, in their order.
func candidates(ext string) (list []Rules) {
	if isName(ext) {
		name := nameOf(ext)
		list = append(list, Rules{File: ".qmail-" + name, Qmail: true})
		for at := len(name); at >= 0; at-- {
			if at == 0 || name[at-1] == '-' {
				list = append(list, Rules{File: ".qmail-" + name[:at] + "default", Qmail: true, IsDefault: true, Default: ext[at:]})
			}
		}
		list = append(list, Rules{File: ".forward+" + name})
	} else if ext != "" {
		list = append(list, Rules{File: ".qmail-default", Qmail: true, IsDefault: true, Default: ext})
	}
	return append(list, Rules{File: ".qmail", Qmail: true}, Rules{File: ".forward"})
}

func (r *Rules) add(k Kind, text string, line int) error {
	if len(r.Steps) >= maxSteps {
		return fmt.Errorf("%s: more than %d instructions", r.File, maxSteps)
	}
	r.Steps = append(r.Steps, Step{k, text, fmt.Sprintf("%s:%d", r.File, line)})
	return nil
}

// file adds a file or, with a slash at the end, a Maildir.
func (r *Rules) file(path string, line int) error {
	switch trimmed := strings.TrimRight(path, "/"); {
	case strings.Trim(path, "/.") == "":
		return fmt.Errorf("%s:%d: %q is no file", r.File, line, path)
	case trimmed == "./Maildir" && path != trimmed:
		return r.add(Store, "", line)
	case path != trimmed:
		return r.add(Maildir, trimmed, line)
	}
	return r.add(Mbox, path, line)
}
