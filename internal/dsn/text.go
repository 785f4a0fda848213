package dsn

import (
	"strings"

	"paperpath/internal/params"
	"paperpath/internal/visible"
)

const (
	maxText = 1000 // octets of a text from outside
	maxWord = 400  // octets without a blank; no address is longer
	maxLine = 72   // octets of a line that can be broken: quoted-printable adds to it

	maxOctets = 998 // of any line (RFC 5322 2.1.1)
)

// bounded makes text from outside one line of printable ASCII, which is all that RFC
// 3464 allows, and bounds it.
func bounded(s string) string { return visible.Shorten(visible.ASCII(s), maxText) }

// wrap breaks text at blanks. The first line begins with first, the others with
// indent; no line comes near the limit of 998 octets (RFC 5322 2.1.1).
func wrap(first, indent, text string) string {
	var b strings.Builder
	b.WriteString(first)
	width, start := len(first), true
	for _, word := range strings.Fields(text) {
		for len(word) > 0 {
			piece := word[:min(len(word), maxWord)]
			word = word[len(piece):]
			switch {
			case start:
			case width+1+len(piece) > maxLine:
				b.WriteString("\n" + indent)
				width = len(indent)
			default:
				b.WriteByte(' ')
				width++
			}
			b.WriteString(piece)
			width, start = width+len(piece), false
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// field is a header field or a field of a delivery status, folded.
func field(name, value string) string { return wrap(name+": ", " ", value) }

// decoded is an xtext value for people; anything else stays as it is.
func decoded(xtext string) string {
	if s, ok := params.Decode(xtext); ok {
		return s
	}
	return xtext
}
