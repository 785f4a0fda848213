package addr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// maxList bounds the addresses in a header field.
const maxList = 5000

// ParseList parses the address list of a header field (RFC 5322 3.4, with the obsolete
// forms). Display names, comments and group names are dropped; an address without a
// domain has an empty Domain. Encoded words are never decoded: an address in one is not
// an address.
func ParseList(field string) ([]Address, error) {
	l := lister{s: field}
	if err := l.run(); err != nil {
		return nil, err
	}
	return l.list, nil
}

// ParseAuthors is ParseList for a field that names the author of a message: From, Sender
// and the like. What mail readers may show as different addresses is an error there: a
// phrase must not have an unquoted @ (RFC 5322 3.2.5), so of
// `boss@x.example <alice@y.example>` some readers show the one and some the other
// address. It is no error if the phrase repeats the address, as many programs write it,
// nor are words without an @, which are parts of a name with a comma.
func ParseAuthors(field string) ([]Address, error) {
	return parseAuthors(field, phraseStrict)
}

// ParseForeign is ParseAuthors for messages from other hosts, whose programs we cannot
// correct: an @ in a phrase is an error only before a domain with a dot, or a literal.
// `Tickets @ Work <info@x.example>` shows no other address.
func ParseForeign(field string) ([]Address, error) {
	return parseAuthors(field, phraseForeign)
}

func parseAuthors(field string, mode phraseMode) ([]Address, error) {
	l := lister{s: field, mode: mode}
	if err := l.run(); err != nil {
		return nil, err
	}
	return l.list, nil
}

// Span is an address in a list, and where it is: after the start, before the end, without
// angle brackets and display name.
type Span struct {
	Address
	Start, End int
}

// Spans parses a list as ParseList does and returns where its addresses are.
func Spans(field string) ([]Span, error) {
	l := lister{s: field, located: true}
	if err := l.run(); err != nil {
		return nil, err
	}
	return l.spans, nil
}

// run parses the whole list.
func (l *lister) run() error {
	l.words, l.phrase = make([]token, 0, 16), make([]token, 0, 16)
	for {
		tok, err := l.token()
		if err != nil {
			return err
		}
		switch tok.kind {
		case 0, ',', ';':
			if err := l.finish(); err != nil || tok.kind == 0 {
				return err
			}
		case ':':
			if l.angle {
				return errors.New("a colon inside < >") // an obsolete route, which nobody sends
			}
			if err := l.group(); err != nil {
				return err
			}
		case '<':
			if l.angle || l.whole {
				return errors.New("misplaced <")
			}
			l.phrase, l.words, l.angle = l.words, l.phrase[:0], true
		case '>':
			if !l.angle {
				return errors.New("> without <")
			}
			l.angle, l.whole = false, true
		default:
			if l.whole {
				if tok.kind == '@' {
					return errors.New("an address after < >")
				}
				continue // a comment of sorts
			}
			if len(l.words) == 0 {
				l.start = l.i - len(tok.text)
			}
			l.words, l.end = append(l.words, tok), l.i
		}
	}
}

// phraseMode says what a phrase before < > may have.
type phraseMode int

const (
	phraseFree    phraseMode = iota // anything
	phraseStrict                    // no @
	phraseForeign                   // no @ before what may be a domain
)

// lister collects the tokens of one address after another.
type lister struct {
	s      string
	mode   phraseMode // phraseFree, except in a field that names an author
	i      int
	words  []token
	phrase []token // before <
	start  int     // of the first of words
	end    int     // of the last of words
	angle  bool    // between < and >
	whole  bool    // behind >
	list   []Address

	located bool // spans are wanted
	spans   []Span
}

// token is a word (kind 'w'), a quoted string ('"'), a domain literal ('[') or
// a special character; kind 0 is the end.
type token struct {
	kind byte
	text string
}

// group drops the name of a group, which must not be an address: programs that do not
// know groups would show it as one.
func (l *lister) group() error {
	if slices.ContainsFunc(l.words, isAt) {
		return errors.New("an address before a colon")
	}
	if l.whole {
		return errors.New("a colon after < >")
	}
	l.words = l.words[:0]
	return nil
}

// finish makes an address from the collected tokens.
func (l *lister) finish() error {
	if l.angle {
		return errors.New("< is not closed")
	}
	words, phrase, whole := l.words, l.phrase, l.whole
	l.words, l.phrase, l.whole = l.words[:0], l.phrase[:0], false
	if len(words) == 0 {
		if whole {
			return errors.New("< > without an address")
		}
		return nil
	}
	if len(l.list) == maxList {
		return fmt.Errorf("more than %d addresses", maxList)
	}
	if l.mode != phraseFree && !whole && len(words) > 1 && !slices.ContainsFunc(words, isAt) {
		return nil
	}
	a, err := join(words)
	if err != nil {
		return err
	}
	if l.mode != phraseFree && !l.agrees(phrase, a) {
		return fmt.Errorf("an unquoted @ before <%s>", a)
	}
	l.list = append(l.list, a)
	if l.located {
		l.spans = append(l.spans, Span{a, l.start, l.end})
	}
	return nil
}

