package sevenbit

import (
	"bytes"
	"mime"
	"strings"

	"paperpath/internal/message"
)

// head is the header of the message, of a message in it, or of a part.
type head struct {
	message bool // not of a part of a multipart
	top     bool
	digest  bool // of a part of multipart/digest (RFC 2046 5.1.5)
	at      int64
	text    []byte // without the blank line

	fields    *message.Header
	mediaType string
	boundary  string // of a multipart
	encoding  string // Content-Transfer-Encoding, "" for none
	keep      string // why nothing may change in the body
}

const transferEncoding = "Content-Transfer-Encoding"

// parse reads the fields. What programs may read in different ways is kept.
func (h *head) parse() {
	var err error
	if h.fields, err = message.Read(bytes.NewReader(h.text), maxHeader+1, maxFields); err != nil {
		h.keep = "has a header with too many fields"
		return
	}
	if h.fields.Junk > 0 {
		h.keep = "has a header with lines that are not fields"
		return
	}
	h.transferEncoding()
	types := h.fields.All("Content-Type")
	switch {
	case len(types) > 1:
		h.keep = "has more than one Content-Type"
	case len(types) == 1:
		h.contentType(types[0].Value)
	case h.digest:
		h.mediaType = "message/rfc822"
	default:
		h.mediaType = "text/plain"
	}
	if h.keep == "" {
		h.keep = h.fixed()
	}
}

// transferEncoding reads the Content-Transfer-Encoding.
func (h *head) transferEncoding() {
	for i, f := range h.fields.All(transferEncoding) {
		value := strings.ToLower(strings.TrimSpace(f.Value))
		if end := strings.IndexAny(value, " \t;("); end >= 0 {
			value = value[:end]
		}
		if i > 0 && value != h.encoding {
			h.keep = "has two kinds of " + transferEncoding
		}
		h.encoding = value
	}
}

// contentType reads the Content-Type. package mime reads it, and not go-message around
// it, which decodes a boundary that looks like an encoded word. A boundary that should
// have quotes is read without them, as other programs read it.
func (h *head) contentType(value string) {
	mediaType, params, err := mime.ParseMediaType(value)
	if mediaType == "" || err != nil {
		mediaType, _, _ = strings.Cut(value, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	h.mediaType = mediaType
	if !strings.HasPrefix(mediaType, "multipart/") {
		return
	}
	if h.boundary = params["boundary"]; err != nil {
		h.boundary = unquoted(value)
	}
	if h.boundary = strings.TrimRight(h.boundary, " \t"); h.boundary == "" {
		h.keep = "is a multipart without a boundary"
	}
}

// unquoted finds the boundary in a Content-Type that breaks the rules, if there is
// only one.
func unquoted(value string) string {
	const name = "boundary="
	lower := strings.ToLower(value)
	i := strings.Index(lower, name)
	if i < 0 || strings.Count(lower, name) > 1 || len(lower) != len(value) ||
		!strings.HasSuffix(strings.TrimRight(lower[:i], " \t"), ";") {
		return ""
	}
	value = value[i+len(name):]
	if rest, ok := strings.CutPrefix(value, `"`); ok {
		value, _, _ = strings.Cut(rest, `"`)
		return value
	}
	if end := strings.IndexAny(value, "; \t"); end >= 0 {
		value = value[:end]
	}
	return value
}

// fixed returns why nothing in the body may change, or "".
func (h *head) fixed() string {
	switch h.mediaType {
	case "multipart/signed", "multipart/encrypted", "message/partial", "message/external-body":
		return "is " + h.mediaType
	}
	switch h.encoding {
	case "", "7bit", "8bit", "binary":
	case "quoted-printable", "base64":
		if h.boundary != "" { // RFC 2045 6.4
			return "is an encoded multipart"
		}
	default:
		return "has an unknown " + transferEncoding
	}
	return ""
}

// encoded reports whether the body is encoded already.
func (h *head) encoded() bool { return h.encoding == "quoted-printable" || h.encoding == "base64" }

// container reports whether there are headers in the body.
func (h *head) container() bool {
	message := h.mediaType == "message/rfc822" || h.mediaType == "message/news"
	return h.boundary != "" || message && !h.encoded()
}

// relabelled returns the new Content-Transfer-Encoding of what has parts, or "" if it may
// stay.
func (h *head) relabelled(o Options) string {
	if o.Seven && (h.encoding == "8bit" || h.encoding == "binary") {
		return "7bit"
	}
	return ""
}

// edits returns what changes in the header: the encoding, if it is not "", and what a
// reader must know for it: charset is for a part without a Content-Type. fold breaks long
// lines.
func (h *head) edits(encoding, charset string, fold bool) []edit {
	var list []edit
	label := transferEncoding + ": " + encoding + "\r\n"
	for _, f := range h.fields.Fields {
		switch {
		case encoding != "" && strings.EqualFold(f.Name, transferEncoding):
			list = append(list, edit{start: h.at + f.Start, end: h.at + f.End, insert: label})
			label = "" // others go
		case fold:
			list = append(list, folds(h.text[f.Start:f.End], h.at+f.Start)...)
		}
	}
	if encoding == "" {
		return list
	}
	more := label
	if h.message && !h.fields.Has("MIME-Version") {
		more = "MIME-Version: 1.0\r\n" + more
	}
	if charset != "" && !h.fields.Has("Content-Type") {
		more += "Content-Type: text/plain; charset=" + charset + "\r\n"
	}
	if more != "" {
		end := h.at + int64(len(h.text))
		list = append(list, edit{start: end, end: end, insert: more})
	}
	return list
}

// folds breaks the long lines of a field before blanks (RFC 5322 2.2.3), where there are
// some.
func folds(field []byte, at int64) (list []edit) {
	for len(field) > 0 {
		end := bytes.IndexByte(field, '\n') + 1
		if end == 0 {
			end = len(field)
		}
		line := bytes.TrimRight(field[:end], "\r\n")
		for start := 0; len(line)-start > MaxLine; {
			i := foldAt(line, start)
			if i < 0 {
				break
			}
			list = append(list, edit{start: at + int64(i), end: at + int64(i), insert: "\r\n"})
			start = i
		}
		field, at = field[end:], at+int64(end)
	}
	return list
}

// foldAt returns where to break what follows start: before the last blank that leaves
// text on both sides and a line that is short enough, else before the first; -1 if there
// is none.
func foldAt(line []byte, start int) int {
	blank := func(i int) bool { return line[i] == ' ' || line[i] == '\t' }
	text := start
	for text < len(line) && blank(text) {
		text++
	}
	last := len(bytes.TrimRight(line, " \t"))
	best := -1
	for i := text + 1; i < last; i++ {
		if !blank(i) || blank(i-1) {
			continue
		}
		if i-start > MaxLine && best >= 0 {
			break
		}
		best = i
	}
	return best
}
