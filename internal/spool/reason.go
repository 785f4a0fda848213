package spool

import (
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

// A reason file tells people why an entry waits: one line for each deferral, and one about the
// entry (shown). Its mtime is the due time.

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
	if b.shared() {
		// Whatever the umask. Only the file's owner can, and did so when making it.
		_ = f.Chmod(fs.FileMode(b.mode))
	}
	if _, err := f.WriteString(line); err != nil {
		return err
	}
	ts := unix.NsecToTimespec(mtime.UnixNano())
	err = unix.UtimesNanoAt(b.reason.Fd(), string(k), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EPERM) && b.shared() {
		return b.adoptReason(k, mtime)
	}
	if err != nil {
		return &fs.PathError{Op: "utimensat", Path: b.reason.Join(string(k)), Err: err}
	}
	return nil
}

// adoptReason puts a file of our own in the place of a reason that a stage of another user
// wrote: only the owner of a file can set its mtime (utimensat(2)).
func (b *inbox) adoptReason(k Key, mtime time.Time) error {
	text, err := b.reasonText(k)
	if err != nil {
		return err
	}
	d, err := b.newDraft(k)
	if err != nil {
		return err
	}
	defer d.abort()
	if _, err := io.WriteString(d, text); err != nil {
		return err
	}
	d.setArrival(mtime)
	if err := d.sync(); err != nil { // the old text may be durable: a crash must not empty it
		return err
	}
	if err := b.tmp.Replace(d.name, b.reason, string(k)); err != nil {
		return err
	}
	d.name = ""
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
	first, last []byte    // of those; lineText shows them
	shown       []byte    // the last line about the entry (shown)
	due         time.Time // of the next attempt; zero: there is no file
}

// readReason reads the reason file of an entry. An entry without one has no reasons.
func (b *inbox) readReason(k Key) (r reasons, err error) {
	f, st, err := b.reason.OpenRegular(string(k), unix.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err != nil:
		return r, err
	}
	defer f.Close()
	buf := make([]byte, min(st.Size, 1024)) // most files are short
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return r, err
	}
	return b.toldBy(k, buf[:n], st)
}

// readReasonSeen is readReason by dir.ReadSeen: what is in buf is valid until the next call. That a
// name in reason/ may be that of no regular file is no matter: opened for reading without blocking
// it has no effect, but for a device, which root alone makes.
func (b *inbox) readReasonSeen(k Key, buf []byte) (r reasons, err error) {
	if b.reason.Missing() != nil {
		return r, nil
	}
	n, st, err := b.reason.ReadSeen(string(k), buf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err != nil:
		return r, err
	}
	return b.toldBy(k, buf[:n], st)
}

// toldBy is what the reason file says that begins with text and has the status st.
func (b *inbox) toldBy(k Key, text []byte, st unix.Stat_t) (r reasons, err error) {
	r.due = time.Unix(st.Mtim.Unix())
	if int64(len(text)) != st.Size {
		whole, failed := b.reasonText(k)
		text, err = []byte(whole), failed
	}
	r.scan(text, k)
	return r, err
}

// scan reads the lines.
func (r *reasons) scan(text []byte, k Key) {
	for line := range bytes.Lines(text) {
		whole := line[len(line)-1] == '\n'
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0:
		case isShown(line, k):
			if r.shown = nil; whole {
				r.shown = line
			}
		default:
			if r.last = line; r.lines == 0 {
				r.first = line
			}
			r.lines++
		}
	}
}

// lineText is a line of a reason as it is shown. Of one that is too long the beginning counts.
func lineText(line []byte) string {
	return strings.ToValidUTF8(string(line[:min(len(line), 2*maxReasonLine)]), "?")
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
