package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// errGone says that a file was not there any more: another program moved it on.
var errGone = errors.New("gone")

// writer copies files from one tree to another. Names are taken below open directories,
// so that a link in a user's mailbox leads nowhere.
type writer struct {
	ctx      context.Context
	from, to *os.Root
	note     func(string)
	manifest *os.File
	lines    *bufio.Writer
	entries  map[string]*copied // by key: what of the spool was copied
	omitted  map[string]bool    // noted already
	counts   Counts
}

// copied is a file of the copy.
type copied struct {
	path string // in the copy, "/" between names
	sum  [sha256.Size]byte
	size int64
	ctim unix.Timespec // of the original
}

func newWriter(ctx context.Context, c Copy) (*writer, error) {
	from, err := os.OpenRoot(c.From)
	if err != nil {
		return nil, err
	}
	to, err := os.OpenRoot(c.To)
	if err != nil {
		from.Close()
		return nil, err
	}
	w := &writer{ctx: ctx, from: from, to: to, note: c.Note, entries: map[string]*copied{}, omitted: map[string]bool{}}
	if err = os.WriteFile(filepath.Join(c.To, incomplete), nil, 0o600); err == nil {
		w.manifest, err = to.OpenFile(manifestName, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	w.lines = bufio.NewWriter(w.manifest)
	return w, nil
}

func (w *writer) close() {
	w.from.Close()
	w.to.Close()
	if w.manifest != nil {
		w.manifest.Close()
	}
}

// file copies a regular file with its mode, owner and time. What is no regular file is
// left out with a note; so is what cannot be read in a tree of users' files.
func (w *writer) file(name, as string) (*copied, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	seen, err := w.from.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	if !seen.Mode().IsRegular() {
		w.leftOut(name, "not a regular file")
		return nil, nil
	}
	in, err := w.from.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(seen, st) { // replaced in between
		return nil, errGone
	}
	return w.content(in, st, as)
}

// content writes a file of the copy.
func (w *writer) content(in io.Reader, st fs.FileInfo, as string) (*copied, error) {
	out, err := w.to.OpenFile(as, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	sum := sha256.New()
	// Not beyond the size at the beginning: a log may grow faster than it is copied.
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, st.Size()))
	if err != nil {
		return nil, fmt.Errorf("copy to %s: %w", as, err)
	}
	if err := alike(out, st); err != nil {
		return nil, err
	}
	c := &copied{path: as, size: n, ctim: changed(st)}
	sum.Sum(c.sum[:0])
	return c, out.Close()
}

// alike gives a file or directory of the copy the owner, mode and time of the original.
// The owner can be another one only for root.
func alike(f *os.File, st fs.FileInfo) error {
	sys := st.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 {
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
			return err
		}
	}
	if err := f.Chmod(st.Mode()); err != nil {
		return err
	}
	at := unix.NsecToTimeval(st.ModTime().UnixNano())
	if err := unix.Futimes(int(f.Fd()), []unix.Timeval{at, at}); err != nil {
		return &fs.PathError{Op: "set the time of", Path: f.Name(), Err: err}
	}
	return nil
}

func changed(st fs.FileInfo) unix.Timespec {
	t := st.Sys().(*syscall.Stat_t).Ctim
	return unix.Timespec{Sec: t.Sec, Nsec: t.Nsec}
}

// mkdir makes a directory of the copy as it is in the original. The way to it is closed
// for others by the mode of the copy's own directory.
func (w *writer) mkdir(name string) error { return w.mkdirAs(name, name) }

func (w *writer) mkdirAs(name, as string) error {
	st, err := w.from.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.to.Mkdir(as, 0o700); err != nil {
		return err
	}
	d, err := w.to.Open(as)
	if err != nil {
		return err
	}
	defer d.Close()
	return alike(d, st)
}

// tree copies a directory with all below it. Maildirs in it may change meanwhile.
func (w *writer) tree(name string) error {
	names, err := w.list(name)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.mkdir(name); err != nil {
		return err
	}
	if isMaildir(names) {
		if err := w.maildir(name); err != nil {
			return err
		}
	}
	for _, e := range names {
		below := path.Join(name, e.Name())
		switch {
		case e.IsDir() && isMaildir(names) && isState(e.Name()):
			continue // done
		case e.IsDir():
			err = w.tree(below)
		default:
			_, err = w.plain(below)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plain copies a file that may go meanwhile, and reports whether it was there.
func (w *writer) plain(name string) (found bool, err error) {
	c, err := w.file(name, name)
	if errors.Is(err, errGone) || c == nil && err == nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, w.record(c)
}

// list reads a directory.
func (w *writer) list(name string) ([]fs.DirEntry, error) {
	st, err := w.from.Lstat(name)
	if err == nil && !st.IsDir() {
		w.leftOut(name, "not a directory")
		return nil, errGone
	}
	var d *os.File
	if err == nil {
		d, err = w.from.Open(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}

func (w *writer) leftOut(name, why string) {
	if w.omitted[name] {
		return
	}
	w.omitted[name] = true
	w.note(fmt.Sprintf("left out: %s: %s", visible.Escape(name), why))
}

// marks copies the files that show that a home, spool/ and mail/ are there. They come
// last: a copy that was cut short is no home.
func (w *writer) marks() error {
	for _, name := range []string{spool.Mark, "spool/" + spool.Mark} { // that of mail/ was copied with it
		if _, err := w.plain(name); err != nil {
			return err
		}
	}
	return nil
}
