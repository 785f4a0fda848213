package control

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// file describes how one control file becomes a value.
type file[T any] struct {
	name     string
	max      int64       // bytes
	required bool        // a missing file is an error and not the zero T
	stored   *storing[T] // how a large one is kept; nil: it never is
	parse    func(name string, data []byte) (T, error)
}

// stamp distinguishes the states of a file.
type stamp struct {
	present      bool
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds
}

// cached is what was read from a file in the state stamp.
type cached struct {
	stamp stamp
	torn  bool // the last line had no line end
	sum   [sha256.Size]byte
	value any
	err   error
	db    *database // that value looks its rows up in; nil: it has them
}

// load returns the value of f, from memory if the file has not changed.
func load[T any](c *Control, f file[T]) (T, cached, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.looks.files[f.name]; ok && c.view.counts(s.at) {
		v, _ := s.val.(T)
		return v, s.got, s.err
	}
	at := time.Now() // before the look
	v, got, err := look(c, f)
	c.note(f.name, seen{at, v, got, err})
	return v, got, err
}

// look is load without what was seen a moment ago. The caller holds mu.
func look[T any](c *Control, f file[T]) (T, cached, error) {
	if top, _, _ := strings.Cut(f.name, "/"); c.settings[top] == nil {
		return *new(T), cached{}, failFile(f.name, "this setting has no row in internal/control/rows.go")
	}
	now, err := c.stat(f.name)
	if err != nil {
		return absent(f, err)
	}
	if had, ok := c.cache[f.name]; ok && had.stamp == now {
		v, _ := had.value.(T)
		return v, had, had.err
	}
	if v, got, ok := lookStored(c, f, now); ok {
		return v, got, nil
	}
	data, now, err := read(c.path(f.name), f.max)
	if err != nil {
		return absent(f, err)
	}
	c.recording.file(f.name, data)
	// A file that is read within a second of a change may change again without a new
	// mtime, so it is read each time. The same bytes have the same value.
	sum := sha256.Sum256(data)
	got, ok := c.young[f.name]
	v, _ := got.value.(T)
	if !ok || got.sum != sum {
		v, err = f.parse(f.name, data)
		got = cached{value: v, err: err, sum: sum, torn: len(data) > 0 && data[len(data)-1] != '\n'}
	}
	got.stamp, err = now, got.err
	delete(c.cache, f.name)
	c.young[f.name] = got
	if !c.fresh(now) {
		c.cache[f.name] = got
		delete(c.young, f.name)
		if t, ok := any(v).(interface{ brokenRows() []brokenRow }); ok && err == nil {
			c.forget(f.name, t.brokenRows())
		}
	}
	return v, got, err
}

// absent is the result for a file that could not be read.
func absent[T any](f file[T], err error) (T, cached, error) {
	var zero T
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return zero, cached{}, failFile(f.name, "%w", err)
	case f.required:
		return zero, cached{}, failFile(f.name, "%w", noDefault{})
	}
	return zero, cached{}, nil
}

// noDefault is the error of a file that must be there and is not.
type noDefault struct{}

// Error says what to do.
func (noDefault) Error() string {
	return "the file is missing and has no default (write it, or make the home with mailctl init)"
}

// NoDefault reports whether err is that of a file that must be there and is not.
func NoDefault(err error) bool { return errors.As(err, new(noDefault)) }

// fresh reports whether the file changed so recently that its writer may not be done.
// A time more than a second in the future means nothing and counts as old.
func (c *Control) fresh(s stamp) bool {
	age := c.now().Sub(time.Unix(0, s.mtime))
	return s.present && age < settled && age > -settled
}

// stat looks at a file as os.Stat does, with less to allocate: each session does it.
func stat(path string) (stamp, error) {
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	for err == syscall.EINTR {
		err = syscall.Stat(path, &st)
	}
	if err != nil {
		return stamp{}, plain(&fs.PathError{Op: "stat", Path: path, Err: err})
	}
	return stamp{present: true, size: st.Size, mtime: st.Mtim.Nano(),
		dev: uint64(st.Dev), ino: st.Ino, ctime: st.Ctim.Nano()}, nil
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{present: true, size: info.Size(), mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.ctime = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	}
	return s
}

// openPlain opens a regular file.
func openPlain(path string) (*os.File, error) {
	// Only a regular file is opened. O_NONBLOCK is for whatever may replace it in
	// between: a fifo in place of the file must not block the program.
	if info, err := os.Stat(path); err != nil {
		return nil, plain(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, plain(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, plain(err)
	}
	return f, nil
}

// read returns the bytes of a regular file and the state they belong to.
func read(path string, max int64) ([]byte, stamp, error) {
	f, err := openPlain(path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{}, plain(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, stamp{}, plain(err)
	}
	if int64(len(data)) > max {
		return nil, stamp{}, errors.New("the file is too large")
	}
	return data, stampOf(info), nil
}

// plain removes the path from the text of a system error: the caller names the file.
// errors.As still finds it.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return unnamed{p}
	}
	return err
}

// unnamed is an error about a file that its text does not name.
type unnamed struct{ file *fs.PathError }

func (u unnamed) Error() string { return u.file.Err.Error() }
func (u unnamed) Unwrap() error { return u.file }
