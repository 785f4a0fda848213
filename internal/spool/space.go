package spool

import (
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// space is what stays free on each file system (control/reserve), and what is
// being written.
type space struct {
	reserve int64 // octets
	inodes  int64
	claims  claims
}

// claims is what is being written just now, by file system: attempts and sessions
// of one process must not each find the same space free.
type claims struct {
	mu sync.Mutex
	on map[unix.Fsid]need
}

// need is space on a file system.
type need struct {
	octets int64
	inodes int64
}

// claim is a need that was granted, until it is on the disk.
type claim struct {
	of *claims
	fs unix.Fsid
	need
}

// room claims space on the file system of path for new files with that many octets
// together. Where that would use the reserve, the error is temporary, with 452
// (RFC 5321 4.2.3). Release the claim once the files are written: from then on the file
// system counts them.
func (s *space) room(path string, octets, files int64) (*claim, error) {
	c := &s.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	for err == unix.EINTR {
		err = unix.Statfs(path, &st)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	n := need{octets: octets + files*st.Bsize/2, inodes: files} // a file's last block is half full
	free := need{octets: int64(st.Bavail)*st.Bsize - c.on[st.Fsid].octets,
		inodes: int64(st.Ffree) - c.on[st.Fsid].inodes}
	// A file system does not limit what it does not count.
	if st.Blocks > 0 && free.octets-n.octets < s.reserve {
		return nil, noRoom(path, n.octets, free.octets, s.reserve, "octets")
	}
	if st.Files > 0 && free.inodes-n.inodes < s.inodes {
		return nil, noRoom(path, n.inodes, free.inodes, s.inodes, "inodes")
	}
	c.add(st.Fsid, n.octets, n.inodes)
	return &claim{of: c, fs: st.Fsid, need: n}, nil
}

func noRoom(path string, wanted, free, reserve int64, what string) error {
	e := status.Temp("4.3.1", "not enough space, please try again later",
		fmt.Errorf("%s has %d free %s, %d are wanted and %d reserved (control/reserve)",
			path, free, what, wanted, reserve))
	e.Reply = 452
	return e
}

// add changes what is claimed; c is locked.
func (c *claims) add(on unix.Fsid, octets, inodes int64) {
	if c.on == nil {
		c.on = map[unix.Fsid]need{}
	}
	n := need{c.on[on].octets + octets, c.on[on].inodes + inodes}
	if n == (need{}) {
		delete(c.on, on)
		return
	}
	c.on[on] = n
}

// release gives the claim back. A second call does nothing.
func (c *claim) release() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.add(c.fs, -c.octets, -c.inodes)
	c.need = need{}
}

// writer returns a writer to w, a file on the file system of path, that never uses
// the reserve: for data whose size is not known before it is written.
func (s *space) writer(path string, w io.Writer) io.Writer { return &keeper{s, path, w} }

// KeepReserve returns a writer to w, a new file on the file system of path. A write
// that would leave fewer octets or inodes free there is a temporary error.
func KeepReserve(octets, inodes int64, path string, w io.Writer) io.Writer {
	s := space{reserve: octets, inodes: inodes}
	return s.writer(path, w)
}

type keeper struct {
	space *space
	path  string
	w     io.Writer
}

func (k *keeper) Write(p []byte) (int, error) {
	room, err := k.space.room(k.path, int64(len(p)), 0)
	if err != nil {
		return 0, err
	}
	defer room.release()
	return k.w.Write(p)
}
