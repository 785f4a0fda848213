package auth

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"paperpath/internal/control"
)

// The maximum cost of one check, about a second of one processor. A hash that needs more
// is an error in control/users.
const (
	maxRounds    = 1_000_000  // SHA-crypt
	maxBlowfish  = 14         // bcrypt, as a power of two
	maxMemory    = 256 << 10  // Argon2, KiB
	maxPasses    = 16         // Argon2
	maxLanes     = 16         // Argon2
	maxArgonWork = 1024 << 10 // Argon2, KiB times passes
	maxBlob      = 1024       // bytes in a salted digest
)

// verify reports whether password matches the field of control/users.
func verify(field, password string) (bool, error) {
	scheme, encoding, rest := control.SplitScheme(field)
	switch {
	case isClear(scheme):
		want, err := decode(encoding, rest)
		return err == nil && equal(want, []byte(password)), err
	case scheme == Scram && encoding == "":
		return verifyKeys(rest, password)
	}
	if d, ok := digests()[scheme]; ok {
		return d.verify(encoding, rest, password)
	}
	if encoding != "" {
		return false, fmt.Errorf("the scheme {%.20s} takes no encoding", scheme)
	}
	if scheme == "PBKDF2" {
		return verifyPBKDF2(rest, password)
	}
	return verifyCrypt(scheme, rest, password)
}

// equal compares in constant time.
func equal(a, b []byte) bool {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func decode(encoding, s string) ([]byte, error) {
	switch encoding {
	case "":
		return []byte(s), nil
	case "B64", "BASE64":
		return wrapDecode(base64.StdEncoding.DecodeString(s))
	case "HEX":
		return wrapDecode(hex.DecodeString(s))
	}
	return nil, errors.New("unknown encoding of the password hash (b64, hex)")
}

func wrapDecode(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, errMalformed
	}
	return b, nil
}

// verifyCrypt checks a password against a crypt(3) string. The scheme may name its kind.
func verifyCrypt(scheme, s, password string) (bool, error) {
	kind, ok := kindOf(s)
	if !ok {
		if scheme == "CRYPT" || slices.Contains(cryptSchemes(), scheme) {
			return false, errors.New("the password hash is of an unknown kind " +
				"($1$, $5$, $6$, $2y$, $argon2i$, $argon2id$, $y$)")
		}
		return false, fmt.Errorf("unknown password scheme {%.20s}", scheme)
	}
	if scheme == "MD5" {
		scheme = "MD5-CRYPT"
	}
	if scheme != "CRYPT" && scheme != kind.scheme {
		return false, fmt.Errorf("the password hash is not of the scheme {%.20s}", scheme)
	}
	if err := kind.cap(strings.Split(s, "$")); err != nil {
		return false, err
	}
	digest, err := kind.decode(s)
	if err != nil {
		return false, errMalformed // the library's text quotes the hash
	}
	if kind.scheme == "BLF-CRYPT" {
		password = password[:min(len(password), 72)] // no bcrypt uses more
	}
	if kind.scheme == "SHA512-CRYPT" {
		return matchSHA512(s, password), nil
	}
	ok, err = digest.MatchAdvanced(password)
	if err != nil {
		return false, errors.New("the password hash cannot be checked")
	}
	return ok, nil
}

// kind is one form of crypt(3) strings. cap refuses a string that is malformed or too
// costly, by the fields between its dollar signs.
type kind struct {
	scheme string
	cap    func(fields []string) error
	decode func(string) (algorithm.Digest, error)
}

func cryptSchemes() []string {
	return []string{"MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2I", "ARGON2ID"}
}

func kindOf(s string) (kind, bool) {
	prefix, _, _ := strings.Cut(strings.TrimPrefix(s, "$"), "$")
	if !strings.HasPrefix(s, "$") {
		prefix = ""
	}
	switch prefix {
	case "1":
		return kind{"MD5-CRYPT", capMD5, md5crypt.Decode}, true
	case "argon2i":
		return kind{"ARGON2I", capArgon, argon2.Decode}, true
	case "5":
		return kind{"SHA256-CRYPT", func(f []string) error { return capSHA(f, 43) }, shacrypt.Decode}, true
	case "6":
		return kind{"SHA512-CRYPT", func(f []string) error { return capSHA(f, 86) }, shacrypt.Decode}, true
	case "2a", "2b", "2y":
		return kind{"BLF-CRYPT", capBlowfish, bcrypt.Decode}, true
	case "argon2id":
		return kind{"ARGON2ID", capArgon, argon2.Decode}, true
	case "y":
		return kind{"CRYPT", capYescrypt, scrypt.Decode}, true
	}
	return kind{}, false
}

