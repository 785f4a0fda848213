package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Arrivals watches mailboxes: it notes when messages come, without looking for them.
type Arrivals struct {
	notes *os.File
	seen  chan int
}

// Watch begins to watch.
func (b Boxes) Watch() (*Arrivals, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch mailboxes: %w", err)
	}
	a := &Arrivals{notes: os.NewFile(uintptr(fd), "inotify"), seen: make(chan int, 1<<10)}
	for _, user := range b.Users {
		// A message comes by link or by rename.
		if _, err := unix.InotifyAddWatch(fd, b.new(user), unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
			return nil, errors.Join(fmt.Errorf("watch %s: %w", b.new(user), err), a.notes.Close())
		}
	}
	go a.read()
	return a, nil
}

// read counts events, until the file is closed.
func (a *Arrivals) read() {
	defer close(a.seen)
	buf := make([]byte, 64<<10)
	for {
		n, err := a.notes.Read(buf)
		if err != nil {
			return
		}
		events := 0
		for at := 0; at+unix.SizeofInotifyEvent <= n; events++ {
			var e unix.InotifyEvent
			binary.Read(bytes.NewReader(buf[at:n]), binary.NativeEndian, &e) // 16 octets, which are there
			at += unix.SizeofInotifyEvent + int(e.Len)
		}
		a.seen <- events
	}
}

// Await waits until n messages have come, or none has for so long, and returns when the last one
// came.
func (a *Arrivals) Await(n int, patience time.Duration) (last time.Time) {
	for n > 0 {
		select {
		case events, open := <-a.seen:
			if !open {
				return last
			}
			n -= events
			last = time.Now()
		case <-time.After(patience):
			return last
		}
	}
	return last
}

// Close ends it.
func (a *Arrivals) Close() error { return a.notes.Close() }
