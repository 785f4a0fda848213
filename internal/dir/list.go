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

// direntSize is the size of the buffer for getdents64, in bytes.
const direntSize = 64 << 10

// direntBuffers are reused: reading a directory takes an instant, but the session that
// does it may last for hours.
var direntBuffers = sync.Pool{New: func() any { return new([direntSize]byte) }}

// Names calls each with every name in the directory that does not begin with a dot, in
// the order of the file system, until each returns false.
func (d *Dir) Names(each func(name string) bool) error {
	return d.Files(func(name string, _ bool) bool { return each(name) })
}

// Files is Names that says, too, whether the name is that of a regular file as far as the
// directory knows: false is "look".
func (d *Dir) Files(each func(name string, regular bool) bool) error {
	if d.fd == noDir {
		return nil
	}
	fd, err := d.reopen()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return d.scan(fd, func(name []byte, kind byte) bool { return each(string(name), kind == unix.DT_REG) })
}

// Scan is Names for a directory that nobody else reads at the same time: it needs no second
// descriptor. A name is valid until each returns.
func (d *Dir) Scan(each func(name []byte) bool) error {
	if d.fd == noDir {
		return nil
	}
	if d.read {
		if _, err := unix.Seek(d.fd, 0, unix.SEEK_SET); err != nil {
			return fmt.Errorf("read directory %s: %w", d.path, err)
		}
	}
	d.read = true
	return d.scan(d.fd, func(name []byte, _ byte) bool { return each(name) })
}

// scan is Scan for a descriptor of the directory. kind is what that knows of a name.
func (d *Dir) scan(fd int, each func(name []byte, kind byte) bool) error {
	buf := direntBuffers.Get().(*[direntSize]byte)
	defer direntBuffers.Put(buf)
	for {
		n, err := getdents(fd, buf[:])
		if err != nil || n == 0 {
			return d.failRead(err)
		}
		for entries := buf[:n]; len(entries) > 0; {
			var kind byte
			var name []byte
			if kind, name, entries, err = cutEntry(entries); err != nil {
				return d.failRead(err)
			}
			if end := bytes.IndexByte(name, 0); end > 0 && name[0] != '.' && !each(name[:end], kind) {
				return nil
			}
		}
	}
}

func (d *Dir) failRead(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read directory %s: %w", d.path, err)
}

func getdents(fd int, buf []byte) (n int, err error) {
	err = retry(func() (err error) {
		n, err = unix.Getdents(fd, buf)
		return err
	})
	return n, err
}

// cutEntry takes the first entry: its type, its name up to a NUL, and what follows it.
func cutEntry(entries []byte) (kind byte, name, rest []byte, err error) {
	if len(entries) <= int(direntName) {
		return 0, nil, nil, unix.EIO
	}
	length := int(binary.NativeEndian.Uint16(entries[direntLength:]))
	if length <= int(direntName) || length > len(entries) {
		return 0, nil, nil, unix.EIO
	}
	return entries[direntType], entries[direntName:length], entries[length:], nil
}

// AppendRegular appends the names of the regular files in the directory that do not begin
// with a dot, each with a NUL after it, in the order of the file system. The type of a
// file comes from the directory entry. A POP3 login may read 100,000 names, so nothing
// is allocated for a single name.
func (d *Dir) AppendRegular(names *strings.Builder) error {
	if d.fd == noDir {
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
		n, err := getdents(fd, buf[:])
		if err != nil || n == 0 {
			return d.failRead(err)
		}
		if err := d.appendEntries(names, buf[:n]); err != nil {
			return d.failRead(err)
		}
	}
}

// The fields of struct linux_dirent64, see getdents64(2).
const (
	direntLength = unsafe.Offsetof(unix.Dirent{}.Reclen)
	direntType   = unsafe.Offsetof(unix.Dirent{}.Type)
	direntName   = unsafe.Offsetof(unix.Dirent{}.Name)
)

// appendEntries appends the names that one call of getdents64 returned.
func (d *Dir) appendEntries(names *strings.Builder, entries []byte) error {
	for len(entries) > 0 {
		kind, name, rest, err := cutEntry(entries)
		if err != nil {
			return err
		}
		entries = rest
		end := bytes.IndexByte(name, 0)
		if end <= 0 || name[0] == '.' {
			continue
		}
		if kind == unix.DT_UNKNOWN { // the file system does not say
			st, err := d.StatName(string(name[:end]))
			if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
				continue // it was removed in the meantime, or is not a message
			}
			kind = unix.DT_REG
		}
		if kind == unix.DT_REG {
			names.Write(name[:end+1])
		}
	}
	return nil
}

// reopen returns a second descriptor for reading the directory, with a position of its
// own.
func (d *Dir) reopen() (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, d.fail("open", "", err)
	}
	return fd, nil
}
