package control

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"paperpath/internal/addr"
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

// lines returns the lines of a file without empty lines and comments. A comment has
// a line of its own, whose first non-blank character is #.
func lines(name string, data []byte) ([]line, error) {
	var out []line
	for n, rest := 1, string(data); rest != ""; n++ {
		var text string
		text, rest, _ = strings.Cut(rest, "\n")
		if err := notText(n, text); err != nil {
			return nil, fail(name, n, "%v", err)
		}
		if !isBlank(text) {
			out = append(out, line{n, strings.TrimRight(text, " \t")})
		}
	}
	return out, nil
}

// isBlank reports whether text is an empty line or a comment.
func isBlank(text string) bool {
	bare := strings.Trim(text, " \t\r")
	return bare == "" || bare[0] == '#'
}

// notText says why the bytes of line n are not text; nil: they are.
func notText(n int, text string) error {
	switch {
	case len(text) > maxLine:
		return errors.New("the line is too long")
	case isPlain(text):
		return nil
	case strings.HasSuffix(text, "\r"):
		return errors.New("the line ends with CR LF (lines end with LF alone)")
	case !utf8.ValidString(text):
		return errors.New("the line is not UTF-8")
	case n == 1 && strings.HasPrefix(text, "\ufeff"):
		return errors.New("the file begins with a byte order mark")
	case strings.HasPrefix(text, "\ufeff"):
		return errors.New("the line begins with a byte order mark")
	}
	if i := strings.IndexFunc(text, isControl); i >= 0 {
		return fmt.Errorf("control character %q", text[i:i+1])
	}
	return nil
}

// rawRow is a row of a table, or a line that should be one.
type rawRow struct {
	line
	wrong error // why its bytes cannot be a row
	torn  bool  // it is the last line, and has no line end
	blank bool  // an empty line or a comment; included only if something is wrong with it
}

// rawRows returns the rows of a table in the order of its lines. If joined, a line
// that begins with a blank continues the one before it.
func rawRows(data []byte, joined bool) []rawRow {
	return slices.Collect(eachRawRow(eachLine(data), joined))
}

// eachLine yields the lines of a file, and whether they end with a line end.
func eachLine(data []byte) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for rest := string(data); rest != ""; {
			text, after, ended := strings.Cut(rest, "\n")
			if rest = after; !yield(text, ended) {
				return
			}
		}
	}
}

// eachRawRow is rawRows for one row after the other. An empty line that has something wrong with it
// may come before the row above it, which the next line may continue.
func eachRawRow(lines iter.Seq2[string, bool], joined bool) iter.Seq[rawRow] {
	return func(yield func(rawRow) bool) {
		var row *rawRow // not yielded yet
		flush := func() bool {
			if row == nil {
				return true
			}
			had := *row
			row = nil
			return yield(had)
		}
		any := false
		n := 0
		for text, ended := range lines {
			n++
			l := rawRow{line: line{n, strings.TrimRight(text, " \t")}, wrong: notText(n, text), torn: !ended,
				blank: isBlank(text)}
			goesOn := joined && !l.blank && strings.ContainsAny(text[:1], " \t")
			switch {
			case l.blank && l.wrong == nil && !l.torn:
			case l.blank:
				if l.torn && !flush() || !yield(l) {
					return
				}
			case goesOn && any:
				row.join(l)
			default:
				if goesOn && l.wrong == nil {
					l.wrong = errors.New("the first line begins with a blank and continues nothing")
				}
				if !flush() {
					return
				}
				row, any = &l, true
			}
		}
		flush()
	}
}

// join adds a line that continues r.
func (r *rawRow) join(l rawRow) {
	r.text += l.text
	r.torn = l.torn
	if r.wrong == nil {
		r.wrong = l.wrong
	}
	if r.wrong == nil && len(r.text) > maxLine {
		r.wrong = errors.New("the row is too long")
	}
}

// isPlain reports whether text is printable ASCII and tabs, as almost every line is.
func isPlain(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}

// isControl reports whether r is a control character other than tab.
func isControl(r rune) bool { return r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) }

// items returns the lines of a list: one item a line, without the blanks around it.
func items(name string, data []byte) ([]line, error) {
	ls, err := lines(name, data)
	for i := range ls {
		ls[i].text = strings.Trim(ls[i].text, " \t")
	}
	return ls, err
}

// rows returns the rows of a table. Keys are unique, ignoring case.
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
		if err := once(name, seen, addr.Fold(r.key), l.n); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func splitRow(name string, l line) (row, error) {
	key, value, err := keyAndValue(l.text)
	if err != nil {
		return row{}, fail(name, l.n, "%v", err)
	}
	return row{l.n, key, value}, nil
}

// keyAndValue cuts a row at the colon after its key.
func keyAndValue(text string) (key, value string, err error) {
	i := keyEnd(text)
	if i < 0 {
		return "", "", errors.New("no colon (a row is `key: value`)")
	}
	key, value = strings.TrimRight(text[:i], " \t"), strings.TrimLeft(text[i+1:], " \t")
	switch {
	case key == "":
		return "", "", errors.New("no key before the colon")
	case value == "":
		return "", "", fmt.Errorf("no value after %q", key+":")
	}
	return key, value, nil
}

// keyEnd returns the index of the colon after a row's key, or -1.
func keyEnd(text string) int {
	from := 0
	if strings.HasPrefix(text, "[") { // a domain literal may hold colons
		from = max(strings.IndexByte(text, ']'), 0)
	}
	i := strings.IndexByte(text[from:], ':')
	if i < 0 {
		return i
	}
	return from + i
}

// once records key and refuses a second one.
func once(name string, seen map[string]int, key string, n int) error {
	if first, twice := seen[key]; twice {
		return fail(name, n, "%q is already in line %d", key, first)
	}
	seen[key] = n
	return nil
}

// scalar returns the only value of a file, with its line.
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
