package maillog

import (
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
	sayingFor = 100 * time.Millisecond // for what Say says
)

// The errors of an event that nothing else kept from its place.
var (
	errSlow = fmt.Errorf("it took longer than %v", patience)
	errBusy = errors.New("an event before it is not written yet")
)

// writer writes lines to out, one at a time, and holds nobody up for longer than
// patience: a full pipe, or a file system that does not answer, costs events and
// never a session. What is lost is counted, and told by the next line that gets
// through.
type writer struct {
	out    io.Writer
	toldBy func(lost int64) []byte // the line that tells it
	prog   string
	slot   chan struct{} // full while a line is being written
	stuck  atomic.Bool   // that line takes too long: nobody waits for it
	lost   atomic.Int64
	wrote  atomic.Bool // an event has got through
	said   atomic.Bool // that events are lost, since the last one that got through
}

// The states of a line on its way.
const (
	underway = iota
	over
	givenUp
)

func (w *writer) write(line []byte) {
	if !w.take() {
		w.lose(errBusy)
		return
	}
	var state atomic.Int32
	done := make(chan error, 1)
	go func() {
		err := w.put(line)
		if !state.CompareAndSwap(underway, over) && err == nil {
			w.lost.Add(-1) // it was only late
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
		w.lose(err)
	}
}

// take gets the slot. Behind a line that is late nobody waits.
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

// put writes the line, behind one that tells what was lost.
func (w *writer) put(line []byte) (err error) {
	defer status.Catch(&err)
	if n := w.lost.Swap(0); n > 0 {
		if _, err := w.out.Write(w.toldBy(n)); err != nil {
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

// lose counts an event that is not written, and says so once on standard error,
// unless that is where it should have gone.
func (w *writer) lose(err error) {
	w.lost.Add(1)
	if isStderr(w.out) || w.isStrange(err) || w.said.Swap(true) {
		return
	}
	Say(os.Stderr, fmt.Sprintf("%s: events are lost, the mail is not: %s\n", w.prog, visible.Line(err.Error())))
}

// isStrange reports whether err says that there is no home here, or that this
// caller has no right to write its log: his events are nobody's. It is not where
// the log belongs to him, or has taken events before: then somebody has changed it
// below a program that runs.
func (w *writer) isStrange(err error) bool {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return false
	}
	p, ok := w.out.(*places)
	return !w.wrote.Load() && !(ok && p.file.ownHome())
}

// Say writes a text for people to standard error, and does not wait where nobody
// reads it. Where that is a client's socket the program has put /dev/null in its
// place at its start.
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
