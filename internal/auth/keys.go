package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/stringprep"

	"paperpath/internal/control"
)

// Keys are what SCRAM-SHA-256 stores of a password (RFC 5802 3).
type Keys struct {
	Iterations                 int
	Salt, StoredKey, ServerKey []byte

	Nobody bool // made up for a login without keys: no proof is right
}

const (
	minIterations   = 4096      // RFC 7677 4
	maxIterations   = 1_000_000 // of a row; a check takes half a second then
	scramIterations = 4096      // of new rows: the client, perhaps a phone, does this work at each login
	scramSalt       = 16        // octets
)

// newKeys makes the keys of a password.
func newKeys(password string, salt []byte, iterations int) (Keys, error) {
	salted, err := pbkdf2.Key(sha256.New, prepared(password), salt, iterations, sha256.Size)
	if err != nil {
		return Keys{}, fmt.Errorf("derive the keys: %w", err)
	}
	stored := sha256.Sum256(mac(salted, []byte("Client Key")))
	return Keys{Iterations: iterations, Salt: salt, StoredKey: stored[:],
		ServerKey: mac(salted, []byte("Server Key"))}, nil
}

// prepared returns the password as SCRAM hashes it (SASLprep, RFC 4013). A password that
// SASLprep rejects or empties is taken as it is.
func prepared(password string) string {
	if p, err := stringprep.SASLprep.Prepare(password); err == nil && p != "" {
		return p
	}
	return password
}

// scramText makes the field of a row from a password.
func scramText(password string) (string, error) {
	salt := make([]byte, scramSalt)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	k, err := newKeys(password, salt, scramIterations)
	return k.String(), err
}

// String writes keys as Dovecot does: iterations,salt,StoredKey,ServerKey.
func (k Keys) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return strconv.Itoa(k.Iterations) + "," + b64(k.Salt) + "," + b64(k.StoredKey) + "," + b64(k.ServerKey)
}

// parseKeys parses what String writes.
func parseKeys(s string) (k Keys, err error) {
	f := strings.Split(s, ",")
	if len(f) != 4 {
		return k, errMalformed
	}
	n, err := strconv.ParseUint(f[0], 10, 31)
	switch {
	case err != nil || n < minIterations:
		return k, errMalformed
	case n > maxIterations:
		return k, tooCostly("iterations", maxIterations)
	}
	k.Iterations = int(n)
	for i, field := range []*[]byte{&k.Salt, &k.StoredKey, &k.ServerKey} {
		if *field, err = base64.StdEncoding.DecodeString(f[i+1]); err != nil {
			return k, errMalformed
		}
	}
	if len(k.Salt) == 0 || len(k.Salt) > maxBlob ||
		len(k.StoredKey) != sha256.Size || len(k.ServerKey) != sha256.Size {
		return k, errMalformed
	}
	return k, nil
}

// verifyKeys checks a password, from PLAIN or LOGIN, against keys.
func verifyKeys(s, password string) (bool, error) {
	k, err := parseKeys(s)
	if err != nil {
		return false, err
	}
	got, err := newKeys(password, k.Salt, k.Iterations)
	return err == nil && equal(got.StoredKey, k.StoredKey), err
}

// keysOf returns what a row's password field has for SCRAM: the password in clear text,
// stored keys, or neither.
func keysOf(field string) (clear []byte, k Keys, err error) {
	scheme, encoding, rest := control.SplitScheme(field)
	switch {
	case Barred(field):
	case scheme == Scram && encoding == "":
		k, err = parseKeys(rest)
	case isClear(scheme):
		clear, err = decode(encoding, rest)
	}
	return clear, k, err
}

func isClear(scheme string) bool {
	return scheme == "PLAIN" || scheme == "CLEARTEXT" || scheme == "CLEAR"
}