// agrees reports whether the phrase before <a> cannot be read as another address.
func (l *lister) agrees(phrase []token, a Address) bool {
	at := slices.IndexFunc(phrase, isAt)
	if at < 0 || l.mode == phraseForeign && !namesDomain(phrase[at:]) {
		return true
	}
	shown := slices.Clone(phrase)
	first, last := &shown[0].text, &shown[len(shown)-1].text
	if strings.HasPrefix(*first, "'") && strings.HasSuffix(*last, "'") { // as Outlook quotes it
		*first, *last = strings.TrimPrefix(*first, "'"), strings.TrimSuffix(*last, "'")
	}
	read, err := join(shown)
	return err == nil && read.Key() == a.Key()
}

func isAt(t token) bool { return t.kind == '@' }

// namesDomain reports whether a literal, or two words with a dot between them, follow an
// @.
func namesDomain(words []token) bool {
	for i := range words {
		if rest := words[i:]; isAt(rest[0]) && len(rest) > 1 &&
			(rest[1].kind == '[' || len(rest) > 3 && rest[2].kind == '.' && rest[3].kind == 'w') {
			return true
		}
	}
	return false
}

// join makes an address from its tokens, which are without blanks and comments, so two
// words in a row are not an address.
func join(words []token) (Address, error) {
	var b strings.Builder
	wasWord := false
	b.Grow(lengthOf(words))
	for _, w := range words {
		isWord := w.kind != '@' && w.kind != '.'
		if isWord && wasWord {
			return Address{}, fmt.Errorf("address %+q: text without < > around the address",
				bounded(b.String()+" "+w.text))
		}
		wasWord = isWord
		b.WriteString(w.text)
	}
	s := b.String()
	p := parser{s: s}
	if local, err := p.local(); err == nil && p.i == len(s) {
		return Address{Local: local}, nil
	}
	return Parse(s)
}

func lengthOf(words []token) (n int) {
	for _, w := range words {
		n += len(w.text)
	}
	return n
}

// token returns the next token and skips comments and blanks.
func (l *lister) token() (token, error) {
	for l.i < len(l.s) {
		c := l.s[l.i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			l.i++
		case c == '(':
			if err := l.comment(); err != nil {
				return token{}, err
			}
		case c == '"':
			return l.span('"', '"')
		case c == '[':
			return l.span('[', ']')
		case strings.IndexByte("<>,;:@.", c) >= 0:
			l.i++
			return token{kind: c, text: l.s[l.i-1 : l.i]}, nil
		case c == ')' || c == ']' || c == '\\' && !l.before(`<>()[]@,;:\".`):
			// It is in no address, and harmless in a name: `DOMAIN\user <a@x.example>`.
			l.i++
			return token{kind: 'w', text: l.s[l.i-1 : l.i]}, nil
		case IsControl(rune(c)) || c == '\\':
			return token{}, fmt.Errorf("%+q in an address list", c)
		case c == '=' && l.encoded() > 0:
			start := l.i
			l.i += l.encoded()
			return token{kind: 'w', text: l.s[start:l.i]}, nil
		default:
			start := l.i
			for l.i < len(l.s) && atext(l.s[l.i]) {
				l.i++
			}
			return token{kind: 'w', text: l.s[start:l.i]}, nil
		}
	}
	return token{}, nil
}

// before reports whether one of chars, or nothing, follows the next character.
func (l *lister) before(chars string) bool {
	return l.i+1 >= len(l.s) || strings.IndexByte(chars, l.s[l.i+1]) >= 0
}

// encodedWord matches an encoded word (RFC 2047 2), also one in which @ and dots are not
// encoded, as RFC 2047 5 (3) demands. Decoded or not, it never makes an address: a
// domain has no = or ?.
// Few messages have one: a program that starts for one message does not compile it.
var encodedWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^=\?[0-9A-Za-z_*.-]+\?[BbQq]\?[0-9A-Za-z!#$%&'*+/=^_{|}~@.-]*\?=`)
})

// encoded returns the length of the encoded word that comes next, 0 for none.
func (l *lister) encoded() int {
	if !strings.HasPrefix(l.s[l.i:], "=?") {
		return 0
	}
	return len(encodedWord().FindString(l.s[l.i:]))
}

// comment skips a comment, also a nested one.
func (l *lister) comment() error {
	depth := 0
	for l.i < len(l.s) {
		switch l.s[l.i] {
		case '\\':
			l.i++
		case '(':
			depth++
		case ')':
			depth--
		}
		l.i++
		if depth == 0 {
			return nil
		}
	}
	return errors.New("a comment is not closed")
}

// span returns a quoted string or a domain literal as written.
func (l *lister) span(kind, end byte) (token, error) {
	start := l.i
	for l.i++; l.i < len(l.s); l.i++ {
		switch l.s[l.i] {
		case '\\':
			l.i++
		case end:
			l.i++
			return token{kind: kind, text: l.s[start:l.i]}, nil
		}
	}
	return token{}, fmt.Errorf("%c is not closed", kind)
}
