// Package record keeps all that a verdict of mailcheck depends on in a directory, and makes
// the same verdict from it without a network: a report of a bug is one directory.
//
// It has the files case (the options, and the time), message, dns, rows, filters, explain,
// control/ with the settings that were read, without secrets, and lists/ with the lists that
// aliases include. A person can read and change all of them.
package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// The files of a record.
const (
	caseFile    = "case"
	messageFile = "message"
	dnsFile     = "dns"
	rowsFile    = "rows"
	filtersFile = "filters"
	explainFile = "explain"
	controlDir  = "control"
	listsDir    = "lists"
)

// Recorder notes what a verdict depends on.
type Recorder struct {
	Time    time.Time // the clock stands still
	Filters *check.FilterTape

	dir      string
	tape     *dns.Tape
	settings *control.Recording
}

// Begin begins to record, before anything is read. dir must not exist, or be empty.
func Begin(dir string, c *control.Control, r *dns.Resolver, now time.Time) (*Recorder, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the record: %w", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("make the record: %w", err)
	}
	if len(names) > 0 {
		return nil, status.UsageError("--record %s: the directory is not empty", dir)
	}
	return &Recorder{Time: now.UTC(), Filters: check.NewFilterTape(), dir: dir, tape: r.Record(), settings: c.Record()}, nil
}

// End writes the record of a verdict.
func (r *Recorder) End(c Case, body spool.Body, t *explain.Trail) error {
	c.Time = r.Time
	texts := map[string]func(io.Writer) error{
		caseFile:    c.write,
		dnsFile:     r.tape.Write,
		rowsFile:    writes(r.settings.Rows()),
		explainFile: func(w io.Writer) error { return t.Write(w, false) },
		messageFile: func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(body, 0, body.Size()))
			return err
		},
	}
	for name, data := range r.settings.Files() {
		texts[filepath.Join(controlDir, name)] = writes(data)
	}
	changed, err := r.Filters.Write(func(name string, b spool.Body) {
		texts[name] = func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(b, 0, b.Size()))
			return err
		}
	})
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	texts[filtersFile] = writes(changed)
	dirs := []string{controlDir}
	if lists := r.settings.Lists(); len(lists) > 0 {
		dirs = append(dirs, listsDir)
		for name, data := range lists {
			texts[filepath.Join(listsDir, name)] = writes(data)
		}
	}
	for _, sub := range dirs {
		if err := os.Mkdir(filepath.Join(r.dir, sub), 0o700); err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
	}
	for name, text := range texts {
		if err := r.write(name, text); err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
	}
	return nil
}

func writes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// write makes a file, older than it is: what is read of settings that have just changed
// is not believed at once.
func (r *Recorder) write(name string, text func(io.Writer) error) error {
	path := filepath.Join(r.dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(text(f), f.Close()); err != nil {
		return err
	}
	old := time.Now().Add(-time.Hour)
	return os.Chtimes(path, old, old)
}

// Record is what was recorded.
type Record struct {
	Case
	Control *control.Control
	DNS     *dns.Resolver
	Filters *check.FilterTape
	Message spool.Body

	file *os.File
}

// Limits of what is read of a record.
const (
	maxText    = 32 << 20 // octets of dns, rows and filters
	maxMessage = 1 << 30  // of one that a filter changed
	maxCase    = 1 << 20
	maxFiles   = 200   // in control/
	maxLists   = 10000 // in lists/
)

// Open reads a record. It may come from a stranger: nothing in it is run, and links in it
// lead nowhere. Close it.
func Open(dir string) (*Record, error) {
	r, err := open(dir)
	if err != nil {
		var known *status.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, &status.Error{Exit: status.Refused, Text: fmt.Sprintf("the record %s cannot be read: %v", dir, err)}
	}
	return r, nil
}

func open(dir string) (*Record, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := checkFiles(root, controlDir, maxFiles); err != nil {
		return nil, err
	}
	if err := checkFiles(root, listsDir, maxLists); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r := &Record{}
	if err := r.read(root, dir); err != nil {
		return nil, err
	}
	if r.file, err = openRegular(root, messageFile); err != nil {
		return nil, err
	}
	info, err := r.file.Stat()
	if err != nil {
		r.Close()
		return nil, err
	}
	r.Message = io.NewSectionReader(r.file, 0, info.Size())
	return r, nil
}

// read reads the texts.
func (r *Record) read(root *os.Root, dir string) error {
	data, err := text(root, caseFile, maxCase)
	if err != nil {
		return err
	}
	if r.Case, err = readCase(data); err != nil {
		return fmt.Errorf("%s: %w", caseFile, err)
	}
	if data, err = text(root, dnsFile, maxText); err != nil {
		return err
	}
	tape, err := dns.ReadTape(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%s: %w", dnsFile, err)
	}
	r.DNS = dns.Replay(tape)
	if data, err = text(root, filtersFile, maxText); err != nil {
		return err
	}
	if r.Filters, err = check.ReadFilterTape(data, func(name string) ([]byte, error) { return text(root, name, maxMessage) }); err != nil {
		return fmt.Errorf("%s: %w", filtersFile, err)
	}
	if data, err = text(root, rowsFile, maxText); err != nil {
		return err
	}
	if r.Control, err = control.Replay(dir, data); err != nil {
		return fmt.Errorf("%s: %w", rowsFile, err)
	}
	return nil
}

// Close closes the message.
func (r *Record) Close() { r.file.Close() }

// Now is the time of the record.
func (r *Record) Now() time.Time { return r.Time }

// checkFiles refuses a directory with more than most files, or with anything that is no plain file.
func checkFiles(root *os.Root, name string, most int) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if info, err := root.Lstat(name); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: not a directory", name)
	}
	names, err := d.ReadDir(most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(names) > most {
		return fmt.Errorf("%s: more than %d files", name, most)
	}
	for _, e := range names {
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s: not a regular file", filepath.Join(name, e.Name()))
		}
	}
	return nil
}

// openRegular opens a plain file.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	return root.Open(name)
}

// text reads a plain file; one that is missing is empty, but for the case.
func text(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := openRegular(root, name)
	if errors.Is(err, fs.ErrNotExist) && name != caseFile {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: more than %d octets", name, most)
	}
	return data, err
}
