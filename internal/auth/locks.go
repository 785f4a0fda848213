package auth

import (
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// fileLocks are locks on octets of a file (F_OFD_SETLK), which all processes see.
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
	// It cannot fail but where memory for a split lock is lacking; then the
	// place is free when the login ends.
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

// spans are what the logins of one process hold where there is no file.
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

// other returns the first span that another one has of n octets. The caller has the
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

// drop gives back what it holds and which says.
func (l *spanLocks) drop(which func(span) bool) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.all.held = slices.DeleteFunc(l.all.held, func(s span) bool { return s.by == l && which(s) })
}

func (l *spanLocks) blocker(at, n int64) (start, length int64, err error) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	s, _ := l.other(at, n)
	return s.at, s.n, nil
}
