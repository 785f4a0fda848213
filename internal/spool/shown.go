package spool

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"paperpath/internal/visible"
)

// The reason of a deferred entry says, too, what there is to show of the entry: a long queue is
// listed in half the time where one file has all of it. It is a line of its own,
//
//	entry NAME from <alice@example.org> to <bob@example.net>
//
// which a deferral writes where the last one does not say the same. Nobody works by it: stages
// and verbs read the entry. So does the listing, unless the line is whole and has the name of the
// entry with its sizes.

const (
	shownWord   = "entry "
	arrivedWord = " arrived " // where the key has another time
	changedWord = " changed " // where a mark can change what the line says
	fromWord    = " from "
	toWord      = " to "
	doneWord    = " done "

	maxShown = 1000 // octets of the line; an entry with more recipients is read
)

// shown is what the line says.
type shown struct {
	arrival time.Time
	changed time.Time // the mtime of the entry; zero: with its first mark the entry goes
	env     Envelope
}

// shownLine returns the line for the reason of the entry, with its end. It is "" where the reason
// has it, and where it could not be read back, or not with the eyes.
func (e *Entry) shownLine() string {
	s, n := shown{arrival: e.Arrival, env: e.Envelope}, e.fileName()
	if len(s.env.To) > 1 {
		st, err := e.file.Stat()
		if err != nil {
			return ""
		}
		s.changed = time.Unix(st.Mtim.Unix())
	}
	if line, ok := s.text(n); ok && line != string(e.reasons.shown) {
		return line + "\n"
	}
	return ""
}

// text is the line without its end; false where it could not be read back.
func (s shown) text(n fileName) (string, bool) {
	line := s.line(n)
	if len(line) > maxShown {
		return "", false
	}
	back, ok := parseShown([]byte(line), n)
	// Not so for example where an address or a parameter has a word of the line in it.
	return line, ok && back.env.From == s.env.From && slices.Equal(back.env.To, s.env.To) && back.line(n) == line
}

func (s shown) line(n fileName) string {
	b := n.append(append(make([]byte, 0, 256), shownWord...))
	if !s.arrival.Equal(n.key.Made()) {
		b = s.arrival.UTC().AppendFormat(append(b, arrivedWord...), time.RFC3339Nano)
	}
	if !s.changed.IsZero() {
		b = s.changed.UTC().AppendFormat(append(b, changedWord...), time.RFC3339Nano)
	}
	b = appendShown(b, fromWord, s.env.From.Addr, s.env.From.Params)
	for _, r := range s.env.To {
		if len(b) > maxShown {
			break
		}
		word := toWord
		if r.Done {
			word = doneWord
		}
		b = appendShown(b, word, r.Addr, r.Params)
	}
	return string(b)
}

func appendShown(b []byte, word, address, params string) []byte {
	b = append(append(append(append(b, word...), '<'), address...), '>')
	if params != "" {
		b = append(append(b, ' '), params...)
	}
	return b
}

// isShown reports whether a line in the reason of k is about the entry, and no reason.
func isShown(line []byte, k Key) bool {
	rest, ok := bytes.CutPrefix(line, []byte(shownWord))
	return ok && len(rest) >= len(k) && string(rest[:len(k)]) == string(k)
}

// parseShown reads the line of the entry that has the name n.
func parseShown(line []byte, n fileName) (s shown, ok bool) {
	var name [usualName]byte
	said, ok := bytes.CutPrefix(line, n.append(append(name[:0], shownWord...)))
	rest := string(said) // of which the addresses are cut
	if !ok || visible.Line(rest) != rest {
		return s, false
	}
	s.arrival = n.key.Made()
	var arrived, changed bool
	rest, arrived = cutTime(rest, arrivedWord, &s.arrival)
	rest, changed = cutTime(rest, changedWord, &s.changed)
	if s.env.From.Addr, s.env.From.Params, rest, ok = cutShown(rest, fromWord); !arrived || !changed || !ok {
		return s, false
	}
	for rest != "" {
		var r Recipient
		if r.Addr, r.Params, rest, ok = cutShown(rest, toWord); !ok {
			r.Addr, r.Params, rest, r.Done = cutShown(rest, doneWord)
		}
		if r.Addr == "" {
			return s, false
		}
		s.env.To = append(s.env.To, r)
	}
	return s, len(s.env.To) > 0 && s.changed.IsZero() == (len(s.env.To) == 1)
}

// cutTime takes a time that may be at the start of s.
func cutTime(s, word string, t *time.Time) (rest string, ok bool) {
	text, ok := strings.CutPrefix(s, word)
	if !ok {
		return s, true
	}
	end := strings.IndexByte(text, ' ')
	if end < 0 {
		return s, false
	}
	at, err := time.Parse(time.RFC3339Nano, text[:end])
	*t = at
	return text[end:], err == nil
}

// cutShown takes an address and its parameters from the start of s. They end where the next
// address begins.
func cutShown(s, word string) (address, params, rest string, ok bool) {
	text, ok := strings.CutPrefix(s, word)
	end := pathEnd(text)
	if !ok || end < 0 {
		return "", "", s, false
	}
	address, rest = text[1:end], text[end+1:]
	next := len(rest)
	for _, word := range []string{toWord + "<", doneWord + "<"} {
		if i := strings.Index(rest[:next], word); i >= 0 {
			next = i
		}
	}
	params, rest = rest[:next], rest[next:]
	if params != "" && params[0] != ' ' {
		return "", "", s, false
	}
	return address, strings.TrimPrefix(params, " "), rest, true
}
