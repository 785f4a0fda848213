package addr

import (
	"errors"
	"strings"
)

// CheckDomain refuses what cannot be a mail domain. The error says only what is
// wrong ("has an empty label"). A domain is a host name (RFC 1123 2.1, in UTF-8
// too) or an address literal in brackets (RFC 5321 4.1.3).
func CheckDomain(domain string) error {
	if strings.HasPrefix(domain, "[") {
		if _, ok := Literal(domain); !ok {
			return errors.New("is no address in brackets")
		}
		return nil
	}
	ascii := FoldDomain(domain)
	if len(ascii) > 253 {
		return errors.New("is longer than 253 bytes")
	}
	for label := range strings.SplitSeq(ascii, ".") {
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
	case len(label) > maxLabel:
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

// CheckAddress refuses what cannot be an address `local@domain` in a setting; the error
// says only what is wrong ("has no @domain"). It is not the whole grammar: what it lets
// through names a row, never a file.
func CheckAddress(address string) error {
	local, domain := Split(address)
	switch {
	case domain == "":
		return errors.New("has no @domain")
	case local == "":
		return errors.New("has nothing before the @")
	}
	if err := CheckLocal(local); err != nil {
		return err
	}
	return CheckDomain(domain)
}

// CheckLocal is CheckAddress for the part before the @. Blanks and specials may
// only be within quotes (RFC 5321 4.1.2).
func CheckLocal(local string) error {
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
