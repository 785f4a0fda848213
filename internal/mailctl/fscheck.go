package mailctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"paperpath/maildir"
)

// Fscheck tries whether a file system does what we rely on.
type Fscheck struct {
	Dir   string
	Other string // a directory on another mount, "" for none
	Out   io.Writer
}

// Run prints one line for each property. The error has exit status 65 if one is missing.
func (f Fscheck) Run(ctx context.Context) error {
	found, err := maildir.Check(f.Dir, maildir.CheckOptions{Other: f.Other,
		Locked: func(path string) (bool, error) { return lockedForAnother(ctx, path) }})
	failed := 0
	for _, p := range found {
		word, more := "pass", ""
		switch {
		case p.Err != nil && p.Spared:
			word = "note"
		case p.Err != nil:
			word = "fail"
			failed++
		}
		if p.Err != nil {
			more = ": " + oneLine(p.Err.Error())
		} else if p.Detail != "" {
			more = " (" + p.Detail + ")"
		}
		if _, err := fmt.Fprintf(f.Out, "%s  %s%s\n", word, p.Name, more); err != nil {
			return err
		}
	}
	if err == nil && failed > 0 {
		err = refused("%s: %d of %d things that mail relies on fail here", f.Dir, failed, len(found))
	}
	return err
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

const lockedWord = "locked"

// Locked says whether somebody has locked a file: what Run asks another process.
func (f Fscheck) Locked(path string) error {
	locked, err := maildir.Locked(path)
	if err != nil {
		return err
	}
	word := "free"
	if locked {
		word = lockedWord
	}
	_, err = fmt.Fprintln(f.Out, word)
	return err
}

// lockedForAnother asks a process of its own: on some network file systems a process is never
// kept out by a lock of its own.
func lockedForAnother(ctx context.Context, path string) (bool, error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	out, err := exec.CommandContext(ctx, self, "fscheck", "locked", path).Output()
	return strings.TrimSpace(string(out)) == lockedWord, err
}
