package deliver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/rules"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// How long to wait for a lock of an mbox, and how old a dot lock is that a crash has left. Who
// appends a message is soon done; a mail reader may keep its lock for minutes, and would hold a
// worker for each message that comes meanwhile, where the queue can wait instead.
const (
	mboxWait  = time.Second
	mboxPoll  = 50 * time.Millisecond
	mboxStale = 15 * time.Minute
)

// mbox appends the message to a file of the user.
func (o *own) mbox(step rules.Step) error {
	path, err := o.path(step)
	if err != nil {
		return err
	}
	rel := strings.TrimPrefix(filepath.Dir(path), o.user.Home)
	place := maildir.Place{Base: o.user.Home, Rel: strings.TrimPrefix(rel, "/"), UID: os.Geteuid(), GID: o.group}
	if err := place.Trust(); err != nil {
		return temporary(step.Where, err)
	}
	head := "Return-Path: <" + o.from.String() + ">\nDelivered-To: " + o.to.String() + "\n"
	return appendMbox(path, fromLine(o.from.String(), o.now()), head, io.NewSectionReader(o.message, 0, o.message.Size()))
}

// appendMbox appends a message to an mbox (RFC 4155, mbox(5), the form mboxrd): under a dot
// lock and a lock of fcntl, as Debian's policy has it. If it fails, the file is as it was.
func appendMbox(path, from, head string, in io.Reader) (err error) {
	release, err := dotLock(path)
	if err != nil {
		return mboxError(path, err)
	}
	defer release()
	f, err := openMbox(path)
	if err != nil {
		return mboxError(path, err)
	}
	defer f.Close()
	if err := fcntlLock(f); err != nil { // closing it unlocks
		return mboxError(path, err)
	}
	end, err := f.Seek(0, io.SeekEnd)
	gap := ""
	if err == nil {
		gap, err = gapBefore(f, end)
	}
	if err == nil {
		err = writeMbox(f, gap+from, head, in)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(end))
		return mboxError(path, err)
	}
	return nil
}

// gapBefore is what ends the message that a file has last, "" if a blank line does: a crash may
// have cut it off, and then it would swallow the next one.
func gapBefore(f io.ReaderAt, end int64) (string, error) {
	if end == 0 {
		return "", nil
	}
	last := make([]byte, min(end, 2))
	if _, err := f.ReadAt(last, end-int64(len(last))); err != nil {
		return "", err
	}
	switch {
	case last[len(last)-1] != '\n':
		return "\n\n", nil
	case len(last) == 2 && last[0] != '\n':
		return "\n", nil
	}
	return "", nil
}

func mboxError(path string, err error) error {
	return status.Temp("4.2.0", "cannot append to a file of the recipient", fmt.Errorf("%s: %w", path, err))
}

// openMbox opens the file, or makes it with its name synced.
func openMbox(path string) (*os.File, error) {
	f, err := dir.OpenPath(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = dir.OpenPath(path, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			if err = dir.Sync(filepath.Dir(path)); err != nil {
				f.Close()
			}
		}
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Nlink != 1 || int(st.Uid) != os.Geteuid() {
		f.Close()
		return nil, errors.Join(err, errors.New("it belongs to another user, or has a second name"))
	}
	return f, nil
}

// dotLock makes path.lock, whose content is of no use to us but to people.
func dotLock(path string) (release func(), err error) {
	lock := path + ".lock"
	for deadline := time.Now().Add(mboxWait); ; time.Sleep(mboxPoll) {
		fd, err := unix.Open(lock, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			_, _ = unix.Write(fd, fmt.Appendf(nil, "%d\n", os.Getpid()))
			unix.Close(fd)
			return func() { os.Remove(lock) }, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return nil, &fs.PathError{Op: "open", Path: lock, Err: err}
		}
		if st, err := os.Lstat(lock); err == nil && time.Since(st.ModTime()) > mboxStale {
			os.Remove(lock)
		} else if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s: another program has locked it", lock)
		}
	}
}

func fcntlLock(f *os.File) error {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	for deadline := time.Now().Add(mboxWait); ; time.Sleep(mboxPoll) {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) || time.Now().After(deadline) {
			return fmt.Errorf("lock: %w", err)
		}
	}
}

// writeMbox writes the message: each line that begins with From, behind any number of >, gets
// one more of them, so that it can be read back; a blank line ends it.
func writeMbox(f io.Writer, from, head string, in io.Reader) error {
	w := bufio.NewWriterSize(f, 1<<16)
	w.WriteString(from + head)
	r := bufio.NewReaderSize(in, 1<<16)
	last := byte('\n')
	for start := true; ; {
		line, err := r.ReadSlice('\n')
		if start && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			w.WriteByte('>')
		}
		if len(line) > 0 {
			last = line[len(line)-1]
		}
		w.Write(line)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		start = err == nil
	}
	if last != '\n' {
		w.WriteByte('\n')
	}
	w.WriteByte('\n')
	return w.Flush()
}
