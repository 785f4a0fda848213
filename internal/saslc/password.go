package saslc

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
)

// cramMD5 answers the challenge of CRAM-MD5 (RFC 2195 2).
func (c Credentials) cramMD5(challenge []byte) []byte {
	h := hmac.New(md5.New, []byte(c.Secret))
	h.Write(challenge)
	return []byte(c.User + " " + hex.EncodeToString(h.Sum(nil)))
}

// login is LOGIN. Servers word its two prompts differently, and some do not take the
// name as initial response, so it waits for both and does not read them.
func (x *Exchange) login(c Credentials) {
	answers := []string{c.User, c.Secret}
	x.next = func([]byte) ([]byte, error) {
		if len(answers) == 0 {
			return nil, errUnasked
		}
		answer := []byte(answers[0])
		answers = answers[1:]
		return answer, nil
	}
}
