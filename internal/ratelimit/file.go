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

// lockTime is how long others may have the file locked: each does so for some
// microseconds.
const lockTime = time.Second

// shunTime is for how long a file is left alone that could not be written, or that
// another process had locked: what was counted in its place meanwhile holds, and
// not every caller waits for the lock.
const shunTime = time.Minute

// shun leaves the file alone for a while.
func (t *Table) shun(err error) { t.shunned, t.until = err, time.Now().Add(shunTime) }

// store is the file, or what counts in its place.
type store interface {
	io.ReaderAt
	io.WriterAt
}

// memory is what a file would hold, in this process. It is no memfd, so that a limit
// of files or of their size does not matter to it.
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

// open opens and locks the file, unless it is left alone.
func (t *Table) open() error {
	if t.shunned != nil && time.Now().Before(t.until) {
		return t.shunned
	}
	err := t.openFile()
	t.shunned = nil
	if errors.Is(err, dir.ErrLocked) {
		t.shun(err)
	}
	return err
}

// openFile opens the file where it is not open, or has another name by now, and
// locks it. A file of another form is made anew: counts are no mail.
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
	err := dir.Lock(t.f, lockTime) // one of them may have been stopped
	if err == nil {
		err = t.readHeader()
	}
	if err != nil {
		t.f.Close() // which lets go of the lock
		t.f = nil
		return fmt.Errorf("open %s: %w", t.path, err)
	}
	return nil
}

// current reports whether the path still leads to the open file.
func (t *Table) current() bool {
	named, err := os.Lstat(t.path)
	if err != nil {
		return false
	}
	open, err := t.f.Stat()
	return err == nil && os.SameFile(named, open)
}

// readHeader reads the salt, and makes the file where it is new or broken.
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

// format writes an empty table. The group may write too, whatever the umask:
// programs of several users share the counts.
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
	_ = t.f.Chmod(t.mode) // not ours: then its owner has
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

// reserve has the disk keep room for the whole file, so that counting does not end
// where a disk is full. A file system that cannot do that may say so at each write.
func (t *Table) reserve(st os.FileInfo) error {
	s, ok := st.Sys().(*syscall.Stat_t)
	if t.f == t.roomy || ok && s.Blocks*512 >= fileSize {
		return nil
	}
	err := unix.EINTR
	for err == unix.EINTR {
		err, _ = unix.Fallocate(int(t.f.Fd()), 0, 0, fileSize).(unix.Errno)
	}
	if err != 0 && err != unix.EOPNOTSUPP && err != unix.ENOSYS {
		return os.NewSyscallError("reserve room", err)
	}
	t.roomy = t.f // a file system that compresses shows no blocks
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
