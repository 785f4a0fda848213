package smtpd

import (
	"strings"

	"paperpath/internal/addr"
)

// parsePath parses "FROM:<path> parameters" or "TO:<path> parameters". It allows
// blanks after the colon: RFC 5321 3.3 forbids them, but many clients send them.
func parsePath(arg, prefix, enhanced string) (a addr.Address, words []string, err error) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return a, nil, syntax(501, "5.5.4", "expected "+prefix+"<address>")
	}
	arg = strings.TrimLeft(arg[len(prefix):], " \t")
	a, rest, err := addr.ParsePath(arg)
	if err != nil || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return a, nil, syntax(501, enhanced, "invalid address")
	}
	if a.Domain == "" && a.Local != "" && prefix != "TO:" {
		return a, nil, syntax(501, enhanced, "need fully-qualified address")
	}
	return a, strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' }), nil
}

// needsUTF8 refuses a non-ASCII address without SMTPUTF8 (RFC 6531 3.5).
func needsUTF8() error {
	return syntax(553, "5.6.7", "non-ASCII address without SMTPUTF8")
}
