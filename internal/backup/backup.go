// Package backup copies a home that may be in use, and checks such copies. The copy is a
// home itself.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/status"
)

// incomplete is a file in a copy that is still being made, or was given up.
const incomplete = "backup.incomplete"

// Copy copies the home From to the new directory To. Other programs may work in From
// meanwhile: entries move along the paper path, so the inboxes are read in that order, and
// the mailboxes after them.
type Copy struct {
	From, To string
	Note     func(text string) // what a person should know: files that are left out
}

// Counts says what a copy holds.
type Counts struct {
	Entries  int   // in the spool
	Messages int   // in mailboxes
	Files    int   // in all
	Octets   int64 // in all files
}

// Run makes the copy and returns what is in it. The copy is durable when Run returns
// without an error; otherwise it is left as it is, marked as incomplete.
func (c Copy) Run(ctx context.Context) (Counts, error) {
	started := time.Now()
	if err := c.makeTarget(); err != nil {
		return Counts{}, err
	}
	w, err := newWriter(ctx, c)
	if err != nil {
		return Counts{}, err
	}
	defer w.close()
	if err := c.parts(w, started); err != nil {
		return w.counts, err
	}
	return w.counts, c.finish(w)
}

// parts copies in the order in which nothing is missed. run/ holds sockets, and tables
// that are made anew.
func (c Copy) parts(w *writer, started time.Time) error {
	for _, step := range []func() error{
		func() error { return w.control() },
		func() error { return w.spool(started) },
		func() error { return w.tree("mail") },
		func() error { return w.tree("log") },
		func() error { return w.mkdir("run") },
		func() error { return w.marks() },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// makeTarget makes the directory, which may be there if it is empty.
func (c Copy) makeTarget() error {
	from, err := filepath.EvalSymlinks(c.From)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(c.To)
	if err != nil {
		return err
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil {
		to = filepath.Join(parent, filepath.Base(to))
	}
	if from, err = filepath.Abs(from); err == nil && strings.HasPrefix(to+"/", from+"/") {
		err = status.UsageError("%s is inside the home %s", c.To, c.From)
	}
	if err != nil {
		return err
	}
	err = os.Mkdir(to, 0o700)
	if errors.Is(err, fs.ErrExist) {
		names, err := os.ReadDir(to)
		if err == nil && len(names) > 0 {
			err = status.UsageError("%s is not empty: a backup is made in a new directory", c.To)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("make the backup's directory: %w", err)
	}
	return dir.Sync(filepath.Dir(to))
}

// finish writes the manifest, makes everything durable, and then removes the mark of an
// incomplete copy.
func (c Copy) finish(w *writer) error {
	if err := w.writeManifest(); err != nil {
		return err
	}
	top, err := os.Open(c.To)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := unix.Syncfs(int(top.Fd())); err != nil {
		return &fs.PathError{Op: "syncfs", Path: c.To, Err: err}
	}
	if err := os.Remove(filepath.Join(c.To, incomplete)); err != nil {
		return err
	}
	return top.Sync()
}
