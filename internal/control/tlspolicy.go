package control

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// TLSLevel is what TLS a session with another host must have.
type TLSLevel string

// The levels. TLSFingerprint and TLSVerify prove who the host is; the others do not.
const (
	TLSNone        TLSLevel = "none"    // TLS is not even tried
	TLSMay         TLSLevel = "may"     // where it works
	TLSEncrypt     TLSLevel = "encrypt" // from anybody
	TLSVerify      TLSLevel = "verify"  // with a certificate of an authority for a name
	TLSFingerprint TLSLevel = "fingerprint"
)

// Demands reports whether a session in the clear is not enough.
func (l TLSLevel) Demands() bool { return l == TLSEncrypt || l == TLSVerify || l == TLSFingerprint }

// TLSPolicy is a row of control/tls-policy. Policies are comparable.
type TLSPolicy struct {
	Level  TLSLevel
	Names  string // of TLSVerify: those that suit, separated by blanks; "": the host's own
	Pins   string // of TLSFingerprint: SHA-256 in hex, separated by blanks
	Min    uint16 // the lowest version of TLS
	Always bool   // a message with TLS-Required: No does not lift it
	Where  string // "control/tls-policy:2"
}

// String is the policy as a row would say it.
func (p TLSPolicy) String() string {
	text := string(p.Level)
	if p.Names != "" {
		text += " name=" + strings.ReplaceAll(p.Names, " ", ",")
	}
	if p.Min > tls.VersionTLS12 {
		text += " min=1.3"
	}
	if p.Always {
		text += " always"
	}
	return text
}

func tlsPolicyTable() table[TLSPolicy] {
	return table[TLSPolicy]{
		name:    "tls-policy",
		askable: anyName,
		form:    "a row is `domain: LEVEL [OPTION ...]`, such as `example.org: encrypt`",
		key:     func(text string) string { return routeKey(text, checkRouteKey) },
		parse:   parseTLSPolicy,
	}
}

func tlsPolicyFile(c *Control) file[contents[TLSPolicy]] { return tlsPolicyTable().file(c) }

func parseTLSPolicy(where, text string) ([]entry[TLSPolicy], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	if err := checkRouteKey(key); err != nil {
		return nil, err
	}
	p, err := ParseTLSPolicy(where, value)
	if err != nil {
		return nil, err
	}
	return []entry[TLSPolicy]{{foldRouteKey(key), *p}}, nil
}

// ParseTLSPolicy parses what follows the key of a row: a level and its options.
func ParseTLSPolicy(where, value string) (*TLSPolicy, error) {
	p := &TLSPolicy{Min: tls.VersionTLS12, Where: where}
	for i, word := range strings.Fields(value) {
		if err := p.word(word, i == 0); err != nil {
			return nil, err
		}
	}
	switch {
	case p.Level == "":
		return nil, errors.New("no level (none, may, encrypt, verify, fingerprint)")
	case p.Level == TLSFingerprint && p.Pins == "":
		return nil, errors.New("no fingerprint after the level (64 hexadecimal digits, with or without colons)")
	}
	return p, nil
}

// word takes one word of a row; the first is the level.
func (p *TLSPolicy) word(word string, first bool) error {
	if first {
		return p.level(word)
	}
	name, value, ok := strings.Cut(word, "=")
	switch {
	case word == "always" && p.Level.Demands():
		p.Always = true
		return nil
	case ok && name == "name" && p.Level == TLSVerify:
		return p.names(value)
	case ok && name == "min" && p.Level.Demands():
		return p.version(value)
	case !ok && p.Level == TLSFingerprint:
		return p.pin(word)
	case word == "always", ok && (name == "name" || name == "min"):
		return fmt.Errorf("%q has no meaning with the level %s", word, p.Level)
	}
	return fmt.Errorf("%q is not an option (%s)", word, p.options())
}

func (p *TLSPolicy) level(word string) error {
	levels := []string{string(TLSNone), string(TLSMay), string(TLSEncrypt), string(TLSVerify), string(TLSFingerprint)}
	if !slices.Contains(levels, word) {
		hint := strings.Join(levels, ", ")
		if like := nearest(word, levels); like != "" {
			hint = "did you mean " + like + "?"
		}
		return fmt.Errorf("%q is not a level (%s)", word, hint)
	}
	p.Level = TLSLevel(word)
	return nil
}

// options names the options of the level.
func (p *TLSPolicy) options() string {
	switch p.Level {
	case TLSVerify:
		return "name=HOST,.DOMAIN, min=1.2, min=1.3, always"
	case TLSFingerprint, TLSEncrypt:
		return "min=1.2, min=1.3, always"
	}
	return "this level has none"
}

// names takes `mx.example.net,.example.net`.
func (p *TLSPolicy) names(list string) error {
	if p.Names != "" {
		return errors.New("name= is there twice (separate the names by commas)")
	}
	var all []string
	for name := range strings.SplitSeq(list, ",") {
		bare := strings.TrimPrefix(name, ".")
		if err := addr.CheckDomain(bare); err != nil || strings.HasPrefix(bare, "[") {
			return fmt.Errorf("name=%s: %q is not the name of a host, or a domain after a dot", list, name)
		}
		all = append(all, foldRouteKey(name))
	}
	p.Names = strings.Join(all, " ")
	return nil
}

func (p *TLSPolicy) version(number string) error {
	switch number {
	case "1.2":
		p.Min = tls.VersionTLS12
	case "1.3":
		p.Min = tls.VersionTLS13
	default:
		return fmt.Errorf("min=%s is not a version that can be asked for (1.2, 1.3)", number)
	}
	return nil
}

// pin takes a fingerprint.
func (p *TLSPolicy) pin(word string) error {
	sum, err := hex.DecodeString(strings.ReplaceAll(word, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("%q is not a SHA-256 fingerprint (64 hexadecimal digits, with or without colons)", word)
	}
	p.Pins = strings.TrimPrefix(p.Pins+" "+hex.EncodeToString(sum), " ")
	return nil
}

// TLSPolicy returns the policy for mail of a domain: by its own row, then by that of the
// host which a route names for it ("": none does), then by those of their parents, the
// longest first, and at last by the row `.`. nil without an error means that no row says
// anything.
func (c *Control) TLSPolicy(domain, host string) (*TLSPolicy, error) {
	keys := domainKeys(domain)
	if ip, err := netip.ParseAddr(host); err == nil { // its row has it as an address does
		host = "[" + ip.String() + "]"
		if ip.Is6() {
			host = "[ipv6:" + ip.String() + "]"
		}
	}
	if host != "" {
		for _, key := range domainKeys(host) {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.SortStableFunc(keys, func(a, b string) int {
		switch whole := !strings.HasPrefix(a, "."); {
		case whole == strings.HasPrefix(b, "."):
			return map[bool]int{true: -1, false: 1}[whole]
		case whole:
			return 0 // the domain comes before the host
		}
		return len(b) - len(a)
	})
	f := tlsPolicyFile(c)
	p, at, err := find[TLSPolicy](c, f, append(keys, ".")...)
	if err == nil && at > 0 {
		err = hiddenIn[TLSPolicy](c, f)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}
