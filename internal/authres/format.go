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
	w := folder{line: len(Name) + 1}
	w.text.Grow(1024)
	w.text.WriteString(Name + ":")
	w.add(host + ";")
	if len(methods) == 0 {
		w.add("none")
	}
	for i, m := range methods {
		if i == maxMethods {
			break
		}
		end := ";"
		if i == min(len(methods), maxMethods)-1 {
			end = ""
		}
		w.method(m, end)
	}
	w.text.WriteString("\n")
	return w.text.String()
}

// folder writes words with a blank in front of each, which begins a new line where the
// word would not fit.
type folder struct {
	text strings.Builder
	line int // columns of the last line
}

func (w *folder) add(word string) {
	if w.line+1+len(word) > maxLine && w.line > 0 {
		w.fold()
	}
	w.text.WriteByte(' ')
	w.text.WriteString(word)
	w.line += 1 + len(word)
}

func (w *folder) fold() {
	w.text.WriteString("\n")
	w.line = 0
}

// method writes one result on lines of its own, and end behind its last word.
func (w *folder) method(m Method, end string) {
	words := make([]string, 1, 16)
	words[0] = keyword(m.Name) + "=" + keyword(m.Result)
	words = append(words, comment(m.Comment)...)
	if m.Reason != "" {
		words = append(words, "reason="+value(visible.Shorten(m.Reason, maxComment)))
	}
	for i, p := range m.Properties {
		if i < maxProperties && p.Value != "" && len(p.Value) <= maxValue {
			words = append(words, property(p.Name)+"="+propertyValue(p.Value))
		}
	}
	words[len(words)-1] += end
	w.fold()
	for _, word := range words {
		w.add(word)
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

func property(s string) string {
	kind, name, _ := strings.Cut(s, ".")
	return keyword(kind) + "." + keyword(name)
}

// propertyValue writes an address as it is if every parser takes it for one, else as value
// (RFC 8601 2.2, pvalue). VERP has "=" in local parts; simple parsers would find a method
// there. An underscore belongs to no domain of RFC 5321.
func propertyValue(s string) string {
	local, domain, mailbox := strings.Cut(s, "@")
	if mailbox && tokens.has(local) && strings.Trim(domain, letters+"-.") == "" && addr.CheckDomain(domain) == nil {
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

// comment returns the words of a comment. What would end it, or looks like another result
// to parsers that know no comments, is written in another way.
func comment(s string) []string {
	s = visible.Shorten(visible.ASCII(s), maxComment)
	words := strings.Fields(harmless.Replace(s))
	if len(words) > 0 {
		words[0] = "(" + words[0]
		words[len(words)-1] += ")"
	}
	return words
}
