package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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

// readReason returns how many lines the reason file has, its first and last.
func (b *inbox) readReason(k Key) (lines int, first, last string, err error) {
	f, err := b.reason.OpenFile(string(k), unix.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", "", nil
	}
	if err != nil {
		return 0, "", "", err
	}
	defer f.Close()
	return scanReason(f)
}

func scanReason(f *os.File) (lines int, first, last string, err error) {
	sc := bufio.NewScanner(io.LimitReader(f, maxReasonFile))
	sc.Buffer(nil, 2*maxReasonLine)
	for sc.Scan() {
		if text := string(bytes.ToValidUTF8(sc.Bytes(), []byte("?"))); text != "" {
			if lines == 0 {
				first = text
			}
			lines, last = lines+1, text
		}
	}
	return lines, first, last, sc.Err()
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
