package mailctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/trace"
)

// Trace prints the lives of the messages that What names: a key, an address or a
// Message-ID.
type Trace struct {
	Home    string
	Control *control.Control
	What    string
	Since   time.Time // zero: from the beginning
	Most    int       // messages shown
	Files   []string  // instead of the log of the home; "-" is In
	In      io.Reader
	Follow  bool
	JSON    bool
	Now     func() time.Time
	Out     io.Writer
	Notes   io.Writer
}

// Run prints what it finds. Nothing found is an error, exit status 65, unless the search
// goes on.
func (t Trace) Run(ctx context.Context) error {
	search, err := trace.New(t.What, t.Since, t.Most)
	if err != nil {
		return err
	}
	if len(t.Files) == 0 {
		if err := spool.CheckHome(t.Home); err != nil {
			return err
		}
	}
	files, clean, err := t.files()
	if err != nil {
		return err
	}
	defer clean()
	if t.Follow {
		if err := search.Hold(filepath.Join(t.Home, "log", "mail.log")); err != nil {
			return err
		}
	}
	lives, more, err := search.Find(files)
	if err != nil {
		return err
	}
	for i, l := range lives {
		if err := t.print(l, i > 0); err != nil {
			return err
		}
	}
	if more > 0 {
		fmt.Fprintf(t.Notes, "mailctl: %d earlier messages match too: see --since and --most\n", more)
	}
	switch {
	case t.Follow:
		return search.Follow(ctx, t.Out, t.JSON)
	case len(lives) == 0:
		return t.nothing(files)
	}
	return nil
}

func (t Trace) print(l trace.Life, again bool) error {
	if t.JSON {
		return l.JSON(t.Out)
	}
	if again {
		if _, err := fmt.Fprintln(t.Out); err != nil {
			return err
		}
	}
	return l.Print(t.Out, t.Now())
}

// files returns what to read, and a function that removes the copy of standard input:
// it is read twice.
func (t Trace) files() (list []string, clean func(), err error) {
	clean = func() {}
	if len(t.Files) == 0 {
		list, err = trace.Files(t.Home, t.Since)
		return list, clean, err
	}
	if t.Follow {
		return nil, clean, status.UsageError("--follow follows the log of the home, so it cannot go with --file")
	}
	for _, name := range t.Files {
		if name == "-" {
			dir, err := os.MkdirTemp("", "mailctl-")
			if err != nil {
				return nil, clean, status.Temp("4.3.1", "cannot store standard input", err)
			}
			clean = func() { os.RemoveAll(dir) }
			name = filepath.Join(dir, "stdin")
			if err := copyTo(name, t.In); err != nil {
				clean()
				return nil, func() {}, status.Temp("4.3.1", "cannot store standard input", err)
			}
		}
		list = append(list, name)
	}
	return list, clean, nil
}

func copyTo(name string, in io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// nothing says that no event matches, and where else there may be some.
func (t Trace) nothing(files []string) error {
	text := fmt.Sprintf("no event about %q in %s", t.What, "the log")
	if len(t.Files) > 0 {
		text = fmt.Sprintf("no event about %q in %s", t.What, strings.Join(t.Files, " "))
	} else if dest, err := t.Control.Log(); err == nil && dest != "file" {
		text += fmt.Sprintf("; control/log sends events to %s (mailctl trace --file FILE reads them there)", dest)
	} else if len(files) == 0 {
		text += ": " + filepath.Join(t.Home, "log") + " has no mail.log"
		if !t.Since.IsZero() {
			text += " written since " + t.Since.UTC().Format(time.RFC3339)
		}
	}
	return status.Refuse("5.0.0", text)
}

// Since reads a time for people: a span before now (90m, 2h, 3d), a date, a date and a
// time of UTC, or a time as RFC 3339 has it. "" is the zero time.
func Since(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	span, err := control.ParseSpan(text)
	if err != nil {
		return time.Time{}, status.UsageError("--since %q: neither a span such as 90m, 2h or 3d nor a date such as 2026-11-23", text)
	}
	return now.Add(-span), nil
}
