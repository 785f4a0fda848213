package addr

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Fold maps ASCII capitals to small letters and leaves all else alone, octets that
// are not UTF-8 too: the form in which tables compare names.
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return foldBytes([]byte(s))
		}
	}
	return s
}

func foldBytes(b []byte) string {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// FoldDomain is Fold for a domain, which may also be written in UTF-8: both
// spellings of an internationalised domain (RFC 5890) become its A-label form. A
// domain that has none is only folded.
func FoldDomain(domain string) string {
	domain = Fold(domain)
	if a, err := ToASCII(domain); err == nil {
		return a
	}
	return domain
}

// FoldAddress is Fold for the local part and FoldDomain for the domain: the one
// spelling under which rows are found, and by which everything that is kept about an
// address is named.
func FoldAddress(address string) string {
	local, domain := Split(address)
	if domain == "" {
		return Fold(address)
	}
	return Fold(local) + "@" + FoldDomain(domain)
}

// Split cuts an address at its last @. The domain is "" if there is none.
func Split(address string) (local, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, ""
	}
	return address[:i], address[i+1:]
}

// IsASCII reports whether s is 7-bit.
func IsASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// IsControl reports whether r is a control character of ASCII (RFC 5234 B.1, CTL).
func IsControl(r rune) bool { return r < ' ' || r == 0x7f }

// ToASCII returns a domain with its labels in UTF-8 as A-labels (RFC 5891). Labels in
// ASCII stay as they are; they may have underscores, as the names of policies do.
func ToASCII(domain string) (string, error) {
	if IsASCII(domain) {
		return domain, nil
	}
	if !utf8.ValidString(domain) || len(domain) > 4*maxDomain {
		return "", errors.New("not valid UTF-8, or too long")
	}
	p := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())
	return p.ToASCII(domain)
}
