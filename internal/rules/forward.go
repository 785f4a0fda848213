package rules

import (
	"errors"
	"fmt"
	"strings"
)

// parseForward reads a .forward file: items with commas or line ends between them, in the
// syntax of the right side in aliases(5). An empty file stores in the mailbox.
func (r *Rules) parseForward(d *Dir, text string) error {
	n, items := 0, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		for rest := line; rest != ""; {
			var item string
			var err error
			if item, rest, err = cutItem(rest); err != nil {
				return fmt.Errorf("%s:%d: %w", r.File, n, err)
			}
			if item == "" {
				continue
			}
			items++
			if err := r.forwardItem(d, item, n); err != nil {
				return err
			}
		}
	}
	if items == 0 {
		return r.add(Store, "", max(n, 1))
	}
	return nil
}

// cutItem takes the first item, up to a comma outside quotes.
func cutItem(s string) (item, rest string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:]), nil
		}
	}
	if quoted {
		return "", "", errors.New("a quote is not closed")
	}
	return strings.TrimSpace(s), "", nil
}

func (r *Rules) forwardItem(d *Dir, item string, n int) error {
	if strings.ContainsRune(item, 0) {
		return fmt.Errorf("%s:%d has a NUL", r.File, n)
	}
	if inside, ok := unquote(item); ok && inside != "" && strings.ContainsRune("|/:", rune(inside[0])) {
		item = inside
	}
	switch {
	case item[0] == '|':
		command := strings.TrimSpace(item[1:])
		if inside, ok := unquote(command); ok { // |"command"
			command = inside
		}
		return r.add(Program, command, n)
	case strings.HasPrefix(strings.ToLower(item), ":include:"):
		return r.include(d, strings.TrimSpace(item[len(":include:"):]), n)
	case item[0] == '/':
		return r.file(item, n)
	case item[0] == '~':
		return fmt.Errorf("%s:%d: %q is no address (write the whole path of a file)", r.File, n, item)
	case item[0] == '\\':
		return r.add(Store, item[1:], n)
	}
	return r.add(Forward, item, n)
}

// unquote removes the quotes around a whole item, and its backslashes.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s, false
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '"' {
			return s, false // "local part"@example.org has another quote inside
		}
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// include adds the addresses of a list, a file in the same directory: nothing else may stand
// in it.
func (r *Rules) include(d *Dir, path string, n int) error {
	name := strings.TrimPrefix(strings.TrimPrefix(path, d.home+"/"), "./")
	if name == "" || strings.Contains(name, "/") || name == ".." || name == "." {
		return fmt.Errorf("%s:%d: :include: is for a file in the home itself, not %q", r.File, n, path)
	}
	text, _, err := d.read(name)
	if err != nil {
		return err
	}
	if text == nil {
		return fmt.Errorf("%s:%d: there is no file %s", r.File, n, name)
	}
	list := Rules{File: name}
	line := 0
	for row := range strings.Lines(string(text)) {
		line++
		for rest := strings.TrimSpace(row); rest != "" && rest[0] != '#'; {
			var item string
			if item, rest, err = cutItem(rest); err != nil {
				return fmt.Errorf("%s:%d: %w", name, line, err)
			}
			if item == "" {
				continue
			}
			if strings.ContainsRune("|/:~\\", rune(item[0])) || strings.HasPrefix(item, `"|`) || strings.HasPrefix(item, `"/`) {
				return fmt.Errorf("%s:%d: %q is no address", name, line, item)
			}
			if err := list.add(Forward, item, line); err != nil {
				return err
			}
		}
	}
	if len(r.Steps)+len(list.Steps) > maxSteps {
		return fmt.Errorf("%s: more than %d instructions", r.File, maxSteps)
	}
	r.Steps = append(r.Steps, list.Steps...)
	return nil
}
