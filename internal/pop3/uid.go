package pop3

import (
	"crypto/sha256"
	"encoding/hex"
)

// maxUID is the longest unique id (RFC 1939 7).
const maxUID = 70

// uid is the unique id of a message: its key, which it keeps for life, even when it is
// restored on another machine. A key from another deliverer that is too long, or that
// has characters an id may not have, is hashed.
func uid(key string) string {
	if 0 < len(key) && len(key) <= maxUID && fit(key) {
		return key
	}
	return hashed(key)
}

func hashed(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "sha256-" + hex.EncodeToString(sum[:20])
}

// fit reports whether all characters are in 0x21..0x7E.
func fit(key string) bool {
	for i := range len(key) {
		if key[i] < '!' || key[i] > '~' {
			return false
		}
	}
	return true
}
