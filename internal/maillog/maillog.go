// Package maillog writes the events of the mail system, one line each. Every event has
// one method, in events.go, and is documented in maillog(5).
package maillog

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Log writes events. It never fails, and never waits for long: an event that
// cannot be written within a second is lost, the mail is not.
type Log struct {
	prog string
	now  func() time.Time
	to   writer
	held *held // events of Together; nil: there are none

	gathered *gathered // nil: none are
}

// Open returns the log of the program prog in home. dest is called before each event and
// returns the setting control/log: "" or "file" (home/log/mail.log), "stderr" or
// "syslog". dest must not write an event itself.
func Open(home, prog string, dest func() string, now func() time.Time) *Log {
	path := filepath.Join(home, "log", "mail.log")
	return To(&places{dest: dest, file: file{path: path}, system: system{prog: prog}}, prog, now)
}

// To returns a log that writes to w: for tests, for runs that report on stderr, and for
// processes whose events another one forwards.
func To(w io.Writer, prog string, now func() time.Time) *Log {
	l := &Log{prog: prog, now: now, gathered: &gathered{}}
	l.to.out, l.to.prog, l.to.lostLine, l.to.slot = w, prog, l.lostLine, make(chan struct{}, 1)
	return l
}

// event writes one line. A nil *Log discards.
func (l *Log) event(name, key string, attrs ...slog.Attr) {
	if l != nil {
		l.put(l.line(name, key, attrs...))
	}
}

// maxHeld is how many bytes of events are written together: what a pipe takes as a whole
// (PIPE_BUF), while others write to it.
const maxHeld = 4096

// held are events of one goroutine.
type held struct {
	log   *Log
	lines []byte
}

func (h *held) add(line []byte) {
	if len(h.lines)+len(line) > maxHeld {
		h.flush()
	}
	h.lines = append(h.lines, line...)
}

func (h *held) flush() {
	if len(h.lines) > 0 {
		h.log.to.write(h.lines)
		h.lines = nil // it may be written later
	}
}

// Together calls do with a log whose events are written together, a write for many of them: a
// message may have a thousand recipients. They are written when it returns.
func (l *Log) Together(do func(l *Log)) {
	if l == nil {
		do(nil)
		return
	}
	h := &held{log: l}
	defer h.flush()
	do(&Log{prog: l.prog, now: l.now, held: h})
}

// line formats an event.
func (l *Log) line(name, key string, attrs ...slog.Attr) []byte {
	if key == "" {
		key = NoKey
	}
	f := formats.Get().(*format)
	defer formats.Put(f)
	f.line.Reset()
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	r.AddAttrs(slog.String("time", l.now().UTC().Format("2006-01-02T15:04:05.000000Z")),
		slog.String("prog", l.prog), slog.String("event", name), slog.String("key", key))
	r.AddAttrs(attrs...)
	if f.handler.Handle(context.Background(), r) != nil {
		return nil
	}
	return quoteDelete(bytes.Clone(bytes.TrimPrefix(f.line.Bytes(), []byte(builtin))))
}

// builtin is what slog writes first: events have neither a level nor a message.
const builtin = `level=INFO msg="" `

// format writes a line.
type format struct {
	line    bytes.Buffer
	handler slog.Handler
}

// formats are reused: to make a handler costs as much as the line.
var formats = sync.Pool{New: func() any {
	f := new(format)
	f.handler = slog.NewTextHandler(&f.line, nil)
	return f
}}

// quoteDelete quotes the values that contain DEL: of all characters that a terminal may
// obey it is the only one that slog does not quote.
func quoteDelete(line []byte) []byte {
	for {
		at := bytes.IndexByte(line, 0x7f)
		if at < 0 {
			return line
		}
		// An unquoted value has no blanks.
		begin := bytes.LastIndexByte(line[:at], ' ') + 1
		begin += bytes.IndexByte(line[begin:], '=') + 1
		end := at + bytes.IndexAny(line[at:], " \n")
		quoted := strconv.Quote(string(line[begin:end]))
		line = slices.Concat(line[:begin], []byte(quoted), line[end:])
	}
}

// maxForwarded bounds a line of another process, in bytes.
const maxForwarded = 8 << 10

// Forward logs the events that another process of the same program writes to r (see
// To), until r ends. Anything else is left out: the process may be somebody else's.
func (l *Log) Forward(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxForwarded)
	for {
		line, err := lines.ReadSlice('\n')
		if err == nil && l.isEvent(line) {
			l.to.write(bytes.Clone(line)) // it may be written after this returns
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (l *Log) isEvent(line []byte) bool {
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	_, rest, _ := bytes.Cut(text, []byte(" "))
	return ended && bytes.HasPrefix(text, []byte("time=")) &&
		bytes.HasPrefix(rest, []byte("prog="+l.prog+" event=")) &&
		!bytes.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}
