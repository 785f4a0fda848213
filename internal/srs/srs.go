// Package srs rewrites the reverse paths of forwarded mail, so that SPF of the next host
// sees a domain of the forwarder and bounces find their way back: the Sender Rewriting
// Scheme, with the addresses SRS0 and SRS1.
//
//	SRS0=HASH=TT=sender.example=user@forwarder.example
//	SRS1=HASH=first.example==HASH=TT=sender.example=user@forwarder.example
package srs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"paperpath/internal/addr"
)

const (
	// MaxAge is for how many days an address is translated back.
	MaxAge = 21

	hashLength = 4    // characters of a hash that we make
	minHash    = 4    // of one that is believed
	maxHash    = 27   // of a whole HMAC-SHA1 in base64
	days       = 1024 // after which the time stamp begins again
)

// ErrTooLong means that the rewritten local part would be longer than every host accepts.
var ErrTooLong = errors.New("the rewritten local part would be longer than 64 octets")

// Scheme makes and believes addresses. The first secret makes them, all are believed, so
// that a new one can be put before an old one.
type Scheme struct {
	Secrets []string
	Now     time.Time
}

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// Is reports whether a local part has the form of the scheme.
func Is(local string) bool { return tagged(local, "srs0") || tagged(local, "srs1") }

// tagged reports whether a local part begins with a tag and a separator.
func tagged(local, tag string) bool {
	return len(local) > len(tag)+1 && addr.Fold(local[:len(tag)]) == tag && strings.IndexByte("=-+", local[len(tag)]) >= 0
}

// Forward returns the address in domain that stands for the sender a.
func (s Scheme) Forward(a addr.Address, domain string) (addr.Address, error) {
	var local string
	switch {
	case tagged(a.Local, "srs0"):
		local = s.srs1(a.Domain, a.Local[len("srs0"):])
	case tagged(a.Local, "srs1"):
		_, rest, _ := strings.Cut(a.Local[len("srs1="):], "=")
		host, user, ok := strings.Cut(rest, "=")
		if !ok || host == "" {
			return addr.Address{}, errors.New("the sender is no valid SRS1 address")
		}
		local = s.srs1(host, user)
	default:
		stamp := s.stamp()
		local = "SRS0=" + strings.Join([]string{s.hash(s.Secrets[0], hashLength, stamp, a.Domain, a.Local), stamp, a.Domain, a.Local}, "=")
	}
	if len(local) > addr.SafeLocal {
		return addr.Address{}, ErrTooLong
	}
	return addr.Address{Local: local, Domain: domain}, nil
}

// srs1 is the local part for a sender that another forwarder, host, has rewritten. user is
// what that has behind SRS0.
func (s Scheme) srs1(host, user string) string {
	return "SRS1=" + strings.Join([]string{s.hash(s.Secrets[0], hashLength, host, user), host, user}, "=")
}

// Back returns the address that one made by Forward stands for.
func (s Scheme) Back(a addr.Address) (addr.Address, error) {
	if tagged(a.Local, "srs1") {
		return s.back1(a.Local[len("srs1="):])
	}
	if !tagged(a.Local, "srs0") {
		return addr.Address{}, errors.New("no address of the scheme")
	}
	part := strings.SplitN(a.Local[len("srs0="):], "=", 4)
	if len(part) != 4 || part[2] == "" || part[3] == "" {
		return addr.Address{}, errors.New("an incomplete SRS0 address")
	}
	if !s.believed(part[0], part[1], part[2], part[3]) {
		return addr.Address{}, errors.New("a wrong hash")
	}
	if !s.recent(part[1]) {
		return addr.Address{}, errors.New("an expired address")
	}
	return checked(part[3], part[2])
}

func (s Scheme) back1(text string) (addr.Address, error) {
	part := strings.SplitN(text, "=", 3)
	if len(part) != 3 || part[1] == "" || len(part[2]) < 2 || strings.IndexByte("=-+", part[2][0]) < 0 {
		return addr.Address{}, errors.New("an incomplete SRS1 address")
	}
	if !s.believed(part[0], part[1], part[2]) {
		return addr.Address{}, errors.New("a wrong hash")
	}
	return checked("SRS0"+part[2], part[1])
}

// checked returns an address whose parts came out of a local part.
func checked(local, domain string) (addr.Address, error) {
	a := addr.Address{Local: local, Domain: domain}
	if addr.CheckDomain(domain) != nil {
		return addr.Address{}, errors.New("an invalid domain")
	}
	return addr.Parse(a.String())
}

// stamp is the day, in two characters.
func (s Scheme) stamp() string {
	day := s.today()
	return string([]byte{base32[day>>5], base32[day&31]})
}

func (s Scheme) today() int { return int(s.Now.Unix()/(24*60*60)) % days }

// recent reports whether a time stamp is at most MaxAge old. One of tomorrow is that of a
// host with another clock.
func (s Scheme) recent(stamp string) bool {
	if len(stamp) != 2 {
		return false
	}
	high := strings.IndexByte(base32, upper(stamp[0]))
	low := strings.IndexByte(base32, upper(stamp[1]))
	if high < 0 || low < 0 {
		return false
	}
	age := (s.today() - (high<<5 | low) + days) % days
	return age <= MaxAge || age == days-1
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// hash is that of the scheme: HMAC-SHA1 of the parts in lower case, in base64, cut off.
func (s Scheme) hash(secret string, length int, parts ...string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	for _, part := range parts {
		mac.Write([]byte(addr.Fold(part)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))[:length]
}

// believed compares a hash in constant time. Hosts on the way may have folded it.
func (s Scheme) believed(hash string, parts ...string) bool {
	if len(hash) < minHash || len(hash) > maxHash {
		return false
	}
	found := 0
	for _, secret := range s.Secrets {
		want := addr.Fold(s.hash(secret, len(hash), parts...))
		found |= subtle.ConstantTimeCompare([]byte(addr.Fold(hash)), []byte(want))
	}
	return found == 1
}
