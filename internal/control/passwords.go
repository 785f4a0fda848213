package control

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// SplitScheme cuts a password field `{SCHEME.encoding}rest`; scheme and
// encoding are in upper case. Without a scheme it is CRYPT, as in Dovecot.
func SplitScheme(field string) (scheme, encoding, rest string) {
	if inner, ok := strings.CutPrefix(field, "{"); ok {
		if scheme, rest, ok = strings.Cut(inner, "}"); ok {
			scheme, encoding, _ = strings.Cut(strings.ToUpper(scheme), ".")
			return scheme, encoding, rest
		}
	}
	return "CRYPT", "", field
}

// Barred reports whether a password field matches no password.
func Barred(field string) bool {
	_, _, rest := SplitScheme(field)
	return rest == "" || rest[0] == '!' || rest[0] == '*'
}

// Schemes returns the password schemes that the rows of control/users have, in
// upper case and without those of barred rows.
func (c *Control) Schemes() ([]string, error) {
	t, _, err := load(c, usersFile(c))
	return t.schemes, err
}

// ScramCost is what a SCRAM-SHA-256 exchange reveals about stored keys (RFC 5802 7):
// the iterations, and the salt's length in octets.
type ScramCost struct{ Iterations, Salt int }

// scramCost reads it from a password field that has such keys.
func scramCost(field string) (cost ScramCost, ok bool) {
	scheme, _, rest := SplitScheme(field)
	f := strings.SplitN(rest, ",", 3)
	if scheme != "SCRAM-SHA-256" || Barred(field) || len(f) < 3 {
		return cost, false
	}
	n, err := strconv.Atoi(f[0])
	salt, wrong := base64.StdEncoding.DecodeString(f[1])
	return ScramCost{n, len(salt)}, err == nil && wrong == nil && n > 0 && len(salt) > 0
}

// ScramCosts returns how many rows of control/users have keys of each cost. The map
// is read-only; it is empty if a program has the rows.
func (c *Control) ScramCosts() (map[ScramCost]int, error) {
	t, _, err := load(c, usersFile(c))
	return t.scram, err
}
