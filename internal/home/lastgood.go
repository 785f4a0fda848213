package home

import "sync"

// Concurrency returns what reads the number of control/concurrency that is in
// force at each call. An error is one of now. Later the
// last number stays in force where the file cannot be read, and the log has why, once
// until it can be read again.
func (h *Home) Concurrency(name string) (func() int, error) {
	read := func() (int, error) { return h.Control.Concurrency(name) }
	first, err := read()
	if err != nil {
		return nil, err
	}
	op := "read " + name + " of control/concurrency"
	return lastGood(first, read, func(err error) { h.Log.Trouble("", op, err) }), nil
}

// logsTo returns what reads control/log at each call. While it cannot be read the
// last place stays; that is told apart, for the log asks in the midst of an event.
func (h *Home) logsTo() func() string {
	return lastGood("", h.Control.Log, func(err error) { go h.Log.Trouble("", "read where the log is", err) })
}

// lastGood returns what reads a setting at each call. While that fails the last
// value stays, and tell hears of the first failure. It may be called concurrently.
func lastGood[T any](last T, read func() (T, error), tell func(error)) func() T {
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
			tell(err)
		}
		return last
	}
}
