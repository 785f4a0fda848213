package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"paperpath/internal/status"
)

// manifestName is the file of a copy that lists its files: a line each with the SHA-256 of
// the content, the octets, and the name as a Go string literal.
const manifestName = "backup.manifest"

// record writes a line of the manifest and counts the file.
func (w *writer) record(c *copied) error {
	w.counts.Files++
	w.counts.Octets += c.size
	_, err := fmt.Fprintf(w.lines, "%s %d %s\n", hex.EncodeToString(c.sum[:]), c.size, strconv.Quote(c.path))
	return err
}

func (w *writer) writeManifest() error {
	err := w.lines.Flush()
	return errors.Join(err, w.manifest.Sync())
}

// Finding is a difference between a copy and its manifest.
type Finding struct {
	Path string // in the copy
	What string
}

// Verify reads every file of the copy at path and tells report what differs from the
// manifest. It returns the number of files that were compared. A copy that is not
// complete is refused.
func Verify(ctx context.Context, path string, report func(Finding)) (files int, err error) {
	if _, err := os.Lstat(filepath.Join(path, incomplete)); err == nil {
		return 0, status.Refuse("5.0.0", path+" is an incomplete backup: mailctl backup was interrupted there")
	}
	f, err := os.Open(filepath.Join(path, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, status.Refuse("5.0.0", fmt.Sprintf("%s is no backup: it has no file %s", path, manifestName))
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	root, err := os.OpenRoot(path)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	v := verifier{ctx: ctx, root: root, report: report, listed: map[string]bool{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		if err := v.line(lines.Text()); err != nil {
			return len(v.listed), err
		}
	}
	if err := lines.Err(); err != nil {
		return len(v.listed), fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return len(v.listed), v.extra()
}

type verifier struct {
	ctx    context.Context
	root   *os.Root
	report func(Finding)
	listed map[string]bool
}

// line compares a file with its line of the manifest.
func (v verifier) line(text string) error {
	if err := v.ctx.Err(); err != nil {
		return err
	}
	words := strings.SplitN(text, " ", 3)
	bad := status.Refuse("5.0.0", fmt.Sprintf("%s has a line that is not one of a manifest: %.60q", manifestName, text))
	if len(words) != 3 {
		return bad
	}
	name, err := strconv.Unquote(words[2])
	if err != nil {
		return bad
	}
	v.listed[name] = true
	sum, size, err := v.sum(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.report(Finding{name, "is missing"})
	case err != nil:
		v.report(Finding{name, "cannot be read: " + err.Error()})
	case strconv.FormatInt(size, 10) != words[1]:
		v.report(Finding{name, fmt.Sprintf("has %d octets instead of %s", size, words[1])})
	case sum != words[0]:
		v.report(Finding{name, "has another content"})
	}
	return nil
}

func (v verifier) sum(name string) (sum string, size int64, err error) {
	st, err := v.root.Lstat(name)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return "", 0, err
	}
	f, err := v.root.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// extra reports the files that the manifest does not list.
func (v verifier) extra() error {
	return fs.WalkDir(v.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() && name != manifestName && !v.listed[name] {
			v.report(Finding{name, "is not in the manifest"})
		}
		return nil
	})
}
