package control

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// replyCondition is the left side of a rule: words of one kind are alternatives, and each
// kind that occurs must match.
type replyCondition struct {
	codes    []string // "550", "5xx"
	enhanced []string // "5.7.1", "5.7.x"
	hosts    []string // "mx.example.org", ".example.org"
	domains  []string // of the destination, in the same form
	patterns []*regexp.Regexp
}

// maxPattern is how many octets a regular expression may have.
const maxPattern = 500

// matches reports whether the rule is about a reply, whose text without codes is words.
func (w replyCondition) matches(r RemoteReply, words string) bool {
	return (len(w.codes) == 0 || slices.ContainsFunc(w.codes, func(p string) bool {
		return matchesDigits(p, fmt.Sprint(r.Code))
	})) && (len(w.enhanced) == 0 || slices.ContainsFunc(w.enhanced, func(p string) bool {
		return matchesStatus(p, r.Enhanced)
	})) && (len(w.hosts) == 0 || slices.ContainsFunc(w.hosts, func(p string) bool {
		return withinDomain(p, r.Host)
	})) && (len(w.domains) == 0 || slices.ContainsFunc(w.domains, func(p string) bool {
		return withinDomain(p, r.Domain)
	})) && (len(w.patterns) == 0 || slices.ContainsFunc(w.patterns, func(p *regexp.Regexp) bool {
		return p.MatchString(words)
	}))
}

// matchesDigits compares a code with a pattern that has x for any digit.
func matchesDigits(pattern, code string) bool {
	if len(pattern) != len(code) {
		return false
	}
	for i := range len(pattern) {
		if pattern[i] != 'x' && pattern[i] != code[i] {
			return false
		}
	}
	return true
}

// matchesStatus compares a status code with a pattern that has x for any number.
func matchesStatus(pattern, code string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(code, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != "x" && want[i] != have[i] {
			return false
		}
	}
	return true
}

// withinDomain reports whether a name is the domain, or, if the pattern begins with a
// dot, the domain or below it.
func withinDomain(pattern, name string) bool {
	name = addr.FoldDomain(strings.TrimSuffix(name, "."))
	below, wide := strings.CutPrefix(pattern, ".")
	return name == below || wide && strings.HasSuffix(name, pattern)
}

func parseReplyCondition(text string) (w replyCondition, err error) {
	list := replyWords(text)
	if len(list) == 0 {
		return w, fmt.Errorf("no condition (`*` matches every reply)")
	}
	for _, word := range list {
		if err := w.add(word); err != nil {
			return w, err
		}
	}
	if slices.Contains(list, "*") && len(list) > 1 {
		return w, fmt.Errorf("* stands beside other conditions (it matches every reply)")
	}
	return w, nil
}

// replyWords cuts a condition at blanks that are not within "..." or /.../.
func replyWords(text string) (list []string) {
	for text = strings.Trim(text, " \t"); text != ""; text = strings.TrimLeft(text, " \t") {
		end := strings.IndexAny(text, " \t")
		if quote := text[0]; quote == '"' || quote == '/' {
			end = -1
			// It ends at the next one before a blank or the end, so that a pattern
			// may have quotes and slashes in it.
			for i := 1; i < len(text); i++ {
				if text[i] == quote && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t') {
					end = i + 1
					break
				}
			}
		}
		if end < 0 {
			end = len(text)
		}
		list, text = append(list, text[:end]), text[end:]
	}
	return list
}

// add adds one word of a condition.
func (w *replyCondition) add(word string) error {
	host, isHost := strings.CutPrefix(word, "host=")
	to, isTo := strings.CutPrefix(word, "to=")
	switch {
	case word == "*":
		return nil
	case word[0] == '"' || word[0] == '/':
		p, err := replyPattern(word)
		w.patterns = append(w.patterns, p)
		return err
	case isHost:
		w.hosts = append(w.hosts, addr.FoldDomain(host))
		return domainPattern(host)
	case isTo:
		w.domains = append(w.domains, addr.FoldDomain(to))
		return domainPattern(to)
	case isReplyCode(word):
		w.codes = append(w.codes, word)
		return nil
	case isStatusPattern(word):
		w.enhanced = append(w.enhanced, word)
		return nil
	}
	return fmt.Errorf("%q is no condition "+
		"(550, 5xx, 5.7.1, 5.7.x, host=NAME, to=DOMAIN, \"words\", /regexp/)", visibleWord(word))
}

func domainPattern(s string) error {
	if err := addr.CheckDomain(strings.TrimPrefix(s, ".")); err != nil {
		return fmt.Errorf("domain %q %w", visibleWord(s), err)
	}
	return nil
}

// replyPattern compiles "words", which are found as they are, and /regexp/ (RE2, so that
// no reply can make matching slow). Neither is case-sensitive.
func replyPattern(word string) (*regexp.Regexp, error) {
	text := word[1:]
	if len(text) < 2 || text[len(text)-1] != word[0] {
		return nil, fmt.Errorf("%s does not end with %c", visibleWord(word), word[0])
	}
	text = text[:len(text)-1]
	if len(text) > maxPattern {
		return nil, fmt.Errorf("a pattern is longer than %d octets", maxPattern)
	}
	if word[0] == '"' {
		text = regexp.QuoteMeta(strings.Join(strings.Fields(text), " "))
	}
	p, err := regexp.Compile("(?i)" + text)
	if err != nil {
		return nil, fmt.Errorf("%s is no regular expression: %s", visibleWord(word),
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return p, nil
}

// isReplyCode reports whether s is a code of a reply, or a pattern of codes with x for
// any digit.
func isReplyCode(s string) bool {
	if len(s) != 3 || s[0] < '2' || s[0] > '5' {
		return false
	}
	return strings.Trim(s[1:], "0123456789x") == ""
}

// isStatusPattern reports whether s is a status code (RFC 3463 2), or a pattern of them with x
// for any number.
func isStatusPattern(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != "2" && parts[0] != "4" && parts[0] != "5" && parts[0] != "x" {
		return false
	}
	for _, p := range parts[1:] {
		if p != "x" && (p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "") {
			return false
		}
	}
	return true
}
