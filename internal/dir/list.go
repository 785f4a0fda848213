package dir

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direntSize is what the kernel is asked for at a time, in bytes.
const direntSize = 64 << 10

// direntBuffers are used again: a directory is read in an instant, by sessions
// that then wait for hours.
var direntBuffers = sync.Pool{New: func() any { return new([direntSize]byte) }}

// AppendRegular appends the name of every regular file in the directory, each
// with a NUL behind it, in the order in which the file system gives them; no
// directory, link, fifo or device, and no name that begins with a dot. The
// directory itself says what a name is. It is as fast as reading 100,000 names
// at each login of a user has to be: no memory is taken for a name by itself.
func (d *Dir) AppendRegular(names *strings.Builder) error {
	if d.f == nil {
		return nil
	}
	fd, err := d.reopen()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := direntBuffers.Get().(*[direntSize]byte)
	defer direntBuffers.Put(buf)
	for {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Getdents(fd, buf[:])
			return err
		})
		if err != nil {
			return fmt.Errorf("read directory %s: %w", d.path, err)
		}
		if n == 0 {
			return nil
		}
		if err := d.appendEntries(names, buf[:n]); err != nil {
			return fmt.Errorf("read directory %s: %w", d.path, err)
		}
	}
}

// The fields of struct linux_dirent64, see getdents64(2).
const (
	direntLength = unsafe.Offsetof(unix.Dirent{}.Reclen)
	direntType   = unsafe.Offsetof(unix.Dirent{}.Type)
	direntName   = unsafe.Offsetof(unix.Dirent{}.Name)
)

// appendEntries appends the names of what one call of getdents64 returned.
func (d *Dir) appendEntries(names *strings.Builder, entries []byte) error {
	for len(entries) > 0 {
		if len(entries) <= int(direntName) {
			return unix.EIO
		}
		length := int(binary.NativeEndian.Uint16(entries[direntLength:]))
		if length <= int(direntName) || length > len(entries) {
			return unix.EIO
		}
		kind, name := entries[direntType], entries[direntName:length]
		entries = entries[length:]
		end := bytes.IndexByte(name, 0)
		if end <= 0 || name[0] == '.' {
			continue
		}
		if kind == unix.DT_UNKNOWN { // a file system that does not say
			st, err := d.StatName(string(name[:end]))
			if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
				continue // gone meanwhile, or no message
			}
			kind = unix.DT_REG
		}
		if kind == unix.DT_REG {
			names.Write(name[:end+1])
		}
	}
	return nil
}

// reopen returns a descriptor of its own for reading the directory: the
// position in it is shared otherwise.
func (d *Dir) reopen() (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, d.fail("open", "", err)
	}
	return fd, nil
}
