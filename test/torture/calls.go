package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// call is a system call of a traced program that says something about files or
// sockets.
type call struct {
	name     string
	path     string // absolute; "socket:[n]" for a socket, "" for none
	to       string // the new name of a rename or a link
	data     []byte // the first octets of what is written
	tail     []byte // the last ones
	fd       int    // what fsync syncs
	makes    bool   // openat with O_CREAT or O_TMPFILE
	cuts     bool   // openat with O_TRUNC
	changes  bool   // changes a file system, or sends something to a peer
	ret      int64  // -errno for a failure
	done     bool   // false: the program was killed before
	injected bool
	beside   []*call // calls of other threads that had begun and not ended when it began
}

func (c *call) String() string {
	s := c.name + " " + shorten(c.path)
	if c.to != "" {
		s += " -> " + shorten(c.to)
	}
	return s
}

// shorten leaves the last two elements of a path, and the start of a name.
func shorten(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 3 {
		parts = parts[len(parts)-3:]
	}
	last := parts[len(parts)-1]
	if len(last) > 24 {
		parts[len(parts)-1] = last[:8] + "..." + last[len(last)-10:]
	}
	return strings.Join(parts, "/")
}

// ok reports whether the call was made and did what it says.
func (c *call) ok() bool { return c.done && c.ret >= 0 }

// tracee reads the memory and the descriptors of a stopped thread.
type tracee struct{ pid, tid int }

// decoders are the calls that the tests want to see; the tracer stops at no other. A
// decoder returns nil for a call on something that does not concern them.
var decoders = map[uint64]func(p tracee, a [6]uint64) *call{
	unix.SYS_WRITE:    tracee.write,
	unix.SYS_PWRITE64: tracee.write,
	unix.SYS_READ:     looksAt("read"),
	unix.SYS_PREAD64:  looksAt("read"),
	unix.SYS_SENDTO:   onFile("write", 0),
	unix.SYS_SENDMSG:  onFile("write", 0),
	unix.SYS_WRITEV:   onFile("write", 0),

	unix.SYS_COPY_FILE_RANGE: onFile("copy_file_range", 2),
	unix.SYS_SENDFILE:        onFile("sendfile", 0),
	unix.SYS_FSYNC:           onFile("fsync", 0),
	unix.SYS_FDATASYNC:       onFile("fdatasync", 0),
	unix.SYS_SYNCFS:          onFile("syncfs", 0),
	unix.SYS_FTRUNCATE:       onFile("ftruncate", 0),
	unix.SYS_FCHMOD:          onFile("fchmod", 0),
	unix.SYS_CLOSE:           looksAt("close"),
	unix.SYS_GETDENTS64:      looksAt("getdents64"),
	unix.SYS_FLOCK:           looksAt("flock"),
	unix.SYS_FSTAT:           looksAt("stat"),
	unix.SYS_FSTATFS:         looksAt("statfs"),
	unix.SYS_STATFS:          tracee.statfs,
	unix.SYS_NEWFSTATAT:      looksFor("stat"),
	unix.SYS_READLINKAT:      looksFor("readlink"),
	unix.SYS_FACCESSAT:       looksFor("access"),
	unix.SYS_FACCESSAT2:      looksFor("access"),

	unix.SYS_OPENAT:    tracee.open,
	unix.SYS_RENAMEAT:  onNames("rename"),
	unix.SYS_RENAMEAT2: onNames("rename"),
	unix.SYS_LINKAT:    onNames("link"),
	unix.SYS_UNLINKAT:  onName("unlink", 0),
	unix.SYS_SYMLINKAT: onName("symlink", 1),
	unix.SYS_MKDIRAT:   onName("mkdir", 0),
	unix.SYS_UTIMENSAT: onName("utimensat", 0),
	unix.SYS_FCHMODAT:  onName("fchmodat", 0),
}

// decode returns nil for a call that the tests do not want to see.
func decode(pid, tid int, nr uint64, a [6]uint64) *call {
	d := decoders[nr]
	if d == nil {
		return nil
	}
	return d(tracee{pid, tid}, a)
}

