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

// claims reports whether the value names host as its authserv-id. What cannot
// be read does: nobody else's parser shall find us in it.
func claims(value, host string) bool {
	rest, ok := skipComments(value)
	if !ok {
		return true
	}
	var id string
	if inside, quoted := strings.CutPrefix(rest, `"`); quoted {
		if id, ok = unquote(inside); !ok {
			return true
		}
	} else if id = rest; strings.ContainsAny(id, "; \t\r\n\"(") {
		id = id[:strings.IndexAny(id, "; \t\r\n\"(")]
	}
	return addr.Fold(strings.TrimSuffix(strings.TrimSpace(id), ".")) == addr.Fold(host)
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
