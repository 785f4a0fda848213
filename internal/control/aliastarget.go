package control

import (
	"errors"
	"path/filepath"
	"strings"

	"paperpath/internal/addr"
)

// TargetForm is what a target of an alias is.
type TargetForm int

// The forms, by how a target begins.
const (
	AddressTarget TargetForm = iota
	OwnTarget                // \user: the mailbox, not looked up as an alias
	ProgramTarget            // |program
	FileTarget               // /file
	IncludeTarget            // :include:/file
)

const includePrefix = ":include:"

// FormOf returns what a target of an Alias is, and its text without the mark.
func FormOf(target string) (TargetForm, string) {
	switch {
	case strings.HasPrefix(target, `\`):
		return OwnTarget, target[1:]
	case strings.HasPrefix(target, "|"):
		return ProgramTarget, target[1:]
	case strings.HasPrefix(target, "/"):
		return FileTarget, target
	case strings.HasPrefix(target, includePrefix):
		return IncludeTarget, target[len(includePrefix):]
	}
	return AddressTarget, target
}

// InDomain returns a target with domain, if it is an address without one.
func InDomain(target, domain string) string {
	form, _ := FormOf(target)
	if _, has := addr.Split(target); has != "" || domain == "" || form != AddressTarget && form != OwnTarget {
		return target
	}
	return target + "@" + domain
}

// parseTarget parses a target: an address, with or without a domain, or what begins with
// one of the marks. Quotes around a whole target are removed. A backslash before an
// address, inside the quotes or not, stays (sendmail's aliases(5)).
func parseTarget(s string) (string, error) {
	if form, _ := FormOf(strings.TrimPrefix(s, `"`)); form >= ProgramTarget && !strings.Contains(s, `"@`) {
		return parseAction(s)
	}
	inside, quoted := unquoted(s)
	if quoted && (strings.HasPrefix(inside, `\`) || strings.Contains(inside, "@")) {
		s = inside
	}
	if quoted && strings.HasPrefix(s, `\`) {
		s = `\` + strings.TrimLeft(s, `\`)
	}
	return s, checkTarget(strings.TrimPrefix(s, `\`))
}

// parseAction parses a program, a file or a list of them.
func parseAction(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		if len(s) < 2 || !strings.HasSuffix(s, `"`) {
			return "", errors.New("has text outside its quotes")
		}
		s = unescaped(s[1 : len(s)-1])
	}
	form, text := FormOf(s)
	text = strings.Trim(text, " \t")
	// sendmail's manual writes |"program argument" too.
	if len(text) > 2 && text[0] == '"' && strings.IndexByte(text[1:], '"') == len(text)-2 {
		text = text[1 : len(text)-1]
	}
	if strings.ContainsFunc(text, isControl) {
		return "", errors.New("has a control character")
	}
	switch {
	case form == ProgramTarget && text == "":
		return "", errors.New("names no program")
	case form == ProgramTarget:
		return "|" + text, nil
	case !filepath.IsAbs(text) || strings.HasSuffix(text, "/"):
		return "", errors.New("is not the absolute path of a file")
	case form == IncludeTarget:
		return includePrefix + filepath.Clean(text), nil
	}
	return filepath.Clean(text), nil
}

// unescaped removes the backslashes that protect characters inside quotes.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// checkTarget refuses anything but an address, with or without a domain.
func checkTarget(s string) error {
	bare := strings.TrimPrefix(s, "\"")
	if strings.HasPrefix(s, "\"") && strings.Contains(s, "\"@") {
		return addr.CheckAddress(s)
	}
	switch {
	case s == "":
		return errors.New("is empty")
	case bare == "":
		return errors.New("is a single quote")
	case bare[0] == '|' || bare[0] == '/':
		return errors.New("has a backslash before a program or a file")
	case bare[0] == ':':
		return errors.New("is no list (:include:/path/of/the/file)")
	case strings.HasPrefix(bare, "@"):
		return errors.New("is a whole domain")
	case strings.Contains(s, "@"):
		return addr.CheckAddress(s)
	}
	return addr.CheckLocal(s)
}
