// Package visible makes text of strangers harmless: addresses, replies, file names
// and messages may hold escape sequences, C1 controls (ECMA-48), characters that turn
// the order of a line around, and line ends that forge a reply or a header field.
//
// What is not allowed where the text goes is never dropped but written as \x1b (an
// octet) or \u{9b} (a character). Who reads the text decides which form it takes:
//
//	Escape  a value in a listing, so that it can be read back: a backslash is doubled
//	Line    a sentence for people, on one line
//	ASCII   a reply of SMTP or POP3, a 7-bit field of a report, what a host replied
//	Field   an address in a header field in UTF-8, which must arrive as it is
//	JSON    a line of JSON
//	Copy    a whole message to a terminal
//
// Events need none of them: maillog quotes every value.
package visible

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Escape writes s so that it can be read back: anything but visible characters and blanks
// becomes \x1b or \u{9b}, and a backslash is doubled.
func Escape(s string) string {
	if plain(s) && strings.IndexByte(s, '\\') < 0 {
		return s // nearly always
	}
	return replace(s, func(r rune) string {
		if r == '\\' {
			return `\\`
		}
		return ""
	})
}

// Line writes a text for people on one line: LF, CR and TAB become blanks, anything else
// that is not visible is escaped as in Escape, and a backslash stays as it is.
func Line(s string) string {
	if plain(s) {
		return s // nearly always
	}
	return replace(s, blank)
}

// ASCII is Line in printable ASCII, for replies to clients (RFC 5321 4.2, RFC 1939
// 3), for the fields of a report without SMTPUTF8 (RFC 3464 2.1), and for what
// other hosts replied.
func ASCII(s string) string {
	if plain(s) {
		return s // nearly always
	}
	return replace(s, func(r rune) string {
		if text := blank(r); text != "" || r < utf8.RuneSelf {
			return text
		}
		return fmt.Sprintf(`\u{%x}`, r)
	})
}

// Field writes an address for a header field in UTF-8 (RFC 6532, RFC 6533): only
// controls and separators of lines are escaped, which no address of RFC 6531 has.
func Field(s string) string {
	return replace(s, func(r rune) string {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ""
		}
		return string(r)
	})
}

// Shorten cuts a text to at most so many octets, of which the last three are "...". It
// never splits a character.
func Shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const dots = "..."
	whole := max(most-len(dots), 0)
	return s[:wholeRunes([]byte(s[:whole]))] + dots
}

// plain reports whether s has visible characters of ASCII and blanks alone.
func plain[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func blank(r rune) string {
	if r == '\n' || r == '\r' || r == '\t' {
		return " "
	}
	return ""
}

// replace escapes what is not visible in s. own is asked first, for every character;
// "" is no answer.
func replace(s string, own func(r rune) string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		text := ""
		if n > 1 || r != utf8.RuneError {
			text = own(r)
		}
		switch {
		case text != "":
			b.WriteString(text)
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// encoder writes JSON into a line.
type encoder struct {
	line bytes.Buffer
	*json.Encoder
}

// encoders are used again: a queue may have 100,000 entries.
var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.Encoder = json.NewEncoder(&e.line)
	e.SetEscapeHTML(false)
	return e
}}

// JSON writes v as one line of JSON in which characters that are not visible are escaped
// (RFC 8259 7): encoding/json leaves DEL, C1 controls and the like as they are.
func JSON(w io.Writer, v any) error {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.line.Reset()
	if err := e.Encode(v); err != nil {
		return err
	}
	if plain(e.line.Bytes()[:e.line.Len()-1]) {
		_, err := e.line.WriteTo(w)
		return err
	}
	text := strings.TrimSuffix(e.line.String(), "\n")
	var out strings.Builder
	for _, r := range text {
		switch hi, lo := pair(r); {
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case lo != 0:
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, out.String()+"\n")
	return err
}

// pair returns the surrogates of a character beyond U+FFFF, else 0.
func pair(r rune) (hi, lo rune) {
	if r < 0x10000 {
		return 0, 0
	}
	return 0xd800 + (r-0x10000)>>10, 0xdc00 + (r-0x10000)&0x3ff
}

// Copy copies a text of many lines. For a terminal it escapes what is not visible, except
// TAB and LF; a pipe or a file gets every octet unchanged.
func Copy(w io.Writer, r io.Reader) error {
	if !isTerminal(w) {
		_, err := io.Copy(w, r)
		return err
	}
	return filter(w, r)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// filter is Copy to a terminal.
func filter(w io.Writer, r io.Reader) error {
	buf := make([]byte, 32<<10)
	had := 0 // octets at the start of buf that may begin a character
	for {
		n, err := r.Read(buf[had:])
		n += had
		whole := n
		if err == nil {
			whole = wholeRunes(buf[:n])
		}
		text := replace(string(buf[:whole]), func(r rune) string {
			if r == '\n' || r == '\t' {
				return string(r)
			}
			return ""
		})
		if _, failed := io.WriteString(w, text); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		had = copy(buf, buf[whole:n])
	}
}

// wholeRunes returns the length of b without an incomplete character at its end.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if at := len(b) - i; utf8.RuneStart(b[at]) {
			if utf8.FullRune(b[at:]) {
				break
			}
			return at
		}
	}
	return len(b)
}
