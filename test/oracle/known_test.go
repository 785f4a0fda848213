package oracle

import (
	"regexp"
	"strings"
)

// fieldLine matches the first line of a field.
var fieldLine = regexp.MustCompile(`^[!-9;-~]+[ \t]*:`)

// known reports whether a difference between our verdict and that of another is one that
// we know and mean. Any other fails the test.
func known(name, text string, ours, theirs verdict, err error) bool {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	last := text[strings.LastIndexByte(text, '\n')+1:]
	switch {
	case name == "mox" && strings.TrimRight(last, " \t") != last:
		// It keeps blanks at the end of a last line without an end. No text on the wire
		// ends like that.
		return true
	case hasJunk(head):
		// A line of the header that is no field: mox refuses the message as a whole, and
		// go-msgauth takes it for a field of its own. We hash it with the field above it.
		return true
	}
	return false
}

// hasJunk reports whether a header has a line that is neither a field nor the
// continuation of one.
func hasJunk(head string) bool {
	if strings.HasPrefix(head, " ") || strings.HasPrefix(head, "\t") {
		return true
	}
	for line := range strings.SplitSeq(head, "\r\n") {
		if !fieldLine.MatchString(line) && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			return true
		}
	}
	return false
}

// The reasons why SPF gives another result than the published suite wants.
const (
	slash    = "the library takes a slash in a name for the begin of a prefix; no host has such a name"
	noMacroP = "%{p} is \"unknown\", which RFC 7208 7.3 allows and recommends against using"
	noSpaces = "no name with blanks and percent signs is asked for"
	before   = "default= was a modifier before RFC 4408; now it is an unknown one, which says nothing"
)

// knownSPF has the tests of the suite that give another result, with the reason.
var knownSPF = map[string]string{
	"rfc7208/a-colon-domain":            slash,
	"rfc7208/a-colon-domain-ip4mapped":  slash,
	"rfc7208/mx-colon-domain":           slash,
	"rfc7208/mx-colon-domain-ip4mapped": slash,
	"rfc7208/p-macro-multiple":          noMacroP,
	"rfc7208/macro-mania-in-domain":     noSpaces,
	"rfc4408/a-colon-domain":            slash,
	"rfc4408/a-colon-domain-ip4mapped":  slash,
	"rfc4408/mx-colon-domain":           slash,
	"rfc4408/mx-colon-domain-ip4mapped": slash,
	"rfc4408/p-macro-multiple":          noMacroP,
	"rfc4408/macro-mania-in-domain":     noSpaces,
	"pyspf/default-modifier":            before,
	"pyspf/default-modifier-harsh":      before,
}
