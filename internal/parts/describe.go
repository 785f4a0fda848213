package parts

import (
	"mime"
	"slices"
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
		for _, text := range add(nil, f.Value, message.WithoutComments(f.Value)) {
			if isType {
				types.add(mediaTypes(text)...)
			}
			params := parameters(text)
			for _, name := range []string{"name", "filename"} {
				for _, v := range params[name].list {
					names.add(v, unhex(v, '%'), decodeWords(v, false), decodeWords(v, true))
				}
			}
			if isType {
				for _, v := range params["boundary"].list {
					lines.add(v, strings.Trim(v, " \t"), decodeWords(v, false))
				}
			}
		}
	}
	if len(lines.list) == 0 && slices.ContainsFunc(types.list, isMultipart) {
		return Part{Types: types.list, Names: names.list}, []string{""} // readers guess
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
