package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"
	"unicode/utf8"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// rounds of SHA-crypt in new hashes: a mail client logs in every few minutes,
// so a check has to stay in the tens of milliseconds.
const rounds = 50_000

// Hash returns the field `{SCHEME}hash` for control/users. The scheme "" is
// SHA512-CRYPT. A password or scheme that cannot be used is a usage error.
func Hash(scheme, password string) (string, error) {
	if scheme == "" {
		scheme = Schemes()[0]
	}
	scheme = strings.ToUpper(scheme)
	if err := checkPassword(scheme, password); err != nil {
		return "", err
	}
	text, err := hashWith(scheme, password)
	if err != nil {
		return "", err
	}
	return "{" + scheme + "}" + text, nil
}

// checkPassword refuses a password that no login can send or the scheme cannot store.
func checkPassword(scheme, password string) error {
	switch {
	case password == "":
		return status.UsageError("the password is empty")
	case len(password) > maxPassword:
		return status.UsageError("the password is longer than %d octets, the maximum of a login", maxPassword)
	case !utf8.ValidString(password):
		return status.UsageError("the password is not UTF-8, so no login can use it")
	case strings.ContainsFunc(password, addr.IsControl):
		return status.UsageError("the password has a tab or another control character, which no login can have")
	case !WellFormed(password):
		return status.UsageError("no login can use this password")
	case scheme == "BLF-CRYPT" && len(password) > 72:
		return status.UsageError("the password is longer than the 72 octets that BLF-CRYPT can use")
	case scheme == "PLAIN" && (strings.Contains(password, ":") || strings.ContainsAny(password[:1], "!*")):
		return status.UsageError("this password cannot be stored in control/users in clear text")
	}
	return nil
}

func hashWith(scheme, password string) (string, error) {
	switch scheme {
	case "SHA512-CRYPT":
		return digestOf(shacrypt.New(shacrypt.WithSHA512(), shacrypt.WithIterations(rounds)))(password)
	case "SHA256-CRYPT":
		return digestOf(shacrypt.New(shacrypt.WithSHA256(), shacrypt.WithIterations(rounds)))(password)
	case "BLF-CRYPT":
		return digestOf(bcrypt.New(bcrypt.WithCost(11)))(password)
	case "ARGON2ID":
		return digestOf(argon2.New(argon2.WithProfileRFC9106LowMemory()))(password)
	case "SSHA512":
		return saltedText(sha512.New(), password), nil
	case "SSHA256":
		return saltedText(sha256.New(), password), nil
	case Scram:
		return scramText(password)
	case "PLAIN":
		return password, nil
	}
	return "", status.UsageError("unknown password scheme %.20q (%s)", scheme, strings.Join(Schemes(), ", "))
}

// digestOf turns a hasher, or the error of making one, into a function.
func digestOf[H algorithm.Hash](h H, err error) func(string) (string, error) {
	return func(password string) (string, error) {
		if err != nil {
			return "", err
		}
		d, err := h.Hash(password)
		if err != nil {
			return "", err
		}
		return trimmed(d), nil
	}
}

func saltedText(h hash.Hash, password string) string {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	h.Write([]byte(password))
	h.Write(salt)
	return base64.StdEncoding.EncodeToString(append(h.Sum(nil), salt...))
}
