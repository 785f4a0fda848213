package dkim

import (
	"bytes"
	"fmt"
	"strings"
)

// maxTags bounds a list; signatures and keys have about ten.
const maxTags = 100

// tag is a tag-spec. The value has no blanks around it, but may be folded.
type tag struct{ name, value string }

// tags is a tag-list (RFC 6376 3.2).
type tags []tag

// parseTags reads a tag-list. One with a tag twice is invalid as a whole.
func parseTags(s string) (tags, error) {
	list := make(tags, 0, 12)
	for len(s) > 0 {
		spec, rest, more := strings.Cut(s, ";")
		if s = rest; !more && trimFWS(spec) == "" && len(list) > 0 {
			break // the list may end in a semicolon
		}
		name, value, ok := strings.Cut(spec, "=")
		t := tag{trimFWS(name), trimFWS(value)}
		switch {
		case !ok || !isTagName(t.name):
			return nil, fmt.Errorf("%.40q is no tag", spec)
		case !isTagValue(t.value):
			return nil, fmt.Errorf("the value of %s= has characters that none may have", t.name)
		case list.has(t.name):
			return nil, fmt.Errorf("%s= is there twice", t.name)
		case len(list) == maxTags:
			return nil, fmt.Errorf("more than %d tags", maxTags)
		}
		list = append(list, t)
	}
	return list, nil
}

func (l tags) has(name string) bool {
	_, ok := l.lookup(name)
	return ok
}

func (l tags) lookup(name string) (value string, ok bool) {
	for _, t := range l {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// value returns the value of a tag, or otherwise if it is not there.
func (l tags) value(name, otherwise string) string {
	if v, ok := l.lookup(name); ok {
		return v
	}
	return otherwise
}

// isTagName reports whether s is a tag-name: a letter, then letters, digits and
// underscores.
func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '_') {
			return false
		}
	}
	return s != ""
}

// isTagValue reports whether s is a tag-value: printable characters, which may be beyond
// ASCII (RFC 8616 4), and folding white space.
func isTagValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && !isFWS(s[i]) || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isFWS reports whether c may be in folding white space. Where lines end in a header is
// decided before a field is looked at, so a CR or LF in one is part of a fold.
func isFWS(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trimFWS(s string) string {
	for s != "" && isFWS(s[0]) {
		s = s[1:]
	}
	for s != "" && isFWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// dropFWS removes all folding white space, which may stand anywhere in base64, and around
// the colons of lists.
func dropFWS(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == ' ' {
			return -1
		}
		return r
	}, s)
}

// listed reports whether a list, whose items colons separate, has one of items.
func listed(list string, items ...string) bool {
	for word := range strings.SplitSeq(list, ":") {
		for _, item := range items {
			if strings.EqualFold(trimFWS(word), item) {
				return true
			}
		}
	}
	return false
}

// appendWithoutB appends the value of a signature field with that of its b= removed, blanks
// around it included (RFC 6376 3.7). Only a tag of that name is meant: z= may have "b="
// in its value.
func appendWithoutB(out, value []byte) []byte {
	at := 0
	for spec := range bytes.SplitSeq(value, []byte(";")) {
		name, _, ok := bytes.Cut(spec, []byte("="))
		if ok && string(bytes.Trim(name, " \t\r\n")) == "b" {
			out = append(out, value[:at+len(name)+1]...)
			return append(out, value[at+len(spec):]...)
		}
		at += len(spec) + 1
	}
	return append(out, value...)
}
