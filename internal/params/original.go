package params

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"paperpath/internal/addr"
)

// Rcpt is a word of our own, RCPT=xtext: the recipient that we took, where an
// alias has put another address in its place.
const Rcpt = "RCPT"

// Original returns the address that an ORCPT parameter tells (RFC 3461 4.2, RFC
// 6533 3): "" where there is none, and where its text is none that a header
// could hold.
func Original(params string) string {
	kind, text, _ := strings.Cut(Get(params, "ORCPT"), ";")
	ok := false
	switch strings.ToLower(kind) {
	case "rfc822":
		text, ok = Decode(text)
		ok = ok && addr.IsASCII(text)
	case "utf-8":
		text, ok = decodeUTF8(text)
	}
	if !ok {
		return ""
	}
	return shown(text)
}

// Taken returns the address that a RCPT parameter tells, or "".
func Taken(params string) string {
	text, ok := Decode(Get(params, Rcpt))
	if !ok {
		return ""
	}
	return shown(text)
}

// shown is an address as a field shows it; "" for what is none, or holds what
// is not to be seen.
func shown(text string) string {
	a, err := addr.Parse(text)
	if err != nil || strings.ContainsFunc(a.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return a.String()
}

var embedded = regexp.MustCompile(`\\x\{([0-9A-F]{2,6})\}`)

// decodeUTF8 undoes the encoding of utf-8-addr-xtext, which is that of
// utf-8-addr-unitext too (RFC 6533 3).
func decodeUTF8(s string) (string, bool) {
	ok := true
	s = embedded.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[3:len(m)-1], 16, 32)
		ok = ok && err == nil && utf8.ValidRune(rune(n))
		return string(rune(n))
	})
	return s, ok && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
