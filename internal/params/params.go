// Package params reads and writes the parameters of an envelope: those of RFC 3461 and
// 8689, NAME=VALUE, separated by blanks.
package params

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"paperpath/internal/addr"
)

// Get returns the value of the parameter name, in any case of letters, or "".
func Get(params, name string) string {
	for _, word := range strings.Fields(params) {
		if k, v, _ := strings.Cut(word, "="); strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// Has reports whether there is a parameter name, with or without a value.
func Has(params, name string) bool {
	for _, word := range strings.Fields(params) {
		if k, _, _ := strings.Cut(word, "="); strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// Without returns params without those that have one of the names.
func Without(params string, names ...string) string {
	var kept []string
	for _, word := range strings.Fields(params) {
		k, _, _ := strings.Cut(word, "=")
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(k, name) }) {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// Encode returns s as xtext (RFC 3461 4).
func Encode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Decode decodes xtext. ok is false if s is not xtext, or encodes a control character,
// which no line of ours can hold.
func Decode(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c, i = byte(n), i+2
		}
		if addr.IsControl(rune(c)) {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// IsXtext reports whether a word may go into a command: xtext (RFC 3461 4) that decodes
// to printable ASCII.
func IsXtext(word string) bool {
	s, ok := Decode(word)
	strange := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '=' }
	return ok && s != "" && !strings.ContainsFunc(word, strange) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r >= 0x7f })
}
