package control

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/cdb"
)

// query asks the table f. A negative answer counts only if the file has not changed
// for a second: somebody may be editing it, and what is not there yet would be
// refused for good. The same applies to every answer from a file whose last line has
// no line end. If the file keeps changing, the error is temporary.
func query[T, A any](c *Control, f file[T], ask func(T) (A, bool, error)) (A, error) {
	var waited time.Duration
	again := false
	for {
		var answer A
		t, got, err := load(c, f)
		if err == nil {
			var found bool
			if answer, found, err = ask(t); found && err == nil && !got.torn {
				return answer, nil
			}
		}
		if errors.Is(err, cdb.ErrBroken) && !again { // it has been damaged since it was opened
			again = true
			continue
		}
		wait := c.unsettled(f.name, got.stamp)
		if wait <= 0 {
			return answer, err
		}
		if waited >= longestWait {
			return *new(A), failFile(f.name, "the file keeps changing")
		}
		c.sleep(wait)
		c.Anew()
		waited += wait
	}
}

// unsettled returns how long to wait until the file will not have changed for a
// second; 0: no longer.
func (c *Control) unsettled(name string, s stamp) time.Duration {
	if !s.present {
		s = c.replaced(name)
	}
	if !c.fresh(s) {
		return 0
	}
	// Never too short, so that waiting always makes progress.
	return max(settled-c.now().Sub(time.Unix(0, s.mtime)), 10*time.Millisecond)
}

// replaced returns the directory's state if an absent file looks like one that is
// being replaced: some editors move the old file aside (aliases~) or keep a swap
// file (.aliases.swp) before they write the new one.
func (c *Control) replaced(name string) stamp {
	dir, names := c.directory()
	for _, n := range names {
		if n != name && strings.HasPrefix(strings.TrimPrefix(n, "."), name) && PassedOver(n) {
			return dir
		}
	}
	return stamp{}
}

// directory returns the state of control/ and, if it has changed within a second, the
// names in it.
func (c *Control) directory() (stamp, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, err := c.lookAtDir()
	if err != nil || !c.fresh(state) {
		return stamp{}, nil
	}
	d := &c.looks.dir
	if d.names == nil {
		list, err := os.ReadDir(filepath.Clean(c.path("")))
		if err != nil {
			return stamp{}, nil
		}
		for _, n := range list {
			d.names = append(d.names, n.Name())
		}
	}
	return state, d.names
}

// PassedOver reports whether name in control/ is ignored: editors, package managers
// and our own tools leave such files beside the settings.
func PassedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.Contains(name, ".dpkg-")
}
