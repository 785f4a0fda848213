package check

import (
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// results returns the Authentication-Results field of host (RFC 8601 2.2).
// It says none while no method is tried.
func results(host string) []string {
	return []string{"Authentication-Results: " + host + "; none\n"}
}

// Forged returns the Authentication-Results fields that claim to come from host, in
// their order: they are removed from a message (RFC 8601 5).
func Forged(h *message.Header, host string) []message.Field {
	var forged []message.Field
	for _, f := range h.All("Authentication-Results") {
		if claimsHost(f.Value, host) {
			forged = append(forged, f)
		}
	}
	return forged
}

// claimsHost reports whether any parser may find host as the authserv-id of the value.
// A value that cannot be parsed counts: another parser may find us in it.
func claimsHost(value, host string) bool {
	id, ok := authservID(value)
	if !ok || isHost(id, host) {
		return true
	}
	// Some programs remove comments, quotes and blanks first, wherever they are.
	bare, ok := squeeze(value)
	return !ok || isHost(bare, host) || isHost(strings.TrimRight(bare, "0123456789"), host) // a version
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
		id, ok = unquote(inside)
		return strings.TrimSpace(id), ok
	}
	if end := strings.IndexAny(rest, "; \t\r\n\"("); end >= 0 {
		rest = rest[:end]
	}
	return strings.TrimSpace(rest), true
}

// squeeze returns value up to its first semicolon without comments, quotes and
// blanks. ok is false for what programs parse in different ways: control characters,
// and encoded words, which some of them decode (RFC 2047 5 allows none here).
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

// unquote reads a quoted string after its first quote; ok is false where it is not
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

// WithResults is the message as a filter passes it on: our result on top, forged ones
// removed, everything else as it came.
func WithResults(v Verdict, body spool.Body, host string) *message.Pieces {
	lines := strings.Join(append(results(host), v.Results...), "")
	if v.Header.CRLF {
		lines = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	// Text before the first field (an mbox From line) stays there, so that it cannot
	// become a continuation line of ours.
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
