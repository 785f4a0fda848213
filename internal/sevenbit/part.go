package sevenbit

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// part is a stretch of the text without headers: the body of a part, or what is around
// the parts of a multipart.
type part struct {
	head     *head // of a body that may change, or nil
	start    int64
	keep     string // why nothing may change
	ignored  bool   // before or after the parts of a multipart
	preamble bool   // before

	eight bool // it has octets beyond ASCII
	long  bool // it has a line of more than MaxLine octets
	line  int  // octets of the line so far
	rune  []byte
	odd   bool // it is not UTF-8
}

func hasEight(p []byte) bool {
	for _, b := range p {
		if b >= 0x80 {
			return true
		}
	}
	return false
}

// note takes a line, or a piece of one.
func (p *part) note(text []byte) {
	if hasEight(text) {
		p.eight = true
	}
	if p.eight && !p.odd {
		p.checkUTF8(text)
	}
	body := bytes.TrimRight(text, "\r\n")
	p.line += len(body)
	p.long = p.long || p.line > MaxLine
	if bytes.HasSuffix(text, []byte("\n")) {
		p.line = 0
	}
}

// checkUTF8 finds out whether the text so far is UTF-8. A character may be cut between
// two calls.
func (p *part) checkUTF8(text []byte) {
	for len(p.rune) > 0 && len(text) > 0 && !utf8.FullRune(p.rune) {
		p.rune, text = append(p.rune, text[0]), text[1:]
	}
	if len(p.rune) > 0 {
		if !utf8.FullRune(p.rune) {
			return
		}
		p.odd, p.rune = !utf8.Valid(p.rune), p.rune[:0]
	}
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if rest := text[len(text)-n:]; utf8.RuneStart(rest[0]) {
			if !utf8.FullRune(rest) {
				p.rune, text = append(p.rune[:0], rest...), text[:len(text)-n]
			}
			break
		}
	}
	p.odd = p.odd || !utf8.Valid(text)
}

// charset is what the text is called if nobody has said it (RFC 1428 3).
func (p *part) charset() string {
	switch {
	case !p.eight:
		return "us-ascii"
	case p.odd || len(p.rune) > 0:
		return "unknown-8bit"
	}
	return "utf-8"
}

// edits returns what changes in a part that ends at end; last says that the text ends
// there too.
func (p *part) edits(o Options, end int64, last bool) []edit {
	change := end > p.start && (o.Seven && p.eight || o.Fold && p.long)
	switch {
	case p.keep != "":
		return nil
	case p.head == nil && !change:
		return nil
	case p.head == nil:
		return []edit{{start: p.start, end: end, encode: func() encoder { return &mask{seven: o.Seven} }}}
	case !change:
		return p.head.edits("", "", o.Fold)
	}
	body := edit{start: p.start, end: end}
	encoding := ""
	switch {
	case p.head.encoding == "quoted-printable":
		body.encode = func() encoder { return &requote{} }
	case p.head.encoding == "base64":
		body.encode = func() encoder { return &rewrap{last: last} }
	case p.head.encoding == "binary" && !strings.HasPrefix(p.head.mediaType, "text/"):
		encoding, body.encode = "base64", func() encoder { return &base64Encoder{last: last} }
	default:
		encoding, body.encode = "quoted-printable", func() encoder { return &quote{} }
	}
	return append(p.head.edits(encoding, p.charset(), o.Fold), body)
}
