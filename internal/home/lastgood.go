package home

import (
	"sync"

	"paperpath/internal/control"
)

// Concurrency returns a function that reads a number of control/concurrency at each
// call. The error is that of the first read. After that, the last number stays in
// force while the file cannot be read, and the reason is logged once.
func (h *Home) Concurrency(name string) (func() int, error) {
	read := func() (int, error) { return h.Control.Concurrency(name) }
	first, err := read()
	if err != nil {
		return nil, err
	}
	op := "read " + name + " of control/concurrency"
	return lastGood(first, read, func(err error) { h.Log.Trouble("", op, err) }), nil
}

// logsTo returns a function that reads control/log for an event. While it cannot be
// read, the last value stays in force. Another goroutine writes the event about that,
// because the log calls this function while it writes an event.
func (h *Home) logsTo() func() string {
	c := h.Control.View(control.Moment)
	return lastGood("", c.Log, func(err error) { go h.Log.Trouble("", "read control/log", err) })
}

// lastGood returns a function that reads a setting at each call. While that fails
// it returns the last value, and report gets the first error. It may be called
// concurrently.
func lastGood[T any](last T, read func() (T, error), report func(error)) func() T {
	var mu sync.Mutex
	reported := false
	return func() T {
		mu.Lock()
		defer mu.Unlock()
		v, err := read()
		if err == nil {
			last, reported = v, false
		} else if !reported {
			reported = true
			report(err)
		}
		return last
	}
}
