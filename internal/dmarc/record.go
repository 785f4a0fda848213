package dmarc

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"paperpath/internal/addr"
)

// Record is a DMARC policy record (RFC 9989 4.7).
type Record struct {
	Text    string
	P       Policy // "" where there is no valid one
	SP, NP  Policy // of subdomains, and of those that do not exist
	ADKIM   bool   // strict
	ASPF    bool   // strict
	PSD     byte   // y, n or u
	Testing bool   // t=y
	RUA     []string
	RUF     []string
	FO      string
	// Old has tags of RFC 7489 that mean nothing any more (RFC 9989 C.5): pct, rf and ri.
	Old []Tag
	// Ignored has what cannot be read, and so has no effect; unknown tags too.
	Ignored []string

	broken bool // sp or np is there and not valid
}

// Tag is a tag with its value, as written.
type Tag struct{ Name, Value string }

// isRecord reports whether a TXT record is a DMARC policy record: its first tag is v with
// the value DMARC1 (RFC 9989 4.7).
func isRecord(text string) bool {
	first, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(first, "=")
	// No blanks may stand before the v.
	return ok && (strings.HasPrefix(name, "v") || strings.HasPrefix(name, "V")) &&
		trim(name[1:]) == "" && trim(value) == "DMARC1"
}

// Parse reads a record. What is wrong behind its version is left out (RFC 9989 4.8); only
// a text that is no policy record, is too long or has a tag twice is an error: a tag-list
// with a tag twice is invalid as a whole (RFC 6376 3.2).
func Parse(text string) (*Record, error) {
	switch {
	case len(text) > maxRecord:
		return nil, fmt.Errorf("the record has more than %d octets", maxRecord)
	case !isRecord(text):
		return nil, errors.New("it does not begin with v=DMARC1")
	}
	r := &Record{Text: text, PSD: 'u'}
	seen := map[string]bool{"v": true}
	_, rest, _ := strings.Cut(text, ";")
	for spec := range strings.SplitSeq(rest, ";") {
		if spec = trim(spec); spec == "" {
			continue
		}
		name, value, ok := strings.Cut(spec, "=")
		// Names in an ABNF have no case.
		name, value = addr.Fold(trim(name)), trim(value)
		switch {
		case !ok || !isName(name) || !isValue(value):
			r.ignore(spec)
			continue
		case seen[name]:
			return nil, fmt.Errorf("%s= is there twice", name)
		case len(seen) == maxTags:
			return nil, fmt.Errorf("more than %d tags", maxTags)
		}
		seen[name] = true
		if !r.set(name, value) {
			r.ignore(spec)
		}
	}
	return r, nil
}

func (r *Record) ignore(spec string) { r.Ignored = append(r.Ignored, spec) }

// set takes a tag and reports whether it is known and valid. Values in an ABNF have no
// case.
func (r *Record) set(name, value string) (ok bool) {
	word := addr.Fold(value)
	switch name {
	case "p":
		r.P, ok = policy(word)
	case "sp":
		r.SP, ok = policy(word)
		r.broken = r.broken || !ok
	case "np":
		r.NP, ok = policy(word)
		r.broken = r.broken || !ok
	case "adkim":
		r.ADKIM, ok = word == "s", word == "s" || word == "r"
	case "aspf":
		r.ASPF, ok = word == "s", word == "s" || word == "r"
	case "t":
		r.Testing, ok = word == "y", word == "y" || word == "n"
	case "psd":
		if ok = word == "y" || word == "n" || word == "u"; ok {
			r.PSD = word[0]
		}
	case "rua":
		r.RUA, ok = addresses(value)
	case "ruf":
		r.RUF, ok = addresses(value)
	case "fo":
		if ok = isFO(word); ok {
			r.FO = word
		}
	case "pct", "rf", "ri":
		r.Old, ok = append(r.Old, Tag{name, value}), true
	}
	return ok
}

func policy(word string) (Policy, bool) {
	p := Policy(word)
	if p.rank() == 0 {
		return "", false
	}
	return p, true
}

// Defect says why the record asks for nothing, "" if it does (RFC 9989 4.10.1).
func (r *Record) Defect() string {
	switch {
	case r.P == "":
		return "it has no valid p="
	case r.broken:
		return "its sp= or np= is not valid"
	}
	return ""
}

// applies reports whether the record is to be followed at all: one with a defect still
// asks for reports, which means p=none, and without an address for them it asks for
// nothing (RFC 9989 4.10.1).
func (r *Record) applies() bool { return r.Defect() == "" || len(r.RUA) > 0 }

// asks returns the policy for mail of the record's own domain, or of a name below it, and
// the tag that says so. A missing sp means p; a missing np means sp (RFC 9989 4.7).
func (r *Record) asks(below, exists bool) (Policy, string) {
	switch {
	case r.Defect() != "":
		return None, "p"
	case below && !exists && r.NP != "":
		return r.NP, "np"
	case below && r.SP != "":
		return r.SP, "sp"
	}
	return r.P, "p"
}

// addresses reads a list of URIs; ok is false if none is valid. A size limit at the end
// of one is obsolete (RFC 9989 4.8).
func addresses(list string) (valid []string, ok bool) {
	for uri := range strings.SplitSeq(list, ",") {
		uri, _, _ = strings.Cut(trim(uri), "!")
		u, err := url.Parse(uri)
		if err != nil || strings.Contains(uri, " ") || u.Scheme == "" || u.Opaque == "" && u.Host == "" {
			continue
		}
		if u.Scheme == "mailto" && !strings.Contains(strings.Trim(u.Opaque, "@"), "@") {
			continue
		}
		valid = append(valid, uri)
	}
	return valid, len(valid) > 0
}

// isFO reports whether a list is one of fo: 0 or 1, d and s, each once at most.
func isFO(list string) bool {
	seen := map[string]bool{}
	for word := range strings.SplitSeq(list, ":") {
		word = trim(word)
		if len(word) != 1 || !strings.Contains("01ds", word) || seen[word] {
			return false
		}
		seen[word] = true
	}
	return !seen["0"] || !seen["1"]
}

// isName reports whether s is a tag's name. RFC 9989 knows letters only, RFC 6376 3.2
// digits and underscores too: either way such a tag is unknown.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s is a tag's value: printable ASCII.
func isValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// trim removes the blanks that may stand around tags and values.
func trim(s string) string { return strings.Trim(s, " \t") }