// capMD5 checks $1$salt$hash.
func capMD5(f []string) error {
	if len(f) != 4 || len(f[2]) > 8 || len(f[3]) != 22 {
		return errMalformed
	}
	return nil
}

// capSHA checks $5$[rounds=N$]salt$hash.
func capSHA(f []string, size int) error {
	if len(f) == 5 {
		rounds, ok := strings.CutPrefix(f[2], "rounds=")
		n, err := strconv.ParseUint(rounds, 10, 31)
		if !ok || err != nil || n < 1000 {
			return errMalformed
		}
		if n > maxRounds {
			return tooCostly("rounds", maxRounds)
		}
		f = f[1:]
	}
	if len(f) != 4 || len(f[2]) > 16 || len(f[3]) != size {
		return errMalformed
	}
	return nil
}

// capBlowfish checks $2y$COST$saltandhash.
func capBlowfish(f []string) error {
	if len(f) != 4 || len(f[2]) != 2 || len(f[3]) != 53 {
		return errMalformed
	}
	n, err := strconv.ParseUint(f[2], 10, 8)
	if err != nil || n < 4 {
		return errMalformed
	}
	if n > maxBlowfish {
		return tooCostly("cost", maxBlowfish)
	}
	return nil
}

// capArgon checks $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func capArgon(f []string) error {
	if len(f) != 6 || len(f[4]) < 11 || len(f[4]) > 128 || len(f[5]) < 22 || len(f[5]) > 128 {
		return errMalformed
	}
	got := map[string]uint64{}
	for _, p := range strings.Split(f[3], ",") {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		if _, twice := got[name]; err != nil || n == 0 || twice {
			return errMalformed
		}
		got[name] = n
	}
	switch {
	case len(got) != 3 || got["m"] == 0 || got["t"] == 0 || got["p"] == 0:
		return errMalformed
	case got["m"] > maxMemory:
		return tooCostly("m", maxMemory)
	case got["t"] > maxPasses:
		return tooCostly("t", maxPasses)
	case got["p"] > maxLanes:
		return tooCostly("p", maxLanes)
	case got["m"]*got["t"] > maxArgonWork:
		return tooCostly("m times t", maxArgonWork)
	case got["m"] < 8*got["p"]:
		return errMalformed
	}
	return nil
}

// yescrypt returns the memory in MiB for the settings of crypt_gensalt(3), costs 1 to 7.
func yescrypt() map[string]int {
	return map[string]int{"j75": 1, "j85": 2, "j95": 4, "jA5": 8, "j9T": 16, "jAT": 32, "jBT": 64}
}

// memoryOf returns the memory in MiB that a check against a field needs, at least 1.
func memoryOf(field string) int {
	_, _, rest := control.SplitScheme(field)
	f := strings.Split(rest, "$")
	if len(f) < 4 {
		return 1
	}
	switch f[1] {
	case "y":
		return max(1, yescrypt()[f[2]])
	case "argon2id", "argon2i":
		for _, p := range strings.Split(f[3], ",") {
			if value, ok := strings.CutPrefix(p, "m="); ok {
				n, err := strconv.ParseUint(value, 10, 31)
				if err == nil && n <= maxMemory { // otherwise it is refused
					return int(n>>10) + 1
				}
			}
		}
	}
	return 1
}

// capYescrypt checks $y$SETTING$salt$hash. The settings are those that
// crypt_gensalt(3) makes for its costs 1 to 7, 64 MiB at most.
func capYescrypt(f []string) error {
	if len(f) != 5 || len(f[3]) > 64 || len(f[4]) != 43 {
		return errMalformed
	}
	if yescrypt()[f[2]] == 0 {
		return errors.New("the yescrypt hash has other costs than 1 to 7 of crypt_gensalt(3)")
	}
	return nil
}

func tooCostly(what string, limit int) error {
	return fmt.Errorf("the password hash has more %s than %d", what, limit)
}

// trimmed is the text of a digest for control/users.
func trimmed(d algorithm.Digest) string { return string(bytes.TrimSpace([]byte(d.Encode()))) }
