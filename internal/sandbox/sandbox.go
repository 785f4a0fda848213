// Package sandbox confines a program by the kernel's Landlock to what it needs once it has
// opened its listeners: a program that hostile input has taken over can then neither open what
// belongs to others, nor start programs, nor use the network in another way than it should.
//
// The walls stand for the whole process and for the programs that it starts, for good. Of the
// network they see TCP alone: neither UDP, which the DNS needs, nor Multipath TCP, which the
// kernel does not ask Landlock about.
package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Walls are what a program may not do.
type Walls struct {
	Hidden []string // the parts of the home that it can neither read nor change
	// What it does all the same, each of them by TCP, or by executing a file.
	Connects, Binds, Executes bool
}

// Of returns the walls of a program. ok is false for one that has none: maildeliver becomes
// other users, and starts their programs; mailctl and sendmail are tools in a person's hand.
func Of(program string) (w Walls, ok bool) {
	switch program {
	case "mailsubmit", "mailcheck": // the DNS and milters are asked by TCP
		return Walls{Hidden: []string{"mail"}, Connects: true}, true
	case "mailroute":
		return Walls{}, true
	case "mailrelay":
		return Walls{Hidden: []string{"mail"}, Connects: true}, true
	case "pop3d":
		return Walls{Hidden: []string{"spool"}}, true
	}
	return Walls{}, false
}

// ErrNone says that the kernel has no Landlock, or one that cannot confine a program which
// renames files: below ABI 2 it forbids that altogether.
var ErrNone = errors.New("the kernel has no Landlock of ABI 2 or later")

// leastABI is the first that can allow renames between directories.
const leastABI = 2

// Raise puts up the walls, for all threads and for good, and sets no_new_privs. What the kernel
// cannot do of it is left out: below ABI 4 the network is open.
func Raise(w Walls, home string) error {
	if abi, err := ll.LandlockGetABIVersion(); err != nil || abi < leastABI {
		return ErrNone
	}
	config := landlock.Config{HandledAccessFS: landlock.V7.HandledAccessFS}
	if !w.Connects || !w.Binds {
		config.HandledAccessNet = landlock.V7.HandledAccessNet
		if w.Connects {
			config.HandledAccessNet &^= ll.AccessNetConnectTCP
		}
		if w.Binds {
			config.HandledAccessNet &^= ll.AccessNetBindTCP
		}
	}
	hidden, err := w.hidden(home)
	if err != nil {
		return err
	}
	rules, err := w.around("/", hidden)
	if err != nil {
		return err
	}
	if !w.Binds { // of any free port, for a source address
		rules = append(rules, landlock.BindTCP(0))
	}
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return nil
}

// hidden returns the real paths of what is hidden. What is not there needs no wall.
func (w Walls) hidden(home string) (paths []string, err error) {
	for _, part := range w.Hidden {
		path, err := filepath.EvalSymlinks(filepath.Join(home, part))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// Beside returns the directory above the home, or above what is hidden, in which this process
// can make files, "" if there is none: behind the walls it could no longer open what is made
// there, which a program that it starts may want to.
func (w Walls) Beside(home string) string {
	hidden, err := w.hidden(home)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	for _, path := range hidden {
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			if dir != home && unix.Access(dir, unix.W_OK) == nil {
				return dir
			}
			if dir == "/" {
				break
			}
		}
	}
	return ""
}

// maxBeside bounds the names in a directory on the way to what is hidden.
const maxBeside = 4096

// around allows all that is not hidden below the directory dir: Landlock knows no exceptions, so
// each directory beside the way to it is allowed by name. A symbolic link is not: what it leads to
// is allowed, or is not, where it is. Nor is a file: the kernel would keep it, and its space, when
// it has been removed.
func (w Walls) around(dir string, hidden []string) (rules []landlock.Rule, err error) {
	if len(hidden) == 0 {
		return []landlock.Rule{w.rule(dir)}, nil
	}
	d, err := os.Open(dir)
	if err != nil { // one that may only be passed does not tell what is to be allowed
		return nil, err
	}
	defer d.Close()
	list, err := d.ReadDir(maxBeside + 1)
	if err != nil {
		return nil, err
	}
	if len(list) > maxBeside {
		return nil, fmt.Errorf("%s has more than %d names", dir, maxBeside)
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		below := func(h string) bool { return strings.HasPrefix(h, path+"/") }
		switch {
		case slices.Contains(hidden, path), !e.IsDir():
		case slices.ContainsFunc(hidden, below):
			more, err := w.around(path, hidden)
			if err != nil {
				return nil, err
			}
			rules = append(rules, more...)
		default:
			rules = append(rules, w.rule(path))
		}
	}
	return rules, nil
}

// rule allows everything below a directory but perhaps executing. All rules give the same rights,
// so that a rename between two of them gives a file none that it lacked (REFER).
func (w Walls) rule(dir string) landlock.Rule {
	rights := landlock.V7.HandledAccessFS
	if !w.Executes {
		rights &^= ll.AccessFSExecute
	}
	return landlock.PathAccess(rights, dir).IgnoreIfMissing()
}
