package maillog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// places writes to the place that dest names now. It closes the others: the file may be
// on a file system that is to be unmounted.
type places struct {
	dest   func() string
	file   file
	system system
	stderr atomic.Bool // the last event went there
}

func (p *places) Write(line []byte) (int, error) {
	dest := p.dest()
	p.stderr.Store(dest == "stderr")
	if dest == "stderr" || dest == "syslog" {
		p.file.close()
	}
	if dest != "syslog" {
		p.system.close()
	}
	switch dest {
	case "stderr":
		return os.Stderr.Write(line)
	case "syslog":
		return p.system.Write(line)
	}
	return p.file.Write(line)
}

// isStderr reports whether w writes to standard error.
func isStderr(w io.Writer) bool {
	p, ok := w.(*places)
	return w == os.Stderr || ok && p.stderr.Load()
}

// file is an append-only log file that follows rotation: if its path no longer leads to
// the open file, it is opened again.
type file struct {
	path string
	f    *os.File
	is   fs.FileInfo // which file f is
}

func (w *file) Write(p []byte) (int, error) {
	if w.f != nil && !w.current() {
		w.close()
	}
	if w.f == nil {
		if err := w.open(); err != nil {
			return 0, err
		}
	}
	return w.f.Write(p)
}

// open opens the file, which must be a regular file: a fifo could block us, and a link
// could make us write to somebody else's file.
func (w *file) open() error {
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	is, err := f.Stat()
	if err == nil && !is.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: w.path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return err
	}
	w.share(f)
	w.f, w.is = f, is
	return nil
}

// share lets the programs of a home of several users, whose log/ its group may write to, append
// to the file, whichever of them has made it and whatever its umask. Only the file's owner can,
// and did so when making it.
func (w *file) share(f *os.File) {
	if dir, err := os.Stat(filepath.Dir(w.path)); err == nil && dir.Mode()&0o020 != 0 {
		_ = f.Chmod(0o660)
	}
}

// ownHome reports whether the home that the file is in belongs to the user who runs the
// program.
func (w *file) ownHome() bool {
	var st unix.Stat_t
	err := unix.Stat(filepath.Dir(filepath.Dir(w.path)), &st)
	return err == nil && int(st.Uid) == os.Geteuid()
}

func (w *file) close() {
	if w.f != nil {
		w.f.Close()
		w.f = nil
	}
}

func (w *file) current() bool {
	named, err := os.Lstat(w.path)
	return err == nil && os.SameFile(named, w.is)
}

// system is the log of the machine. The connection is made with the first event, and
// tried again with each event until it succeeds.
type system struct {
	prog string
	w    *syslog.Writer
}

func (s *system) Write(p []byte) (int, error) {
	if s.w == nil {
		w, err := syslog.New(syslog.LOG_MAIL|syslog.LOG_INFO, s.prog)
		if err != nil {
			return 0, err
		}
		s.w = w
	}
	for line := range bytes.Lines(p) { // a message of syslog is one line
		if _, err := s.w.Write(line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (s *system) close() {
	if s.w != nil {
		s.w.Close()
		s.w = nil
	}
}
