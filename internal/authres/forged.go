package authres

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"paperpath/internal/addr"
)

// ClaimedBy reports whether any parser may find host as the authserv-id of a field's value.
// A value that cannot be parsed counts: another parser may find us in it.
func ClaimedBy(value, host string) bool {
	value = strings.TrimLeft(value, "; \t\r\n") // an id that is empty is none to some
	id, ok := authservID(value)
	if !ok || isHost(id, host) {
		return true
	}
	// Some programs remove comments, quotes and blanks first, wherever they are. Others look
	// for the first name, or for ours, wherever it begins and ends.
	bare, ok := squeeze(value, "")
	if !ok {
		return true
	}
	words, _ := squeeze(value, " ")
	for _, text := range []string{bare, words, percent().ReplaceAllStringFunc(words, unpercent)} {
		for _, word := range strings.FieldsFunc(strings.Map(visibly, text), notOfHost) {
			if isHost(word, host) || isHost(strings.TrimRight(word, "0123456789"), host) { // a version
				return true
			}
		}
	}
	return false
}

// visibly leaves out characters that nobody sees; idna does not allow all of them.
func visibly(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// notOfHost reports whether no name of a host has r.
func notOfHost(r rune) bool {
	return r < unicode.MaxASCII && !strings.ContainsRune(hostName, r) || r == utf8.RuneError || unicode.IsSpace(r)
}

var percent = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`%[0-9A-Fa-f]{2}`) })

func unpercent(coded string) string {
	octet, _ := strconv.ParseUint(coded[1:], 16, 8)
	return string(rune(octet))
}

func isHost(id, host string) bool {
	return addr.FoldDomain(strings.TrimRight(id, ".")) == addr.FoldDomain(host)
}

// authservID reads the id at the start of value (RFC 8601 2.2); ok is false where
// that is not possible.
func authservID(value string) (id string, ok bool) {
	rest, ok := skipComments(value)
	if !ok {
		return "", false
	}
	if inside, quoted := strings.CutPrefix(rest, `"`); quoted {
		id, _, ok = unquote(inside)
		return strings.TrimSpace(id), ok
	}
	if end := strings.IndexAny(rest, "; \t\r\n\"("); end >= 0 {
		rest = rest[:end]
	}
	return strings.TrimSpace(rest), true
}

// squeeze returns value up to its first semicolon without quotes, and with gap for
// comments and blanks. ok is false for what programs parse in different ways: control characters,
// and encoded words, which some of them decode (RFC 2047 5 allows none here).
func squeeze(value, gap string) (bare string, ok bool) {
	var b strings.Builder
	for value != "" {
		rest, ok := skipComments(value)
		if !ok {
			return "", false
		}
		if len(rest) < len(value) {
			b.WriteString(gap)
		}
		if rest == "" || rest[0] == ';' {
			break
		}
		if c := rest[0]; addr.IsControl(rune(c)) {
			return "", false
		} else if c != '"' && c != '\\' {
			b.WriteByte(c)
		}
		value = rest[1:]
	}
	return b.String(), !strings.Contains(b.String(), "=?")
}

// skipComments returns s without leading blanks and comments (RFC 5322 3.2.2), which
// may nest; ok is false where one is not closed.
func skipComments(s string) (rest string, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return s[i:], true
		}
	}
	return "", depth == 0
}

// unquote reads a quoted string after its first quote, and returns what follows; ok is
// false where it is not closed.
func unquote(s string) (v, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
