package ratelimit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// lockTime is how long to wait for the lock. Every process holds it for some
// microseconds only.
const lockTime = time.Second

// avoidTime is how long the file is not used after a write failed or another process
// held the lock for too long. Until then the counts in memory are valid, and callers do
// not wait for the lock one after another.
const avoidTime = time.Minute

// avoid does without the file for avoidTime.
func (t *Table) avoid(err error) { t.avoided, t.avoidUntil = err, time.Now().Add(avoidTime) }

// store is the file, or the memory used in its place.
type store interface {
	io.ReaderAt
	io.WriterAt
}

// memory holds in this process what the file would hold. It is not a memfd, so limits
// on the number and size of files do not affect it.
type memory struct {
	salt [saltSize]byte
	data [fileSize]byte
}

func (m *memory) ReadAt(b []byte, at int64) (int, error)  { return copy(b, m.data[at:]), nil }
func (m *memory) WriteAt(b []byte, at int64) (int, error) { return copy(m.data[at:], b), nil }

func (t *Table) inMemory() *memory {
	if t.memory == nil {
		t.memory = &memory{}
		rand.Read(t.memory.salt[:]) // never fails (crypto/rand)
	}
	return t.memory
}

// open opens and locks the file, unless it is avoided.
func (t *Table) open() error {
	if t.avoided != nil && time.Now().Before(t.avoidUntil) {
		return t.avoided
	}
	err := t.openFile()
	t.avoided = nil
	if errors.Is(err, dir.ErrLocked) {
		t.avoid(err)
	}
	return err
}

// openFile opens the file if it is not open, or if its path leads to another file by
// now, and locks it. A file in another format is overwritten: counts are not mail.
func (t *Table) openFile() error {
	if t.f != nil && !t.current() {
		t.f.Close()
		t.f = nil
	}
	if t.f == nil {
		f, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, t.mode)
		if err != nil {
			return err
		}
		t.f = f
	}
	err := dir.Lock(t.f, lockTime) // a process may have been stopped while it held the lock
	if err == nil {
		err = t.readHeader()
	}
	if err != nil {
		t.f.Close() // and releases the lock
		t.f = nil
		return fmt.Errorf("open %s: %w", t.path, err)
	}
	return nil
}

// lookAgain is how long an open file counts as that of its path while it has a name. It is
// removed or replaced at once; nobody moves it elsewhere.
const lookAgain = 100 * time.Millisecond

// current reports whether the path still leads to the open file.
func (t *Table) current() bool {
	open, err := t.f.Stat()
	if err != nil {
		return false
	}
	st, ok := open.Sys().(*syscall.Stat_t)
	if ok && st.Nlink > 0 && time.Since(t.looked) < lookAgain {
		return true
	}
	t.looked = time.Now()
	named, err := os.Lstat(t.path)
	return err == nil && os.SameFile(named, open)
}

// readHeader reads the salt, and formats the file if it is new or broken.
func (t *Table) readHeader() error {
	st, err := t.f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	head := make([]byte, header)
	if st.Size() == fileSize {
		if _, err := t.f.ReadAt(head, 0); err != nil {
			return err
		}
		if string(head[:len(magic)]) == magic {
			copy(t.salt[:], head[len(magic):])
			return t.reserve(st)
		}
	}
	return t.format(head)
}

// format writes an empty table. The group may write, too, whatever the umask: programs
// of several users share the counts.
func (t *Table) format(head []byte) error {
	copy(head, magic)
	rand.Read(head[len(magic) : len(magic)+saltSize]) // never fails (crypto/rand)
	copy(t.salt[:], head[len(magic):])
	if err := t.f.Truncate(0); err != nil {
		return err
	}
	if err := t.f.Truncate(fileSize); err != nil {
		return err
	}
	_ = t.f.Chmod(t.mode) // fails if the file is not ours; its owner has done it
	st, err := t.f.Stat()
	if err != nil {
		return err
	}
	if err := t.reserve(st); err != nil {
		return err
	}
	_, err = t.f.WriteAt(head, 0)
	return err
}

// reserve allocates the whole file on the disk, so that counting goes on when the disk
// is full. On a file system that cannot allocate, writes may fail.
func (t *Table) reserve(st os.FileInfo) error {
	s, ok := st.Sys().(*syscall.Stat_t)
	if t.f == t.reserved || ok && s.Blocks*512 >= fileSize {
		return nil
	}
	err := unix.EINTR
	for err == unix.EINTR {
		err, _ = unix.Fallocate(int(t.f.Fd()), 0, 0, fileSize).(unix.Errno)
	}
	if err != 0 && err != unix.EOPNOTSUPP && err != unix.ENOSYS {
		return os.NewSyscallError("allocate", err)
	}
	t.reserved = t.f // a file system that compresses reports no blocks
	return nil
}

// Close closes the file.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.f
	t.f, t.memory = nil, nil
	if f == nil {
		return nil
	}
	return f.Close()
}
