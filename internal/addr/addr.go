// Package addr parses, formats and compares mail addresses: the paths of SMTP strictly,
// the address lists of header fields as people write them.
package addr

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// SafeLocal is the length of a local part, in octets, that every host accepts (RFC 5321
// 4.5.3.1.1). Addresses that we make are no longer.
const SafeLocal = 64

// Limits of what we accept, in octets. RFC 5321 4.5.3.1 asks for limits only where they
// cannot be avoided: reverse paths with another address in them (VERP, SRS, BATV) are
// often longer than SafeLocal, and refusing them would lose mail.
const (
	maxLocal  = 250
	maxDomain = 255
	maxLabel  = 63
)

// Address is a mailbox. The zero value is the null reverse path.
type Address struct {
	Local  string // unquoted
	Domain string // as written; "[192.0.2.1]" or "[IPv6:...]" for a literal; "" for postmaster and in header lists
}

// Parse parses a mailbox (RFC 5321 4.1.2, RFC 6531 3.3), which must be all of s.
func Parse(s string) (Address, error) {
	p := parser{s: s}
	a, err := p.mailbox()
	if err == nil && p.i < len(s) {
		err = errors.New("trailing text after the address")
	}
	if err != nil {
		return Address{}, fmt.Errorf("address %+q: %w", bounded(s), err)
	}
	return a, nil
}

// ParsePath parses the path of MAIL or RCPT and returns what follows it. "<>"
// is the zero address; "<postmaster>" needs no domain (RFC 5321 4.5.1); a
// source route is ignored (RFC 5321 C).
func ParsePath(s string) (a Address, rest string, err error) {
	p := parser{s: s}
	if a, err = p.path(); err != nil {
		return Address{}, "", fmt.Errorf("path %+q: %w", bounded(s), err)
	}
	return a, s[p.i:], nil
}

func bounded(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

// IsNull reports whether a is the null reverse path.
func (a Address) IsNull() bool { return a == Address{} }

// NeedsUTF8 reports whether a can only travel with SMTPUTF8 (RFC 6531).
func (a Address) NeedsUTF8() bool { return !IsASCII(a.Local) || !IsASCII(a.Domain) }

// String returns the address with its local part quoted if it must be; "" for the null
// reverse path.
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	local := a.Local
	if !dotString(local) {
		local = quote(local)
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Key returns the form in which addresses are compared and looked up: as
// String, with ASCII letters folded.
func (a Address) Key() string { return Fold(a.String()) }

// maxNames is how many names Names returns: each is looked up.
const maxNames = 16

// Names returns a, then what is left of it before each delimiter, the longest first: for
// user+a+b with the delimiter + that is user+a+b, user+a, user. A local part that is valid
// only within quotes has no other name: its text may look like another address. If there
// are very many delimiters, the last of them count as ordinary characters.
func (a Address) Names(delimiters string) []Address {
	names := []Address{a}
	if strings.ContainsFunc(a.Local, special) {
		return names
	}
	for i := 1; i < len(a.Local) && len(names) < maxNames; i++ {
		if strings.IndexByte(delimiters, a.Local[i]) >= 0 {
			names = append(names, Address{Local: a.Local[:i], Domain: a.Domain})
		}
	}
	slices.Reverse(names[1:])
	return names
}

// User returns the shortest of Names: a without any extension.
func (a Address) User(delimiters string) Address {
	names := a.Names(delimiters)
	return names[len(names)-1]
}

// dotString reports whether s is a local part that needs no quotes.
func dotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := 0; i < len(atom); i++ {
			if !atext(atom[i]) {
				return false
			}
		}
	}
	return true
}

