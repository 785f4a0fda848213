package maildir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func tryMode(_ *trial, d string) (string, error) {
	path, err := putFile(d, "a", "x")
	if err != nil {
		return "", err
	}
	for _, mode := range []os.FileMode{0o600, 0o640} {
		if err := os.Chmod(path, mode); err != nil {
			return "", err
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != mode {
			return "", errors.Join(err, fmt.Errorf("the mode %v became %v", mode, st.Mode()))
		}
	}
	return "", nil
}

func trySync(_ *trial, d string) (string, error) {
	f, err := os.Create(filepath.Join(d, "a"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.WriteString(f, "text"); err != nil {
		return "", err
	}
	begin := time.Now()
	if err := errors.Join(f.Sync(), unix.Fdatasync(int(f.Fd()))); err != nil {
		return "", err
	}
	return "took " + time.Since(begin).Round(time.Microsecond).String(), holds(f.Name(), "text")
}

func trySyncDir(_ *trial, d string) (string, error) {
	f, err := os.Open(d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return "", f.Sync()
}

func trySyncAll(_ *trial, d string) (string, error) {
	f, err := os.Open(d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return "", unix.Syncfs(int(f.Fd()))
}

func tryRemoved(_ *trial, d string) (string, error) {
	path, err := putFile(d, "a", "text")
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		return "", err
	}
	text, err := io.ReadAll(f)
	if err == nil && string(text) != "text" {
		err = fmt.Errorf("it has %q", text)
	}
	return "", err
}

// tryAppend has several append lines, each in one write, as mail.log and maildirsize want.
func tryAppend(_ *trial, d string) (string, error) {
	const writers, each = 4, 100
	path := filepath.Join(d, "log")
	var wg sync.WaitGroup
	failed := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				failed[w] = err
				return
			}
			defer f.Close()
			for i := 0; i < each && failed[w] == nil; i++ {
				_, failed[w] = fmt.Fprintf(f, "%d %03d %s\n", w, i, strings.Repeat("x", 100))
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(path)
	if err = errors.Join(err, errors.Join(failed...)); err != nil {
		return "", err
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if len(line) != 107 {
			return "", fmt.Errorf("a line is torn: %.40q", line)
		}
		lines++
	}
	if lines != writers*each {
		return "", fmt.Errorf("%d of %d lines are there", lines, writers*each)
	}
	return "", nil
}

func tryLock(t *trial, d string) (string, error) {
	path, err := putFile(d, "lock", "")
	if err != nil {
		return "", err
	}
	return t.lock(path, path)
}

// lock locks a file by one path and asks by another whether it is locked.
func (t *trial) lock(path, other string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", fmt.Errorf("flock: %w", err)
	}
	ask, detail := t.opts.Locked, ""
	if ask == nil {
		ask, detail = Locked, "within one process"
	}
	if locked, err := ask(other); err != nil || !locked {
		return detail, errors.Join(err, errors.New("a locked file can be locked again"))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
		return detail, fmt.Errorf("unlock: %w", err)
	}
	if locked, err := ask(other); err != nil || locked {
		return detail, errors.Join(err, errors.New("it stays locked"))
	}
	return detail, nil
}

// Locked reports whether somebody has locked the file path by flock(2).
func Locked(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// tryTimes sets a time to come, as the queue does with the time of the next attempt.
func tryTimes(_ *trial, d string) (string, error) {
	path, err := putFile(d, "a", "x")
	if err != nil {
		return "", err
	}
	want := time.Now().Add(72 * time.Hour)
	if err := os.Chtimes(path, want, want); err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	off := st.ModTime().Sub(want).Abs()
	if off > time.Second {
		return "", fmt.Errorf("a time that was set is %v off", off)
	}
	return "to " + granularity(st.ModTime()), nil
}

// granularity guesses it from a time that would rarely be so round by chance.
func granularity(t time.Time) string {
	for _, g := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if t.Truncate(g).Equal(t) {
			return g.String()
		}
	}
	return "1ns"
}

// tryChanges waits until a change shows: by its ctime we tell whether a file still grows.
func tryChanges(_ *trial, d string) (string, error) {
	path, err := putFile(d, "a", "x")
	if err != nil {
		return "", err
	}
	var first, now unix.Stat_t
	if err := unix.Lstat(path, &first); err != nil {
		return "", err
	}
	begin := time.Now()
	for time.Since(begin) < 5*time.Second {
		if err := errors.Join(os.WriteFile(path, []byte("y"), 0o600), unix.Lstat(path, &now)); err != nil {
			return "", err
		}
		if now.Ctim != first.Ctim {
			return "within " + time.Since(begin).Round(time.Microsecond).String(), nil
		}
		time.Sleep(time.Millisecond)
	}
	return "", errors.New("ctime has not moved for 5 seconds")
}

func tryClock(_ *trial, d string) (string, error) {
	path, err := putFile(d, "a", "x")
	if err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if off := time.Since(st.ModTime()).Abs(); off > 10*time.Second {
		return "", fmt.Errorf("a new file is %v off", off.Round(time.Second))
	}
	return "", nil
}

func tryNotify(_ *trial, d string) (string, error) { return "", notices(d, d) }

// notices makes and renames files in a directory, and wants to hear of it in another one.
func notices(made, seen string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, seen, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		return err
	}
	a, err := putFile(made, "noticed", "x")
	if err != nil {
		return err
	}
	defer os.Remove(a + "2")
	if err := os.Rename(a, a+"2"); err != nil {
		return err
	}
	events, buf := 0, make([]byte, 4096)
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(poll, 100); err != nil && err != unix.EINTR || n == 0 {
			continue
		}
		n, err := unix.Read(fd, buf)
		for at := 0; err == nil && at < n; events++ {
			at += unix.SizeofInotifyEvent + int(buf[at+12]) | int(buf[at+13])<<8
		}
		if events >= 2 {
			return nil
		}
	}
	return fmt.Errorf("%d of 2 changes were told: a look once a minute finds them", events)
}
