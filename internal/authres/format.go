package authres

import (
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/visible"
)

// What a field may hold. The spool reads our fields line by line, at most 4096 octets each.
const (
	maxMethods    = 100
	maxProperties = 20
	maxValue      = 600 // octets of a value: an address has at most 320 (RFC 5321 4.5.3.1)
	maxComment    = 200 // octets of a comment, or of a reason
	maxLine       = 77  // columns: RFC 5322 2.1.1
)

// Format returns the field of host with these results, folded, with LF line ends. Without
// any it says none (RFC 8601 2.2).
func Format(host string, methods []Method) string {
	w := folder{text: make([]byte, 0, 1024), word: make([]byte, 0, 128), line: len(Name) + 1}
	w.text = append(w.text, Name+":"...)
	w.write(host, ";")
	if len(methods) == 0 {
		w.end()
		w.write("none")
	}
	for i, m := range methods[:min(len(methods), maxMethods)] {
		if i > 0 {
			w.write(";")
		}
		w.method(m)
	}
	w.end()
	return string(append(w.text, '\n'))
}

// folder writes words with a blank in front of each, which begins a new line where the
// word would not fit.
type folder struct {
	text []byte
	word []byte // the one that is being written
	line int    // columns of the last line
}

// write adds to the word.
func (w *folder) write(parts ...string) {
	for _, p := range parts {
		w.word = append(w.word, p...)
	}
}

// end ends the word, if there is one.
func (w *folder) end() {
	if len(w.word) == 0 {
		return
	}
	if w.line+1+len(w.word) > maxLine && w.line > 0 {
		w.fold()
	}
	w.text = append(append(w.text, ' '), w.word...)
	w.line += 1 + len(w.word)
	w.word = w.word[:0]
}

func (w *folder) fold() {
	w.text = append(w.text, '\n')
	w.line = 0
}

// method writes one result on lines of its own. Its last word is not ended.
func (w *folder) method(m Method) {
	w.end()
	w.fold()
	w.write(keyword(m.Name), "=", keyword(m.Result))
	w.comment(m.Comment)
	if m.Reason != "" {
		w.end()
		w.write("reason=", value(visible.Shorten(m.Reason, maxComment)))
	}
	for i, p := range m.Properties {
		if i < maxProperties && p.Value != "" && len(p.Value) <= maxValue {
			w.end()
			kind, name, _ := strings.Cut(p.Name, ".")
			w.write(keyword(kind), ".", keyword(name), "=", propertyValue(p.Value))
		}
	}
}

// comment writes a comment. What would end it, or looks like another result to parsers that
// know no comments, is written in another way.
func (w *folder) comment(s string) {
	s = visible.Shorten(visible.ASCII(s), maxComment)
	before := "("
	for word := range strings.FieldsSeq(harmless.Replace(s)) {
		w.end()
		w.write(before, word)
		before = ""
	}
	if before == "" {
		w.write(")")
	}
}

// keyword keeps of a name what a method, a result or a property may be made of.
func keyword(s string) string {
	if plain.has(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if !strings.ContainsRune(letters+"-", r) {
			return -1
		}
		return r
	}, addr.Fold(s))
}

// propertyValue writes an address as it is if every parser takes it for one, else as value
// (RFC 8601 2.2, pvalue). VERP has "=" in local parts; simple parsers would find a method
// there. An underscore belongs to no domain of RFC 5321.
func propertyValue(s string) string {
	local, domain, mailbox := strings.Cut(s, "@")
	if mailbox && tokens.has(local) && host.has(domain) && addr.CheckDomain(domain) == nil {
		return s
	}
	return value(s)
}

// value writes a token as it is, and anything else as a quoted string (RFC 2045 5.1).
func value(s string) string {
	s = visible.ASCII(s)
	if s != "" && tokens.has(s) {
		return s
	}
	return quoted(s)
}

func quoted(s string) string { return `"` + escaped.Replace(s) + `"` }

// token is what a value without quotes may be made of: RFC 2045 5.1 without tspecials.
var tokens = octetsOf(letters + "!#$%&'*+-^_`{|}~.")

// host is what a domain is made of: an underscore belongs to none of RFC 5321.
var host = octetsOf(letters + "-.")

// plain is what keyword leaves as it is.
var plain = octetsOf("abcdefghijklmnopqrstuvwxyz0123456789-")

// octets is a set of them.
type octets [256]bool

func octetsOf(s string) *octets {
	var set octets
	for i := range len(s) {
		set[s[i]] = true
	}
	return &set
}

// has reports whether s is made of these alone.
func (o *octets) has(s string) bool {
	for i := range len(s) {
		if !o[s[i]] {
			return false
		}
	}
	return true
}

var (
	escaped  = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	harmless = strings.NewReplacer("(", "[", ")", "]", ";", ",", "=", ":", `\`, "/", `"`, "'")
)
