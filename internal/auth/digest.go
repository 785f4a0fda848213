package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
)

// digest is a scheme that is a plain digest of the password and a salt. The salt, if
// any, follows the digest.
type digest struct {
	new      func() hash.Hash
	salted   bool
	encoding string // if the scheme names none
}

// digests returns Dovecot's schemes of this kind. All but the salted SHA-2 are old, and
// supported only because existing user tables have them.
func digests() map[string]digest {
	return map[string]digest{
		"SSHA256":   {sha256.New, true, "B64"},
		"SSHA512":   {sha512.New, true, "B64"},
		"SSHA":      {sha1.New, true, "B64"},
		"SMD5":      {md5.New, true, "B64"},
		"SHA512":    {sha512.New, false, "B64"},
		"SHA256":    {sha256.New, false, "B64"},
		"SHA":       {sha1.New, false, "B64"},
		"SHA1":      {sha1.New, false, "B64"},
		"LDAP-MD5":  {md5.New, false, "B64"},
		"PLAIN-MD5": {md5.New, false, "HEX"},
	}
}

// verify reports whether text is the digest of password.
func (d digest) verify(encoding, text, password string) (bool, error) {
	h := d.new()
	if encoding == "" {
		encoding = d.encoding
		if !d.salted && len(text) == 2*h.Size() { // as Dovecot guesses
			encoding = "HEX"
		}
	}
	blob, err := decode(encoding, text)
	if err != nil {
		return false, err
	}
	if len(blob) < h.Size() || len(blob) > maxBlob || d.salted != (len(blob) > h.Size()) {
		return false, errMalformed
	}
	h.Write([]byte(password))
	h.Write(blob[h.Size():])
	return hmac.Equal(h.Sum(nil), blob[:h.Size()]), nil
}

// verifyPBKDF2 checks Dovecot's {PBKDF2}, `$1$salt$rounds$hex` over SHA-1.
func verifyPBKDF2(text, password string) (bool, error) {
	f := strings.Split(text, "$")
	if len(f) != 5 || f[0] != "" || f[1] != "1" || len(f[2]) > maxBlob {
		return false, errMalformed
	}
	n, err := strconv.ParseUint(f[3], 10, 31)
	want, notHex := hex.DecodeString(f[4])
	switch {
	case err != nil || notHex != nil || n == 0 || len(want) != sha1.Size:
		return false, errMalformed
	case n > maxIterations:
		return false, tooCostly("rounds", maxIterations)
	}
	got, err := pbkdf2.Key(sha1.New, password, []byte(f[2]), int(n), len(want))
	return err == nil && hmac.Equal(got, want), err
}
