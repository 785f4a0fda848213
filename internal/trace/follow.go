package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"paperpath/internal/maillog"
)

// pollEvery is how often the log is looked at for more.
const pollEvery = 200 * time.Millisecond

// Hold opens the log that Follow will follow; Find comes in between.
func (t *Trace) Hold(log string) (err error) {
	t.tail, err = openTail(log)
	return err
}

// Follow prints the events that belong to the subject as they are written to the log that
// Hold has opened, from where Find has read to, until ctx ends. A file that was renamed
// away is read to its end.
func (t *Trace) Follow(ctx context.Context, out io.Writer, json bool) error {
	of, _ := t.wanted()
	f := &following{Trace: t, of: of, out: out, json: json}
	defer func() { t.tail.close() }()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		renamed := t.tail.renamed() // what comes between the two looks is in the old file
		if err := errors.Join(t.tail.more(f.event), f.err); err != nil {
			return err
		}
		if renamed {
			t.tail.close()
			var err error
			if t.tail, err = openTail(t.tail.path); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// following prints what belongs to the subject.
type following struct {
	*Trace
	of   map[string]int
	p    printer
	out  io.Writer
	json bool
	err  error
}

func (f *following) event(e maillog.Event) {
	before := len(f.hits)
	links := len(f.links)
	f.look(e)
	if len(f.hits) != before || len(f.links) != links {
		f.of, _ = f.wanted()
	}
	if _, ok := f.of[messageOf(e)]; !ok || f.err != nil {
		return
	}
	s, err := newStep(e)
	if err != nil {
		return
	}
	if f.json {
		f.err = s.json(f.out, root(e.Key))
		return
	}
	var b strings.Builder
	f.p.line(&b, s)
	_, f.err = io.WriteString(f.out, b.String())
}

// tail is a file that grows.
type tail struct {
	path string
	f    *os.File // nil: there is none yet
	is   fs.FileInfo
	read int64
}

func openTail(path string) (*tail, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &tail{path: path}, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, denied(path)
	case err != nil:
		return nil, fmt.Errorf("open the log: %w", err)
	}
	is, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &tail{path: path, f: f, is: is}, nil
}

func (t *tail) close() {
	if t.f != nil {
		t.f.Close()
		t.f = nil
	}
}

// renamed reports whether the path leads to another file than the open one.
func (t *tail) renamed() bool {
	now, err := os.Stat(t.path)
	return err == nil && (t.f == nil || !os.SameFile(now, t.is))
}

// more calls do for the events that were added.
func (t *tail) more(do func(maillog.Event)) error {
	if t.f == nil {
		return nil
	}
	n, err := lines(reader(io.NewSectionReader(t.f, t.read, 1<<62)), do)
	t.read += n
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	return nil
}
