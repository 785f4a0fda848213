package check

import (
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// results returns the Authentication-Results field of host (RFC 8601 2.2).
// Without a method that was tried it says none.
func results(host string) []string {
	return []string{"Authentication-Results: " + host + "; none\n"}
}

// Forged returns the Authentication-Results fields that claim to be host's, in
// the order in which they stand: a message goes on without them (RFC 8601 5).
func Forged(h *message.Header, host string) []message.Field {
	var forged []message.Field
	for _, f := range h.All("Authentication-Results") {
		if claims(f.Value, host) {
			forged = append(forged, f)
		}
	}
	return forged
}

// claims reports whether the value names host as its authserv-id, to whatever
// parser. What cannot be read does: nobody else's shall find us in it.
func claims(value, host string) bool {
	id, ok := authservID(value)
	if !ok || isHost(id, host) {
		return true
	}
	// Programs that drop comments, quotes and blanks first, wherever they stand.
	bare, ok := squeeze(value)
	return !ok || isHost(bare, host) || isHost(strings.TrimRight(bare, "0123456789"), host) // a version
}

func isHost(id, host string) bool {
	return addr.FoldDomain(strings.TrimRight(id, ".")) == addr.FoldDomain(host)
}

// authservID reads the id at the start of value (RFC 8601 2.2), false where
// it cannot be read.
func authservID(value string) (id string, ok bool) {
	rest, ok := skipComments(value)
	if !ok {
		return "", false
	}
	if inside, quoted := strings.CutPrefix(rest, `"`); quoted {
		id, ok = unquote(inside)
		return strings.TrimSpace(id), ok
	}
	if end := strings.IndexAny(rest, "; \t\r\n\"("); end >= 0 {
		rest = rest[:end]
	}
	return strings.TrimSpace(rest), true
}

// squeeze returns value up to its first semicolon without comments, quotes and
// blanks; false for what readers take apart in different ways: control
// characters, and encoded words, which some of them decode (RFC 2047 5 wants
// none there).
func squeeze(value string) (bare string, ok bool) {
	var b strings.Builder
	for value != "" {
		rest, ok := skipComments(value)
		if !ok {
			return "", false
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

// skipComments returns s behind leading blanks and comments (RFC 5322 3.2.2),
// which nest; false where one is not closed.
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

// unquote reads a quoted string behind its first quote; false where it is not
// closed.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", false
}

// Marked is the message as a filter passes it on: our result on top, forged
// ones removed, all else as it came.
func Marked(v Verdict, body spool.Body, host string) *message.Pieces {
	lines := strings.Join(append(results(host), v.Results...), "")
	if v.Header.CRLF {
		lines = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	// What stands before the first field (an mbox From line) stays there, so
	// that it cannot become a fold of ours.
	at := v.Header.End
	if len(v.Header.Fields) > 0 {
		at = v.Header.Fields[0].Start
	}
	forged := Forged(v.Header, host)
	for i := range forged {
		forged[i].Start -= at
		forged[i].End -= at
	}
	var out message.Pieces
	out.Stretch(body, 0, at)
	out.Text(lines)
	out.Without(io.NewSectionReader(body, at, body.Size()-at), body.Size()-at, forged)
	return &out
}
