package backup

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// isState reports whether name is a directory of a Maildir.
func isState(name string) bool { return name == "new" || name == "cur" || name == "tmp" }

// isMaildir reports whether a directory with these entries is a Maildir.
func isMaildir(names []fs.DirEntry) bool {
	n := 0
	for _, e := range names {
		if e.IsDir() && isState(e.Name()) {
			n++
		}
	}
	return n == 3
}

// maildir copies the messages of a Maildir. Programs of its user move them from new/ to
// cur/ and rename them there: a message that has gone is looked for again.
func (w *writer) maildir(at string) error {
	for _, state := range []string{"tmp", "new", "cur"} {
		if err := w.mkdir(path.Join(at, state)); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for n := range passes {
		again := false
		for _, state := range []string{"new", "cur"} {
			missed, err := w.messages(path.Join(at, state), seen)
			if err != nil {
				return err
			}
			again = again || missed
		}
		if !again && n > 0 {
			break
		}
	}
	w.counts.Messages += len(seen)
	return nil
}

// messages copies the messages of new/ or cur/ that are not in seen. It reports whether
// one has gone before it could be read.
func (w *writer) messages(at string, seen map[string]bool) (missed bool, err error) {
	names, err := w.list(at)
	if err != nil && !errors.Is(err, errGone) {
		return false, err
	}
	for _, e := range names {
		base, _, _ := strings.Cut(e.Name(), ":")
		if seen[base] {
			continue
		}
		name := path.Join(at, e.Name())
		c, err := w.file(name, name)
		switch {
		case errors.Is(err, errGone):
			missed = true
			continue
		case err != nil:
			return false, err
		case c == nil:
			continue
		}
		seen[base] = true
		if err := w.record(c); err != nil {
			return false, err
		}
	}
	return missed, nil
}
