package dir

import (
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// File is an open regular file. An os.File would ask for the poller, which no regular file has,
// and be watched by the garbage collector: for files that are open for an instant, by the
// thousand, that costs more than the work on them. Who opens one must close it.
type File struct {
	path string
	mu   sync.RWMutex // held for writing by Close, so that no other call finds a descriptor that is somebody else's by now
	fd   int
}

// Name returns the path that the file was opened with.
func (f *File) Name() string { return f.path }

// Fd returns the descriptor. Only f closes it.
func (f *File) Fd() int { return f.fd }

// use calls do with the descriptor, and again where a signal interrupted it.
func (f *File) use(op string, do func(fd int) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd == closed {
		return f.fail(op, fs.ErrClosed)
	}
	if err := retry(func() error { return do(f.fd) }); err != nil {
		return f.fail(op, err)
	}
	return nil
}

func (f *File) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

// Write appends p where the file was written last.
func (f *File) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		err = f.use("write", func(fd int) error { return progress(&n)(unix.Write(fd, p[n:])) })
	}
	return n, err
}

// WriteAt writes p at off.
func (f *File) WriteAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		err = f.use("write", func(fd int) error { return progress(&n)(unix.Pwrite(fd, p[n:], off+int64(n))) })
	}
	return n, err
}

// progress adds what a write has written. One that writes nothing would never end.
func progress(n *int) func(int, error) error {
	return func(wrote int, err error) error {
		if err == nil && wrote == 0 {
			err = io.ErrUnexpectedEOF
		}
		*n += max(wrote, 0)
		return err
	}
}

// ReadAt reads into p what is at off.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		err = f.use("read", func(fd int) error {
			read, err := unix.Pread(fd, p[n:], off+int64(n))
			if err == nil && read == 0 {
				return io.EOF
			}
			n += max(read, 0)
			return err
		})
	}
	if failed, ok := err.(*fs.PathError); ok && failed.Err == io.EOF {
		err = io.EOF
	}
	return n, err
}

// Stat returns the status of the file.
func (f *File) Stat() (st unix.Stat_t, err error) {
	return st, f.use("stat", func(fd int) error { return unix.Fstat(fd, &st) })
}

// Sync makes the file durable.
func (f *File) Sync() error { return f.use("sync", unix.Fsync) }

// Close closes the descriptor.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd == closed {
		return f.fail("close", fs.ErrClosed)
	}
	fd := f.fd
	f.fd = closed
	if err := unix.Close(fd); err != nil { // Linux closes it even so
		return f.fail("close", err)
	}
	return nil
}
