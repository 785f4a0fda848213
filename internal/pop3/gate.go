package pop3

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
)

// Why a user with the right password is not admitted now.
var (
	errTooSoon = errors.New("too soon after the last login")
	errTooMany = errors.New("too many sessions of this user")
)

// Gate counts the sessions of each user and remembers when they last logged in. That
// time is also kept on disk, so that processes with one session each (inetd) know of
// each other's; if the disk cannot be written, it is kept in memory alone.
type Gate struct {
	dir string // a file for each user; its mtime is the last login
	now func() time.Time

	mu   sync.Mutex
	last map[string]time.Time
	open map[string]int
}

// NewGate returns a gate that keeps its files in dir, which it creates.
func NewGate(dir string, now func() time.Time) *Gate {
	return &Gate{dir: dir, now: now, last: map[string]time.Time{}, open: map[string]int{}}
}

// enter admits a session of user, or returns errTooSoon (RFC 2449 6.5) or errTooMany.
// A delay or limit of 0 is none. After nil, leave must follow. A nil gate admits
// everybody.
func (g *Gate) enter(user string, delay time.Duration, most int) error {
	if g == nil {
		return nil
	}
	user = addr.FoldAddress(user)
	g.mu.Lock()
	defer g.mu.Unlock()
	if delay > 0 && g.sinceLast(user) < delay {
		return errTooSoon
	}
	if most > 0 && g.open[user] >= most {
		return errTooMany
	}
	g.open[user]++
	return nil
}

// sinceLast is how long ago user last logged in. A login in the future means that the
// clock was set back: it does not count.
func (g *Gate) sinceLast(user string) time.Duration {
	const ages = 1 << 62
	last := g.last[user]
	if st, err := os.Stat(g.file(user)); err == nil && st.ModTime().After(last) {
		last = st.ModTime()
	}
	if since := g.now().Sub(last); !last.IsZero() && since >= 0 {
		return since
	}
	return ages
}

// entered notes that user has logged in now.
func (g *Gate) entered(user string, delay time.Duration) {
	if g == nil || delay <= 0 {
		return
	}
	user = addr.FoldAddress(user)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.last[user] = now
	g.write(g.file(user), now)
}

// write sets the time of a user's file. A read-only or a full disk, where it fails,
// keeps nobody out.
func (g *Gate) write(path string, now time.Time) {
	if err := os.Chtimes(path, now, now); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, fs.ErrNotExist) && os.Mkdir(g.dir, 0o700) == nil {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	}
	if err == nil {
		f.Close()
		os.Chtimes(path, now, now)
	}
}

// file is the path of a user's file. It has no byte of the user's name.
func (g *Gate) file(user string) string {
	sum := sha256.Sum256([]byte(user))
	return filepath.Join(g.dir, hex.EncodeToString(sum[:16]))
}

// leave ends a session that enter admitted.
func (g *Gate) leave(user string) {
	if g == nil {
		return
	}
	user = addr.FoldAddress(user)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[user]--; g.open[user] <= 0 {
		delete(g.open, user)
	}
}
