package auth

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// fileLocks are locks on octets of a file (F_OFD_SETLK), seen by all processes.
type fileLocks struct{ f *os.File }

func (l *fileLocks) close() { l.f.Close() }

func (l *fileLocks) try(at, n int64) (bool, error) {
	err := l.lock(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: n})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

func (l *fileLocks) free(at, n int64) {
	// It fails only for lack of memory to split a lock; then the place is free when
	// the login ends.
	_ = l.lock(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Start: at, Len: n})
}

func (l *fileLocks) blocker(at, n int64) (start, length int64, err error) {
	k := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: n}
	if err := l.lock(unix.F_OFD_GETLK, &k); err != nil || k.Type == unix.F_UNLCK {
		return at, 0, err
	}
	return k.Start, k.Len, nil
}

func (l *fileLocks) lock(cmd int, k *unix.Flock_t) error {
	for {
		if err := unix.FcntlFlock(l.f.Fd(), cmd, k); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("lock "+l.f.Name(), err)
		}
	}
}

// markSize is the size of a mark, in octets. That of a place is at its number times
// markSize.
const markSize = 8

// mark may fail: then the place never counts as stuck.
func (l *fileLocks) mark(place int64, since time.Duration) {
	_, _ = l.f.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(since)), place*markSize)
}

func (l *fileLocks) marks(at, n int64) (list []time.Duration) {
	text := make([]byte, n*markSize)
	got, _ := l.f.ReadAt(text, at*markSize)
	for ; got >= markSize; got -= markSize {
		list = append(list, time.Duration(binary.BigEndian.Uint64(text)))
		text = text[markSize:]
	}
	return list
}

// monotonic returns the time on a clock that all processes of this machine share. It
// stands still while the machine sleeps.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // nobody is stuck
	}
	return time.Duration(ts.Nano())
}

// spans are what the logins of one process hold without a file.
type spans struct {
	mu   sync.Mutex
	held []span
}

type span struct {
	at, n int64
	by    *spanLocks
}

// spanLocks are locks among spans.
type spanLocks struct{ all *spans }

// other returns the first span of another login among n octets. The caller holds the
// mutex.
func (l *spanLocks) other(at, n int64) (span, bool) {
	i := slices.IndexFunc(l.all.held, func(s span) bool { return s.by != l && s.at < at+n && at < s.at+s.n })
	if i < 0 {
		return span{at: at}, false
	}
	return l.all.held[i], true
}

func (l *spanLocks) try(at, n int64) (bool, error) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	_, taken := l.other(at, n)
	if !taken {
		l.all.held = append(l.all.held, span{at, n, l})
	}
	return !taken, nil
}

func (l *spanLocks) free(at, n int64) { l.drop(func(s span) bool { return s.at == at && s.n == n }) }

func (l *spanLocks) close() { l.drop(func(span) bool { return true }) }

// drop releases those of its spans that which selects.
func (l *spanLocks) drop(which func(span) bool) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.all.held = slices.DeleteFunc(l.all.held, func(s span) bool { return s.by == l && which(s) })
}

// A process that is stopped has only its own logins.
func (l *spanLocks) mark(int64, time.Duration)          {}
func (l *spanLocks) marks(int64, int64) []time.Duration { return nil }

func (l *spanLocks) blocker(at, n int64) (start, length int64, err error) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	s, _ := l.other(at, n)
	return s.at, s.n, nil
}
