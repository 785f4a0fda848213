package control

import (
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// ClientCA returns the certificates of control/tls/clientca.pem, which vouch
// for clients that log in by certificate; nil where there is no such file.
func (c *Control) ClientCA() (*x509.CertPool, error) {
	p, _, err := load(c, clientCAFile())
	return p, err
}

func clientCAFile() file[*x509.CertPool] {
	return file[*x509.CertPool]{name: "tls/clientca.pem", max: 1 << 20, parse: func(name string, data []byte) (*x509.CertPool, error) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(data) {
			return nil, failFile(name, "there is no certificate in it")
		}
		return pool, nil
	}}
}

// Mechanisms returns the SASL mechanisms of control/mechanisms in upper case,
// nil where there is no such file.
func (c *Control) Mechanisms() ([]string, error) {
	return value[[]string](c, "mechanisms")
}

func parseMechanisms(name string, data []byte) ([]string, error) {
	known := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"}
	ls, err := items(name, data)
	list := []string{}
	for _, l := range ls {
		mechanism := strings.ToUpper(l.text)
		if !slices.Contains(known, mechanism) {
			return nil, fail(name, l.n, "%q is none of %s", l.text, strings.Join(known, " "))
		}
		list = append(list, mechanism)
	}
	return list, err
}

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

// Barred reports a password field that no password matches.
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

// ScramCost is what a SCRAM-SHA-256 exchange shows of stored keys (RFC 5802 7):
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

// ScramCosts returns how many rows of control/users have keys of each cost. The
// map is not to be changed; it is empty where a program stands for the rows.
func (c *Control) ScramCosts() (map[ScramCost]int, error) {
	t, _, err := load(c, usersFile(c))
	return t.scram, err
}
