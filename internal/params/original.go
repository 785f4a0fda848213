package params

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"paperpath/internal/addr"
)

// Rcpt is a parameter of our own, RCPT=xtext: the recipient that we accepted, if an alias
// replaced it.
const Rcpt = "RCPT"

// Alias is a parameter of our own, XALIAS=ID: the recipient's message is for one of the
// programs and files that its alias has, not for its mailbox.
const Alias = "XALIAS"

// Original returns the address in the parameter ORCPT (RFC 3461 4.2, RFC 6533 3), or ""
// if there is none that a header field can hold.
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

// Taken returns the address in the parameter RCPT, or "".
func Taken(params string) string {
	text, ok := Decode(Get(params, Rcpt))
	if !ok {
		return ""
	}
	return shown(text)
}

// shown returns an address in the form for a header field; "" if it is invalid or has
// invisible characters.
func shown(text string) string {
	a, err := addr.Parse(text)
	if err != nil || strings.ContainsFunc(a.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return a.String()
}

var embedded = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\x\{([0-9A-F]{2,6})\}`) })

// HandedOn returns what the next host gets as ORCPT, with its type, and the address itself; "" if
// there is none that it could read. An address beyond ASCII is utf-8-addr-xtext, which every host that
// has DSN reads (RFC 6533 3).
func HandedOn(params string) (parameter, address string) {
	kind, text, _ := strings.Cut(Get(params, "ORCPT"), ";")
	switch strings.ToLower(kind) {
	case "rfc822":
		if address, ok := Decode(text); ok && address != "" && IsXtext(text) {
			return "rfc822;" + text, address
		}
	case "utf-8":
		if address, ok := decodeUTF8(text); ok && address != "" && utf8.ValidString(address) {
			return "utf-8;" + encodeUTF8(address), address
		}
	}
	return "", ""
}

// encodeUTF8 encodes an address as utf-8-addr-xtext.
func encodeUTF8(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`+=\`, r) {
			fmt.Fprintf(&b, `\x{%02X}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// decodeUTF8 decodes utf-8-addr-xtext and utf-8-addr-unitext, whose encoding is the same
// (RFC 6533 3).
func decodeUTF8(s string) (string, bool) {
	ok := true
	s = embedded().ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[3:len(m)-1], 16, 32)
		ok = ok && err == nil && utf8.ValidRune(rune(n))
		return string(rune(n))
	})
	return s, ok && !strings.ContainsFunc(s, addr.IsControl)
}
