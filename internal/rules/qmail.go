package rules

import (
	"fmt"
	"strings"
)

// parseQmail reads the lines of a .qmail file (dot-qmail(5)). An empty file stores in the
// mailbox.
func (r *Rules) parseQmail(text string) error {
	if text == "" {
		return r.add(Store, "", 1)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" && n == 1 {
			return fmt.Errorf("%s:1: the first line is empty", r.File)
		}
		if err := r.qmailLine(line, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rules) qmailLine(line string, n int) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	if strings.ContainsRune(line, 0) {
		return fmt.Errorf("%s:%d has a NUL", r.File, n)
	}
	switch line[0] {
	case '|':
		return r.add(Program, line[1:], n)
	case '.', '/':
		if line[0] == '.' && !strings.HasPrefix(line, "./") {
			return fmt.Errorf("%s:%d: %q does not begin with ./", r.File, n, line)
		}
		return r.file(line, n)
	case '+':
		r.ForwardOnly = r.ForwardOnly || line == "+list"
		return nil
	case '&':
		line = line[1:]
	}
	return r.add(Forward, line, n)
}
