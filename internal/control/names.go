package control

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Fold returns the form of an address, domain or name in which tables compare
// it: ASCII letters in lower case, nothing else changed.
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return foldBytes([]byte(s))
		}
	}
	return s
}

// foldBytes works on bytes: what is no UTF-8 stays as it is too.
func foldBytes(b []byte) string {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// FoldDomain is Fold for a domain, which may also be written in UTF-8: both
// spellings of an internationalised domain (RFC 5890) become its A-label form.
func FoldDomain(domain string) string {
	domain = Fold(domain)
	if isASCII(domain) || !utf8.ValidString(domain) {
		return domain
	}
	if a, err := idna.Lookup.ToASCII(domain); err == nil {
		return a
	}
	return domain
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// FoldAddress is Fold for the local part and FoldDomain for the domain: the one
// spelling under which rows are found, and by which everything that is kept of an
// address has to be named.
func FoldAddress(address string) string {
	local, domain := Split(address)
	if domain == "" {
		return Fold(address)
	}
	return Fold(local) + "@" + FoldDomain(domain)
}

// Split cuts an address at its last @. The domain is "" where there is none.
func Split(address string) (local, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, ""
	}
	return address[:i], address[i+1:]
}

// CheckDomain refuses what cannot be a mail domain. The error says only what is
// wrong ("has an empty label"). A domain is a host name (RFC 1123 2.1, in UTF-8
// too) or an address literal in brackets (RFC 5321 4.1.3).
func CheckDomain(domain string) error {
	if strings.HasPrefix(domain, "[") {
		return checkLiteral(domain)
	}
	ascii := FoldDomain(domain)
	if len(ascii) > 253 {
		return errors.New("is longer than 253 bytes")
	}
	for _, label := range strings.Split(ascii, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has an empty label")
	case len(label) > 63:
		return errors.New("has a label longer than 63 bytes")
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a label with a hyphen at its end")
	}
	for i := 0; i < len(label); i++ {
		if !labelByte(label[i]) {
			return errors.New("has a character that no domain has")
		}
	}
	return nil
}

func labelByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_'
}

func checkLiteral(domain string) error {
	inner, ok := strings.CutSuffix(domain[1:], "]")
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		inner = inner[5:]
	}
	if _, err := netip.ParseAddr(inner); err != nil || !ok {
		return errors.New("is no address in brackets")
	}
	return nil
}

// CheckAddress refuses what cannot be an address `local@domain`; the error says
// only what is wrong ("has no @domain"). It is not the whole grammar: what it
// lets through names a row, never a file.
func CheckAddress(address string) error {
	local, domain := Split(address)
	switch {
	case domain == "":
		return errors.New("has no @domain")
	case local == "":
		return errors.New("has nothing before the @")
	}
	if err := checkLocal(local); err != nil {
		return err
	}
	return CheckDomain(domain)
}

// checkLocal is CheckAddress for what stands before the @. Blanks and
// specials are fine inside quotes only (RFC 5321 4.1.2).
func checkLocal(local string) error {
	if len(local) > 128 {
		return errors.New("is too long")
	}
	if len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"' {
		return nil
	}
	if strings.ContainsAny(local, " \t\"(),:;<>@[\\]") {
		return errors.New("has a character that must be quoted")
	}
	return nil
}
