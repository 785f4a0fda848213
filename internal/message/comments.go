package message

import "strings"

// WithoutComments returns the value of a structured field without its comments (RFC 5322
// 3.2.2), which may nest. What is in quotes stays. One that is not closed ends the value.
func WithoutComments(text string) string {
	if !strings.Contains(text, "(") {
		return text
	}
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && (quoted || depth > 0):
			if depth == 0 {
				b.WriteString(text[i : i+2])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && !quoted && depth > 0:
			depth--
			continue
		}
		if depth == 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}
