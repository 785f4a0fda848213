package maildir

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// maxHost is the length of a host label in a key, in octets.
const maxHost = 20

// NewKey returns a key that no other message has: the time, 64 random bits and the first
// label of the host name.
func NewKey(now time.Time, host string) string {
	var random [8]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	label, _, _ := strings.Cut(host, ".")
	return makeKey(now, random[:], hostOf("."+label))
}

func makeKey(t time.Time, tag []byte, host string) string {
	return fmt.Sprintf("%d.M%06dR%x.%s", max(t.Unix(), 0), t.Nanosecond()/1000, tag, host)
}

// hostOf returns the host label after the last dot of a key.
func hostOf(key string) string {
	label := key[strings.LastIndexByte(key, '.')+1:]
	plain := func(r rune) bool {
		return r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if label == "" || len(label) > maxHost || strings.ContainsFunc(label, func(r rune) bool { return !plain(r) }) {
		return "localhost"
	}
	return label
}
