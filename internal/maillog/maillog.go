// Package maillog writes the events of the mail system, one line each. Every
// line shape exists once, in events.go, and is documented in maillog(5).
package maillog

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"
)

// NoKey stands in key= of an event that concerns no entry.
const NoKey = "-"

// Log writes events. It never fails: an event that cannot be written is lost,
// the mail is not.
type Log struct {
	prog string
	now  func() time.Time
	mu   sync.Mutex
	out  io.Writer
}

// Open returns the log of the program prog in home. dest is what control/log
// holds: "" or "file" (home/log/mail.log), "stderr" or "syslog".
func Open(home, prog, dest string, now func() time.Time) *Log {
	l := &Log{prog: prog, now: now}
	switch dest {
	case "stderr":
		l.out = os.Stderr
	case "syslog":
		w, err := syslog.New(syslog.LOG_MAIL|syslog.LOG_INFO, prog)
		if err != nil {
			l.out = io.Discard
			break
		}
		l.out = w
	default:
		l.out = &file{path: filepath.Join(home, "log", "mail.log")}
	}
	return l
}

// To returns a log that writes to w, for the tests of other packages and for
// one-message runs that report on stderr.
func To(w io.Writer, prog string, now func() time.Time) *Log {
	return &Log{prog: prog, now: now, out: w}
}

// event writes one line with one write. A nil *Log discards.
func (l *Log) event(name, key string, attrs ...slog.Attr) {
	if l == nil {
		return
	}
	if key == "" {
		key = NoKey
	}
	var line bytes.Buffer
	h := slog.NewTextHandler(&line, &slog.HandlerOptions{ReplaceAttr: dropBuiltin})
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	r.AddAttrs(slog.String("time", l.now().UTC().Format("2006-01-02T15:04:05.000000Z")),
		slog.String("prog", l.prog), slog.String("event", name), slog.String("key", key))
	r.AddAttrs(attrs...)
	if h.Handle(context.Background(), r) != nil {
		return
	}
	l.write(line.Bytes())
}

func (l *Log) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Write(line)
}

// maxForwarded bounds a line of another process, in bytes.
const maxForwarded = 8 << 10

// Forward takes over the events that another process of the same program
// writes to r with To, until it ends. What is no event of that program is left
// out: the process may be somebody's else.
func (l *Log) Forward(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxForwarded)
	for {
		line, err := lines.ReadSlice('\n')
		if err == nil && l.isEvent(line) {
			l.write(line)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (l *Log) isEvent(line []byte) bool {
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	_, rest, _ := bytes.Cut(text, []byte(" "))
	return ended && bytes.HasPrefix(text, []byte("time=")) && bytes.HasPrefix(rest, []byte("prog="+l.prog+" event=")) &&
		!bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// dropBuiltin leaves out slog's own level and message; the event has its own.
func dropBuiltin(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.LevelKey || a.Key == slog.MessageKey {
		return slog.Attr{}
	}
	return a
}

// file is an append-only log file that follows rotation: where the name no
// longer leads to the open file, it is opened again.
type file struct {
	path string
	f    *os.File
	is   fs.FileInfo // which file f is
}

func (w *file) Write(p []byte) (int, error) {
	if w.f != nil && !w.current() {
		w.f.Close()
		w.f = nil
	}
	if w.f == nil {
		f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return 0, err
		}
		if w.is, err = f.Stat(); err != nil {
			f.Close()
			return 0, err
		}
		w.f = f
	}
	return w.f.Write(p)
}

func (w *file) current() bool {
	named, err := os.Stat(w.path)
	return err == nil && os.SameFile(named, w.is)
}
