package control

import (
	"strings"
	"unicode/utf8"
)

// line is one line of a control file that is neither empty nor a comment.
type line struct {
	n    int // from 1
	text string
}

// row is one row `key: value` of a table.
type row struct {
	n          int
	key, value string
}

// lines returns the lines of a file that say something. A comment has a line
// of its own and begins with #, blanks before it aside.
func lines(name string, data []byte) ([]line, error) {
	var out []line
	for n, rest := 1, string(data); rest != ""; n++ {
		var text string
		text, rest, _ = strings.Cut(rest, "\n")
		if err := clean(name, n, text); err != nil {
			return nil, err
		}
		bare := strings.Trim(text, " \t")
		if bare != "" && bare[0] != '#' {
			out = append(out, line{n, strings.TrimRight(text, " \t")})
		}
	}
	return out, nil
}

// clean refuses bytes that are no text.
func clean(name string, n int, text string) error {
	switch {
	case len(text) > maxLine:
		return fail(name, n, "the line is too long")
	case strings.HasSuffix(text, "\r"):
		return fail(name, n, "the line ends with CR LF (lines end with LF alone)")
	case !utf8.ValidString(text):
		return fail(name, n, "the line is not UTF-8")
	case strings.HasPrefix(text, "\ufeff"):
		return fail(name, n, "the file begins with a byte order mark")
	}
	if i := strings.IndexFunc(text, isControl); i >= 0 {
		return fail(name, n, "control character %q", text[i:i+1])
	}
	return nil
}

// isControl reports control characters, tab aside.
func isControl(r rune) bool { return r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) }

// items returns the lines of a list: an item a line, blanks around it aside.
func items(name string, data []byte) ([]line, error) {
	ls, err := lines(name, data)
	for i := range ls {
		ls[i].text = strings.Trim(ls[i].text, " \t")
	}
	return ls, err
}

// rows returns the rows of a table. A key occurs once, whatever its case.
func rows(name string, data []byte) ([]row, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	out := make([]row, 0, len(ls))
	seen := map[string]int{}
	for _, l := range ls {
		r, err := splitRow(name, l)
		if err != nil {
			return nil, err
		}
		if err := once(name, seen, Fold(r.key), l.n); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func splitRow(name string, l line) (row, error) {
	from := 0
	if strings.HasPrefix(l.text, "[") { // a domain literal may hold colons
		from = max(strings.IndexByte(l.text, ']'), 0)
	}
	i := strings.IndexByte(l.text[from:], ':')
	if i < 0 {
		return row{}, fail(name, l.n, "no colon (a row is `key: value`)")
	}
	r := row{l.n, strings.TrimRight(l.text[:from+i], " \t"), strings.TrimLeft(l.text[from+i+1:], " \t")}
	switch {
	case r.key == "":
		return row{}, fail(name, l.n, "no key before the colon")
	case r.value == "":
		return row{}, fail(name, l.n, "no value after %q", r.key+":")
	}
	return r, nil
}

// once records key and refuses a second one.
func once(name string, seen map[string]int, key string, n int) error {
	if first, twice := seen[key]; twice {
		return fail(name, n, "%q stands in line %d already", key, first)
	}
	seen[key] = n
	return nil
}

// scalar returns the one value of a file, with its line.
func scalar(name string, data []byte) (line, error) {
	ls, err := items(name, data)
	switch {
	case err != nil:
		return line{}, err
	case len(ls) == 0:
		return line{}, failFile(name, "the file is empty (remove it for the default)")
	case len(ls) > 1:
		return line{}, fail(name, ls[1].n, "a second value (the file holds one)")
	}
	return ls[0], nil
}
