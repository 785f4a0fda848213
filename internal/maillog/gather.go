package maillog

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// gatherFor is how long an event waits at most for others to be written with it.
const gatherFor = 100 * time.Millisecond

// gathered are events of a runner that wait to be written together.
type gathered struct {
	mu    sync.Mutex
	on    bool
	lines []byte
	timer *time.Timer // writes them; nil: none waits
}

// Gather has the events of deliveries written together, many in one write, until end is called:
// each is written within a tenth of a second, before any other event of this log, and when Flush
// is called.
func (l *Log) Gather() (end func()) {
	if l == nil || l.gathered == nil {
		return func() {}
	}
	l.gathered.set(true)
	return func() {
		l.gathered.set(false)
		l.Flush()
	}
}

func (g *gathered) set(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = on
}

// Flush writes the events that wait.
func (l *Log) Flush() {
	if l == nil || l.gathered == nil {
		return
	}
	if lines := l.gathered.take(); lines != nil {
		l.to.write(lines)
	}
}

// take returns the lines that wait, which the caller has to write.
func (g *gathered) take() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	lines := g.lines
	g.lines = nil
	return lines
}

// soon is event for one that may wait for others.
func (l *Log) soon(name, key string, attrs ...slog.Attr) {
	if l == nil {
		return
	}
	line := l.line(name, key, attrs...)
	if l.gathered == nil || line == nil || !l.gathered.add(line, l.Flush) {
		l.put(line)
	}
}

// add keeps a line, unless it is to be written now, with those that wait.
func (g *gathered) add(line []byte, flush func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.on || len(g.lines)+len(line) > maxHeld {
		return false
	}
	if g.lines == nil {
		g.lines = make([]byte, 0, maxHeld)
		g.timer = time.AfterFunc(gatherFor, flush)
	}
	g.lines = append(g.lines, line...)
	return true
}

// put writes a line, after those that wait.
func (l *Log) put(line []byte) {
	switch {
	case line == nil:
	case l.held != nil:
		l.held.add(line)
	default:
		if l.gathered != nil {
			line = l.after(line)
		}
		l.to.write(line)
	}
}

// after returns what waits and a line, if they can be written as one. It writes what waits if not.
func (l *Log) after(line []byte) []byte {
	waits := l.gathered.take()
	switch {
	case waits == nil:
		return line
	case len(waits)+len(line) <= maxHeld:
		return slices.Concat(waits, line)
	}
	l.to.write(waits)
	return line
}
