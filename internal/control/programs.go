package control

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// maxLooked is how much of a file is looked at for programs: those that may name some are small.
const maxLooked = 1 << 20

// NamesPrograms reports whether some settings name a program that a stage or a server runs: it
// is then not to be confined so that it can run none. A file that cannot be read names none.
func (c *Control) NamesPrograms() bool {
	if c.UsersProgram() {
		return true
	}
	words := [][]byte{[]byte("program:"), []byte("command:")}
	for _, b := range c.backends {
		if b.programs {
			words = append(words, []byte(b.name+":"))
		}
	}
	files, _ := filepath.Glob(c.path("*"))
	more, _ := filepath.Glob(filepath.Join(c.path(relayLoginsDir), "*"))
	for _, path := range append(files, more...) {
		if filepath.Base(path) == "users" {
			continue
		}
		any := filepath.Base(path) == "accounts" // getent(1) is asked
		if namesAny(path, any, words) {
			return true
		}
	}
	return false
}

// namesAny reports whether a line that is no comment has one of the words, or is there at all.
func namesAny(path string, any bool, words [][]byte) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	text := make([]byte, min(info.Size(), maxLooked))
	n, _ := io.ReadFull(f, text)
	text = text[:n]
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		for _, word := range words {
			if any || bytes.Contains(line, word) {
				return true
			}
		}
	}
	return false
}
