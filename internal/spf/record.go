package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"paperpath/internal/addr"
)

// The syntax of a record (RFC 7208 12). The library stops at the first match, but an
// error anywhere makes the whole record invalid (RFC 7208 4.6): whether it is must not
// depend on who asks.
const (
	macro     = `%\{[slodipvh]([1-9][0-9]*|0*[1-9][0-9]*)?r?[-.+,/_=]*\}|%%|%_|%-`
	literal   = `[!-$&-~]`
	topLabel  = `(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])`
	domain    = `(?:` + macro + `|` + literal + `)*?(?:\.` + topLabel + `\.?|` + macro + `)`
	prefix4   = `/(?:0|[1-9][0-9]?)`
	prefix6   = `/(?:0|[1-9][0-9]?[0-9]?)`
	prefixes  = `(?:` + prefix4 + `)?(?:/` + prefix6 + `)?`
	mechanism = `[-+?~]?(?:all|include:` + domain + `|(?:a|mx)(?::` + domain + `)?` + prefixes +
		`|ptr(?::` + domain + `)?|exists:` + domain +
		`|ip4:([0-9.]+)(` + prefix4 + `)?|ip6:([0-9a-f:.]+)(` + prefix6 + `)?)`
	modifier = `(?:redirect|exp)=` + domain
	unknown  = `[a-z][a-z0-9._-]*=(?:` + strings0 + `)`
	strings0 = `(?:%\{[slodipvhcrt][0-9]*r?[-.+,/_=]*\}|%%|%_|%-|` + literal + `)*`
)

// They are compiled when the first record is read: most programs read none.
var (
	isMechanism = pattern(`^` + mechanism + `$`)
	isModifier  = pattern(`^` + modifier + `$`)
	isUnknown   = pattern(`^` + unknown + `$`)
	hasPrefix   = pattern(`^[-+?~]?(?:a|mx)(?::.*?)?(?:/([0-9]+))?(?://([0-9]+))?$`)
)

// pattern returns a pattern that is compiled on first use.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// invalid returns what is wrong with the text of a record, nil if nothing is.
func invalid(text string) error {
	if len(text) > maxRecord {
		return fmt.Errorf("it has more than %d octets", maxRecord)
	}
	seen := map[string]bool{}
	_, terms, _ := strings.Cut(text, " ")
	for term := range strings.SplitSeq(terms, " ") {
		if term == "" {
			continue
		}
		if err := invalidTerm(addr.Fold(term), seen); err != nil {
			return fmt.Errorf("%.80q: %w", term, err)
		}
	}
	return nil
}

// invalidTerm returns what is wrong with a term in lower case; seen has the modifiers
// before it.
func invalidTerm(term string, seen map[string]bool) error {
	if isPlain(term) {
		return nil
	}
	name, _, _ := strings.Cut(term, "=")
	switch {
	case name == "redirect" || name == "exp":
		if seen[name] {
			return errors.New("it is there twice")
		}
		seen[name] = true
		if !isModifier().MatchString(term) {
			return errors.New("not a domain")
		}
		return nil
	case isUnknown().MatchString(term):
		return nil
	}
	m := isMechanism().FindStringSubmatch(term)
	if m == nil {
		return errors.New("neither a mechanism nor a modifier")
	}
	n := len(m)
	switch v4, len4, v6, len6 := m[n-4], m[n-3], m[n-2], m[n-1]; {
	case v4 != "":
		return invalidNetwork(v4+len4, v4, true)
	case v6 != "":
		return invalidNetwork(v6+len6, v6, false)
	}
	if m := hasPrefix().FindStringSubmatch(term); m != nil && (tooLong(m[1], 32) || tooLong(m[2], 128)) {
		return errors.New("too long a prefix")
	}
	return nil
}

// isPlain reports whether a term in lower case is one of those that nearly all records are
// made of. Of any other one the grammar says whether it is valid.
func isPlain(term string) bool {
	if term != "" && strings.IndexByte("-+?~", term[0]) >= 0 {
		term = term[1:]
	}
	network, is4 := strings.CutPrefix(term, "ip4:")
	switch {
	case term == "all", term == "a", term == "mx":
		return true
	case is4:
		address, _, _ := strings.Cut(network, "/")
		return invalidNetwork(network, address, true) == nil
	}
	return false
}

func invalidNetwork(network, address string, v4 bool) error {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() != v4 {
		return errors.New("not an address")
	}
	if network != address {
		if _, err := netip.ParsePrefix(network); err != nil {
			return errors.New("not a network")
		}
	}
	return nil
}

func tooLong(digits string, most int) bool {
	n := 0
	for _, c := range digits {
		n = min(10*n+int(c-'0'), 1000)
	}
	return n > most
}
