package maillog

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// Event is a line of the log. The slices point into the line that Parse was given.
type Event struct {
	Time []byte // as written, always in UTC and of one length, so that times compare as bytes
	Prog []byte
	Name []byte
	Key  []byte // NoKey if the event concerns no entry
	rest []byte // the other values
}

// NoKey is the key of an event that concerns no entry.
const NoKey = "-"

// timeLen is the length of the time in an event.
const timeLen = len("2006-01-02T15:04:05.000000Z")

// Parse splits a line. What a syslog daemon puts before an event is left out. A line that
// is no event returns false.
func Parse(line []byte) (Event, bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if !bytes.HasPrefix(line, []byte("time=")) {
		at := bytes.Index(line, []byte(" time="))
		if at < 0 {
			return Event{}, false
		}
		line = line[at+1:]
	}
	var e Event
	for _, field := range [...]struct {
		name string
		to   *[]byte
	}{{"time=", &e.Time}, {"prog=", &e.Prog}, {"event=", &e.Name}, {"key=", &e.Key}} {
		if len(line) < len(field.name) || string(line[:len(field.name)]) != field.name {
			return Event{}, false
		}
		line = line[len(field.name):]
		end := bytes.IndexByte(line, ' ')
		if end < 0 {
			end = len(line)
		}
		*field.to, line = line[:end], line[min(end+1, len(line)):]
	}
	e.rest = line
	return e, len(e.Time) == timeLen && len(e.Key) > 0
}

// Values yields the values behind the key, in order and unquoted. It ends at what is no
// value: a line may have been cut.
func (e Event) Values() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		rest := string(e.rest)
		for rest != "" {
			name, after, ok := strings.Cut(rest, "=")
			if !ok {
				return
			}
			value, end := after, len(after)
			if strings.HasPrefix(after, `"`) {
				quoted, err := strconv.QuotedPrefix(after)
				if err != nil {
					return
				}
				if value, err = strconv.Unquote(quoted); err != nil {
					return
				}
				end = len(quoted)
			} else if i := strings.IndexByte(after, ' '); i >= 0 {
				value, end = after[:i], i
			}
			if !yield(name, value) {
				return
			}
			rest = strings.TrimPrefix(after[end:], " ")
		}
	}
}

// Value returns the value called name, "" if the event has none.
func (e Event) Value(name string) string {
	for n, v := range e.Values() {
		if n == name {
			return v
		}
	}
	return ""
}

// Contains reports whether the values contain text, which holds an @, in letters of
// either case. Few octets of a log are an @, so this is fast.
func (e Event) Contains(text []byte) bool {
	at := bytes.IndexByte(text, '@')
	for from := 0; at >= 0; {
		i := bytes.IndexByte(e.rest[from:], '@')
		if i < 0 {
			return false
		}
		begin := from + i - at
		end := begin + len(text)
		if begin >= 0 && end <= len(e.rest) && bytes.EqualFold(e.rest[begin:end], text) {
			return true
		}
		from += i + 1
	}
	return false
}
