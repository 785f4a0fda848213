package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/visible"
)

// A reason file tells people why an entry waits: one line for each deferral. Its
// mtime is the due time.

const (
	maxReasonLine = 1000    // octets of one reason
	maxReasonFile = 1 << 20 // octets that are read back
)

// The words of a reason's first line in hold/.
const (
	verbHeld   = "held"
	verbByHand = "by hand, held" // by a person: never cut or removed
)

// reasonLine is one line for people, printable and bounded.
func reasonLine(now time.Time, in Inbox, verb, text string) string {
	text = visible.Shorten(visible.Line(text), maxReasonLine)
	return fmt.Sprintf("%s %s %s: %s\n", in, now.UTC().Format(time.RFC3339), verb, text)
}

// reasonTime is the time in a line of a reason; zero where a person wrote it.
func reasonTime(line string) time.Time {
	_, rest, _ := strings.Cut(line, " ")
	at, _, _ := strings.Cut(rest, " ")
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return time.Time{}
	}
	return t
}

// addReason appends a deferral's line and sets the due time.
func (b *inbox) addReason(k Key, line string, due time.Time) error {
	return b.writeReason(k, unix.O_APPEND, line, due)
}

// setReason replaces the reason file: its first line says who holds the entry.
func (b *inbox) setReason(k Key, line string, now time.Time) error {
	return b.writeReason(k, unix.O_TRUNC, line, now)
}

func (b *inbox) writeReason(k Key, how int, line string, mtime time.Time) error {
	f, err := b.reason.OpenFile(string(k), unix.O_WRONLY|unix.O_CREAT|how, b.mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		return err
	}
	ts := unix.NsecToTimespec(mtime.UnixNano())
	err = unix.UtimesNanoAt(b.reason.Fd(), string(k), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &fs.PathError{Op: "utimensat", Path: b.reason.Join(string(k)), Err: err}
	}
	return nil
}

// due returns the due time of a deferred entry; without a reason it is due now.
func (b *inbox) due(k Key) (t time.Time, found bool, err error) {
	st, err := b.reason.StatName(string(k))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	return time.Unix(st.Mtim.Unix()), true, nil
}

// reasons is what a reason file says.
type reasons struct {
	lines       int
	first, last string
	due         time.Time // of the next attempt; zero: there is no file
}

// readReason reads the reason file of an entry. An entry without one has no reasons.
func (b *inbox) readReason(k Key) (r reasons, err error) {
	f, err := b.reason.OpenFile(string(k), unix.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return r, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	r.due = time.Unix(st.Mtim.Unix())
	return r, r.scan(f)
}

func (r *reasons) scan(f io.Reader) error {
	sc := bufio.NewScanner(io.LimitReader(f, maxReasonFile))
	sc.Buffer(make([]byte, 0, 512), 2*maxReasonLine) // most files are short
	for sc.Scan() {
		if text := string(bytes.ToValidUTF8(sc.Bytes(), []byte("?"))); text != "" {
			if r.lines == 0 {
				r.first = text
			}
			r.lines, r.last = r.lines+1, text
		}
	}
	return sc.Err()
}

// dropReason removes the reason of an entry that has left. The cleaner removes one
// that stays behind.
func (b *inbox) dropReason(k Key) { b.reason.Remove(string(k)) }

// reasonText returns the whole reason file, bounded.
func (b *inbox) reasonText(k Key) (string, error) {
	f, err := b.reason.OpenFile(string(k), unix.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReasonFile))
	return string(text), err
}
