package spool

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Key is an entry's unique name for life: the queue id in replies, events and
// Received, the name in the mailbox and the POP3 UIDL. Its form is
// SEC.M<usec>R<16 hex digits>.HOST, and for a child that with a suffix.
type Key string

const (
	maxKey    = 70 // octets; RFC 1939 7 (UIDL)
	suffixLen = 13 // "-" and 12 hex digits
	stampLen  = len("1764000000.M000000R0123456789abcdef.")
	maxHost   = maxKey - suffixLen - stampLen
)

// NewKey returns a fresh key of the host at time t.
func NewKey(t time.Time, host string) Key {
	var random [8]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return makeKey(t, random, host)
}

func makeKey(t time.Time, tag [8]byte, host string) Key {
	return Key(fmt.Sprintf("%d.M%06dR%x.%s", t.Unix(), t.Nanosecond()/1000, tag, hostLabel(host)))
}

// hostLabel is the first label of the hostname as far as it fits into a key.
func hostLabel(host string) string {
	label, _, _ := strings.Cut(host, ".")
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, label)
	clean = strings.Trim(clean, "-")
	if clean == "" {
		return "localhost"
	}
	if len(clean) > maxHost {
		clean = clean[:maxHost]
	}
	clean = strings.TrimRight(clean, "-")
	if cut := len(clean) - suffixLen; cut >= 0 && clean[cut] == '-' && hexDigits(clean[cut+1:]) {
		return strings.ReplaceAll(clean, "-", "") // a label must not look like a child's suffix
	}
	return clean
}

// ParseKey checks s and returns it as a key.
func ParseKey(s string) (Key, error) {
	if !isKey(s) {
		return "", fmt.Errorf("%q is not a key", s)
	}
	return Key(s), nil
}

func isKey(s string) bool {
	if len(s) > maxKey {
		return false
	}
	sec, rest, ok := strings.Cut(s, ".M")
	if !ok || len(sec) > 12 || !digits(sec) || len(rest) < 6+1+16+2 {
		return false
	}
	usec, tag, host := rest[:6], rest[6:23], rest[23:]
	if !digits(usec) || tag[0] != 'R' || !hexDigits(tag[1:]) || host[0] != '.' {
		return false
	}
	for _, c := range []byte(host[1:]) {
		if c != '-' && !alphanumeric(c) {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func hexDigits(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// child returns the key of the child c of k: the same decision gives the same
// name, another decision another one. A child of a child replaces the suffix, so
// that no key grows.
func (k Key) child(c Child) Key {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s%s", k, c.Inbox, formatEnvelope(c.envelope()), c.trace())
	if c.Original != "" {
		fmt.Fprintf(h, "\noriginal %s", c.Original)
	}
	if c.Message != nil {
		fmt.Fprint(h, "\nchanged") // whatever the filter made of it this time
	}
	return Key(string(k.Root()) + "-" + hex.EncodeToString(h.Sum(nil))[:suffixLen-1])
}

// bounce returns the key of the report about the recipients failed of k.
func (k Key) bounce(failed []string, host string) Key {
	sum := sha256.Sum256([]byte("bounce\n" + string(k) + "\n" + strings.Join(failed, "\n")))
	return makeKey(k.Made(), [8]byte(sum[:8]), host)
}

// Made is the time at which the key was made; for a child, that of its root.
func (k Key) Made() time.Time {
	sec, rest, _ := strings.Cut(string(k), ".M")
	s, _ := strconv.ParseInt(sec, 10, 64)
	usec, _ := strconv.ParseInt(rest[:6], 10, 64)
	return time.Unix(s, usec*1000)
}

// Tag is the part of a key by which people know it: its random digits, and for a child
// the suffix.
func (k Key) Tag() string {
	_, rest, _ := strings.Cut(string(k), ".M")
	return rest[7:23] + string(k[len(k.Root()):])
}

// IsTag reports whether s may be the beginning of a Tag.
func IsTag(s string) bool {
	random, suffix, child := strings.Cut(s, "-")
	return s != "" && hexDigits(random) && hexDigits(suffix) && len(random) <= 16 && len(suffix) < suffixLen &&
		(!child || len(random) == 16)
}

// isChild reports whether k carries a child's suffix: its root is another key.
func (k Key) isChild() bool { return k.Root() != k }

// Root is the key without a child's suffix. A host's label may hold a hyphen
// too, so the suffix is known by its form.
func (k Key) Root() Key {
	i := len(k) - suffixLen
	if i >= stampLen && k[i] == '-' && hexDigits(string(k[i+1:])) {
		return k[:i]
	}
	return k
}