// onFile decodes a call that changes the file of the descriptor in argument fd.
func onFile(name string, fd int) func(tracee, [6]uint64) *call {
	return func(p tracee, a [6]uint64) *call {
		return &call{name: name, path: p.fd(a[fd]), fd: int(a[fd]), changes: true}
	}
}

// looksAt decodes a call that does not change the file of the descriptor in its first
// argument.
func looksAt(name string) func(tracee, [6]uint64) *call {
	return func(p tracee, a [6]uint64) *call { return files(&call{name: name, path: p.fd(a[0])}) }
}

// looksFor decodes a call that does not change what a name leads to.
func looksFor(name string) func(tracee, [6]uint64) *call {
	return func(p tracee, a [6]uint64) *call { return files(&call{name: name, path: p.at(a[0], a[1])}) }
}

// onName decodes a call that changes what the name in the arguments at and
// after dir leads to.
func onName(name string, dir int) func(tracee, [6]uint64) *call {
	return func(p tracee, a [6]uint64) *call {
		return &call{name: name, path: p.at(a[dir], a[dir+1]), changes: true}
	}
}

// onNames decodes a call that gives a file another name.
func onNames(name string) func(tracee, [6]uint64) *call {
	return func(p tracee, a [6]uint64) *call {
		return &call{name: name, path: p.at(a[0], a[1]), to: p.at(a[2], a[3]), changes: true}
	}
}

func (p tracee) statfs(a [6]uint64) *call {
	return &call{name: "statfs", path: p.at(unix.AT_FDCWD&(1<<32-1), a[0])}
}

func (p tracee) open(a [6]uint64) *call {
	c := &call{name: "openat", path: p.at(a[0], a[1])}
	c.makes = a[2]&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0
	c.cuts = a[2]&unix.O_TRUNC != 0
	c.changes = c.makes || c.cuts
	return files(c)
}

// files drops a call on anything but a file on the machine's disks.
func files(c *call) *call {
	if !strings.HasPrefix(c.path, "/") || strings.HasPrefix(c.path, "/proc/") ||
		strings.HasPrefix(c.path, "/sys/") || strings.HasPrefix(c.path, "/dev/") && !strings.HasPrefix(c.path, "/dev/shm/") {
		return nil
	}
	return c
}

func (p tracee) write(a [6]uint64) *call {
	c := &call{name: "write", path: p.fd(a[0]), changes: true}
	if strings.HasPrefix(c.path, "anon_inode") || strings.HasPrefix(c.path, "/dev/null") {
		return nil
	}
	n := min(a[2], 64)
	if strings.HasPrefix(c.path, "socket:") {
		n = min(a[2], 4096) // a flight of commands
	}
	c.data, c.tail = p.memory(a[1], int(n)), p.memory(a[1]+a[2]-n, int(n))
	return c
}

// fd returns what a descriptor is.
func (p tracee) fd(n uint64) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.tid, int32(n)))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

// at returns the absolute path of a name that is relative to a descriptor.
func (p tracee) at(dirfd, address uint64) string {
	name := p.text(address)
	if strings.HasPrefix(name, "/") {
		dir, err := filepath.EvalSymlinks(filepath.Dir(name)) // as descriptors report it
		if err != nil {
			return filepath.Clean(name)
		}
		return filepath.Join(dir, filepath.Base(name))
	}
	base := ""
	if int32(dirfd) == unix.AT_FDCWD {
		base, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.tid))
	} else {
		base = p.fd(dirfd)
	}
	return filepath.Join(base, name)
}

func (p tracee) text(address uint64) string {
	for _, size := range []int{256, 4096, 64} { // the next page may not be mapped
		b := p.memory(address, size)
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(b[:i])
		}
	}
	return ""
}

func (p tracee) memory(address uint64, size int) []byte {
	if address == 0 || size <= 0 {
		return nil
	}
	b := make([]byte, size)
	n, err := unix.ProcessVMReadv(p.tid, []unix.Iovec{{Base: &b[0], Len: uint64(size)}},
		[]unix.RemoteIovec{{Base: uintptr(address), Len: size}}, 0)
	if err != nil {
		n, err = syscall.PtracePeekData(p.tid, uintptr(address), b)
	}
	if err != nil && n <= 0 {
		return nil
	}
	return b[:n]
}
