package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// Files returns the log of a home and its rotated files, oldest first: mail.log.1,
// mail.log.2.gz, mail.log-20261127.gz and the like. Those that were last written before
// since are left out.
func Files(home string, since time.Time) ([]string, error) {
	dir := filepath.Join(home, "log")
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, denied(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, status.Temp("4.3.0", "cannot list the log", err)
	}
	type file struct {
		path string
		last time.Time
	}
	var found []file
	for _, e := range list {
		name := e.Name()
		if name != "mail.log" && !strings.HasPrefix(name, "mail.log.") && !strings.HasPrefix(name, "mail.log-") {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && !info.ModTime().Before(since) {
			found = append(found, file{filepath.Join(dir, name), info.ModTime()})
		}
	}
	slices.SortStableFunc(found, func(a, b file) int { return a.last.Compare(b.last) })
	var paths []string
	for _, f := range found {
		paths = append(paths, f.path)
	}
	return paths, nil
}

// Events calls do for each event in the log of a home since then, oldest file first.
func Events(home string, since time.Time, do func(maillog.Event)) error {
	files, err := Files(home, since)
	if err != nil {
		return err
	}
	from := []byte(since.UTC().Format(eventTime))
	for _, f := range files {
		err := each(f, func(e maillog.Event) {
			if bytes.Compare(e.Time, from) >= 0 {
				do(e)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eventTime is the form of an event's time.
const eventTime = "2006-01-02T15:04:05.000000Z"

func denied(path string) error {
	return &status.Error{Exit: status.NotAllowed,
		Text: fmt.Sprintf("%s: permission denied: the owner of the home and root may read the log", path)}
}

// maxLine bounds an event. What is longer was not written by us.
const maxLine = 1 << 20

// each calls do for each event of a file, plain or compressed by gzip.
func each(path string, do func(maillog.Event)) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return denied(path)
	}
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer f.Close()
	in := reader(f)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out, unpacked := io.Pipe() // unpacks on another processor
		defer out.Close()
		go func() { unpacked.CloseWithError(unpack(unpacked, z)) }()
		in = reader(out)
	}
	if _, err := lines(in, do); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func reader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxLine) }

// unpack copies what z holds; the error is nil at its end.
func unpack(to io.Writer, z *gzip.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{z}, make([]byte, 1<<20))
	return err
}

// lines calls do for each line that is an event, and returns the octets of whole lines: a
// last line without an end is still being written.
func lines(in *bufio.Reader, do func(maillog.Event)) (n int64, err error) {
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return n, nil
		}
		n += int64(len(line))
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return n, err
		}
		if e, ok := maillog.Parse(line); ok {
			do(e)
		}
	}
}
