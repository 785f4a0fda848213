package control

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// query asks the table f. A negative answer counts only from a file that has
// been still for a second: an editor may be at work, and what is not there
// yet would be refused for good. The same holds for any answer from a file
// whose last line has no end. After the longest wait the answer is a
// temporary error.
func query[T, A any](c *Control, f file[T], ask func(T) (A, bool, error)) (A, error) {
	var waited time.Duration
	for {
		var answer A
		t, got, err := load(c, f)
		if err == nil {
			var found bool
			if answer, found, err = ask(t); found && err == nil && !got.torn {
				return answer, nil
			}
		}
		rest := c.unrest(f.name, got.stamp)
		if rest <= 0 {
			return answer, err
		}
		if waited >= patience {
			return *new(A), failFile(f.name, "the file does not come to rest")
		}
		c.sleep(rest)
		waited += rest
	}
}

// unrest returns how long to wait until the file will have been still for a
// second: 0 if it is.
func (c *Control) unrest(name string, s stamp) time.Duration {
	if !s.present {
		s = c.replaced(name)
	}
	if !c.fresh(s) {
		return 0
	}
	// At least a moment, so that a wait always makes progress.
	return max(quiet-c.now().Sub(time.Unix(0, s.mtime)), 10*time.Millisecond)
}

// replaced returns the directory's state where an absent file looks like one
// that is just being replaced: some editors move the old file aside
// (aliases~) or keep a swap file (.aliases.swp) before they write the new one.
func (c *Control) replaced(name string) stamp {
	dir, err := stat(c.path(""))
	if err != nil || !c.fresh(dir) {
		return stamp{}
	}
	names, err := os.ReadDir(filepath.Clean(c.path("")))
	if err != nil {
		return stamp{}
	}
	for _, n := range names {
		if n.Name() != name && strings.HasPrefix(strings.TrimPrefix(n.Name(), "."), name) && PassedOver(n.Name()) {
			return dir
		}
	}
	return stamp{}
}

// PassedOver reports whether name in control/ is left alone: what editors,
// package managers and our own tools put beside the files.
func PassedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.Contains(name, ".dpkg-")
}