// atext reports whether c is atext of RFC 5322 3.2.3, or of UTF-8 (RFC 6531 3.3).
func atext(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// special reports whether a local part with r needs quotes. Dots may be anywhere here, as
// in parser.local.
func special(r rune) bool { return r < utf8.RuneSelf && r != '.' && !atext(byte(r)) }

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// parser parses s from i on.
type parser struct {
	s string
	i int
}

func (p *parser) next(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) path() (Address, error) {
	if !p.next('<') {
		return Address{}, errors.New("no <")
	}
	if p.next('>') {
		return Address{}, nil
	}
	if err := p.sourceRoute(); err != nil {
		return Address{}, err
	}
	if end := p.i + len("postmaster"); end < len(p.s) && p.s[end] == '>' && Fold(p.s[p.i:end]) == "postmaster" {
		a := Address{Local: p.s[p.i:end]}
		p.i = end + 1
		return a, nil
	}
	a, err := p.mailbox()
	if err != nil {
		return Address{}, err
	}
	if !p.next('>') {
		return Address{}, errors.New("no > after the address")
	}
	return a, nil
}

// sourceRoute skips "@one,@two:".
func (p *parser) sourceRoute() error {
	for p.next('@') {
		if _, err := p.domain(); err != nil {
			return err
		}
		if p.next(':') {
			return nil
		}
		if !p.next(',') {
			return errors.New("invalid source route")
		}
	}
	return nil
}

func (p *parser) mailbox() (Address, error) {
	local, err := p.local()
	if err != nil {
		return Address{}, err
	}
	if !p.next('@') {
		return Address{}, errors.New("no @ after the local part")
	}
	domain, err := p.domain()
	if err != nil {
		return Address{}, err
	}
	return Address{Local: local, Domain: domain}, nil
}

func (p *parser) local() (string, error) {
	var local string
	var err error
	if p.next('"') {
		local, err = p.quoted()
	} else {
		// Dots in wrong places are accepted, since there are such senders;
		// String quotes them.
		start := p.i
		for p.i < len(p.s) && (atext(p.s[p.i]) || p.s[p.i] == '.') {
			p.i++
		}
		local = p.s[start:p.i]
	}
	switch {
	case err != nil:
		return "", err
	case local == "":
		return "", errors.New("no local part")
	case len(local) > maxLocal:
		return "", fmt.Errorf("local part longer than %d octets", maxLocal)
	}
	return local, text(local)
}

// quoted parses a quoted string after its first quote.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return b.String(), nil
		case c == '\\' && p.i < len(p.s):
			c = p.s[p.i]
			p.i++
		}
		if IsControl(rune(c)) {
			return "", errors.New("control character in the local part")
		}
		b.WriteByte(c)
	}
	return "", errors.New("quotes are not closed")
}

// text refuses invalid UTF-8 and control characters, those beyond ASCII too.
func text(s string) error {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n <= 1 {
				return errors.New("not valid UTF-8")
			}
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return errors.New("control character")
		}
	}
	return nil
}

func (p *parser) domain() (string, error) {
	start := p.i
	if p.next('[') {
		return p.literal(start)
	}
	for p.i < len(p.s) && domainByte(p.s[p.i]) {
		p.i++
	}
	d := p.s[start:p.i]
	if len(d) > maxDomain {
		return "", fmt.Errorf("domain longer than %d octets", maxDomain)
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return "", errors.New("invalid domain")
		}
	}
	return d, text(d)
}

func domainByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c == '-' || c == '_' || c == '.' || c >= utf8.RuneSelf
}

// literal parses an address literal (RFC 5321 4.1.3).
func (p *parser) literal(start int) (string, error) {
	end := strings.IndexByte(p.s[p.i:], ']')
	if end < 0 || end > 64 {
		return "", errors.New("address literal is not closed")
	}
	p.i += end + 1
	if _, ok := Literal(p.s[start:p.i]); !ok {
		return "", errors.New("invalid address literal")
	}
	return p.s[start:p.i], nil
}

// Literal returns the IP address of a domain that is an address literal (RFC 5321
// 4.1.3), "[192.0.2.1]" or "[IPv6:2001:db8::1]".
func Literal(domain string) (netip.Addr, bool) {
	inside, opened := strings.CutPrefix(domain, "[")
	inside, closed := strings.CutSuffix(inside, "]")
	if !opened || !closed {
		return netip.Addr{}, false
	}
	v6 := len(inside) > 5 && strings.EqualFold(inside[:5], "IPv6:")
	if v6 {
		inside = inside[5:]
	}
	ip, ok := IP(inside)
	return ip, ok && ip.Zone() == "" && ip.Is4() != v6
}

// IP is netip.ParseAddr without the cost of an error, for names that are hardly ever one.
func IP(s string) (netip.Addr, bool) {
	if s == "" || (s[len(s)-1] < '0' || s[len(s)-1] > '9') && strings.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false // the last octet of IPv4 ends in a digit
	}
	ip, err := netip.ParseAddr(s)
	return ip, err == nil
}
