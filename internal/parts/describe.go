package parts

import (
	"mime"
	"strings"

	"paperpath/internal/message"
)

// describe returns what a header says of its part under every reading: types and names of
// each Content-Type and Content-Disposition, whichever a reader takes, and the boundaries
// that it may declare.
func describe(h *message.Header) (p Part, boundaries []string) {
	var types, names, lines set
	for _, f := range h.Fields {
		isType := strings.EqualFold(f.Name, "Content-Type")
		if !isType && !strings.EqualFold(f.Name, "Content-Disposition") {
			continue
		}
		for _, text := range add(nil, f.Value, withoutComments(f.Value)) {
			if isType {
				types.add(mediaTypes(text)...)
			}
			params := parameters(text)
			for _, name := range []string{"name", "filename"} {
				for _, v := range params[name].list {
					names.add(v, decodeWords(v))
				}
			}
			if isType {
				lines.add(params["boundary"].list...)
			}
		}
	}
	return Part{Types: types.list, Names: names.list}, lines.list
}

// mediaTypes returns the type of a Content-Type as strict and as careless readers see it.
func mediaTypes(text string) []string {
	var list []string
	if strict, _, err := mime.ParseMediaType(text); err == nil {
		list = add(list, strict)
	}
	head, _, _ := strings.Cut(text, ";")
	head = strings.ToLower(strings.Trim(head, " \t\""))
	list = add(list, strings.Join(strings.Fields(head), "")) // blanks around the slash (RFC 822)
	if first := strings.Fields(head); len(first) > 1 {
		list = add(list, first[0])
	}
	return list
}

// withoutComments returns text without its comments (RFC 5322 3.2.2), which may nest.
func withoutComments(text string) string {
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
