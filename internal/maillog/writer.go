package maillog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

const (
	patience  = time.Second            // for an event to be written
	sayingFor = 100 * time.Millisecond // for a text of Say to be written
)

// The errors of an event that was lost because writing takes too long.
var (
	errSlow = fmt.Errorf("it took longer than %v", patience)
	errBusy = errors.New("an event before it is not written yet")
)

// writer writes lines to out, one at a time, and blocks no caller for longer than
// patience: a full pipe or a file system that does not respond costs events, never a
// session. Lost events are counted, and the next event that is written says how many.
type writer struct {
	out      io.Writer
	lostLine func(lost int64) []byte // the event that says how many were lost
	prog     string
	slot     chan struct{} // full while a line is being written
	stuck    atomic.Bool   // that line takes too long: callers no longer wait for it
	lost     atomic.Int64
	wrote    atomic.Bool // an event has been written
	said     atomic.Bool // standard error was told of lost events, since the last one that was written
}

// The states of a line that is being written.
const (
	underway = iota
	over
	givenUp
)

func (w *writer) write(line []byte) {
	if !w.take() {
		w.lose(line, errBusy)
		return
	}
	var state atomic.Int32
	done := make(chan error, 1)
	go func() {
		err := w.put(line)
		if !state.CompareAndSwap(underway, over) && err == nil {
			w.lost.Add(-events(line)) // it was late, but not lost
		}
		done <- err
		<-w.slot
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case err = <-done:
	case <-timer.C:
		w.stuck.Store(true)
		if !state.CompareAndSwap(underway, givenUp) {
			err = <-done
			break
		}
		err = errSlow
	}
	if err != nil {
		w.lose(line, err)
	}
}

// events is how many events there are in what is written at once.
func events(lines []byte) int64 { return int64(bytes.Count(lines, []byte("\n"))) }

// take gets the slot. It does not wait behind a line that takes too long.
func (w *writer) take() bool {
	select {
	case w.slot <- struct{}{}:
		w.stuck.Store(false)
		return true
	default:
	}
	if w.stuck.Load() {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case w.slot <- struct{}{}:
		w.stuck.Store(false)
		return true
	case <-timer.C:
		return false
	}
}

// put writes the line, after one that says how many were lost.
func (w *writer) put(line []byte) (err error) {
	defer status.Catch(&err)
	if n := w.lost.Swap(0); n > 0 {
		if _, err := w.out.Write(w.lostLine(n)); err != nil {
			w.lost.Add(n)
			return err
		}
		w.said.Store(false)
	}
	if _, err = w.out.Write(line); err == nil {
		w.wrote.Store(true)
	}
	return err
}

// lose counts an event that was not written, and says so once on standard error, unless
// the log goes there.
func (w *writer) lose(line []byte, err error) {
	w.lost.Add(events(line))
	if isStderr(w.out) || w.isExpected(err) || w.said.Swap(true) {
		return
	}
	Say(os.Stderr, fmt.Sprintf("%s: events are lost, the mail is not: %s\n", w.prog, visible.Line(err.Error())))
}

// isExpected reports whether err only says that there is no home here, or that this user
// may not write its log: nobody misses those events. It is not if the home is the
// user's own, or if events were written before: then somebody changed something while
// the program was running.
func (w *writer) isExpected(err error) bool {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return false
	}
	p, ok := w.out.(*places)
	return !w.wrote.Load() && !(ok && p.file.ownHome())
}

// Say writes a text for people to standard error, and does not block if nobody reads it.
// If standard error is the socket of a client, the program has replaced it by /dev/null
// at its start.
func Say(to io.Writer, text string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		io.WriteString(to, text)
	}()
	timer := time.NewTimer(sayingFor)
	defer timer.Stop()
	select {
	case <-said:
	case <-timer.C:
	}
}
