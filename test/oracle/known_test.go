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
