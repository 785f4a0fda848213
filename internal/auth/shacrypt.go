package auth

import (
	"crypto/sha512"
	"crypto/subtle"
	"strconv"
	"strings"
)

// sha512Rounds is the default of a string without rounds.
const sha512Rounds = 5000

// matchSHA512 reports whether password is that of a crypt(3) string of the kind $6$,
// whose form the caller has checked. It implements Drepper's "Unix crypt using SHA-256
// and SHA-512", only for the speed of the inner loop: with one message in one buffer
// and no hash object a check, which is most of a login, takes two thirds of the
// library's time.
func matchSHA512(s, password string) bool {
	f := strings.Split(s, "$")
	rounds := sha512Rounds
	if text, ok := strings.CutPrefix(f[2], "rounds="); ok {
		rounds, _ = strconv.Atoi(text)
		f = f[1:]
	}
	got := sha512Text(sha512Crypt([]byte(password), []byte(f[2]), rounds))
	return subtle.ConstantTimeCompare(got, []byte(f[3])) == 1
}

// sha512Crypt returns the digest. p and salt are at most a few KiB.
func sha512Crypt(p, salt []byte, rounds int) (a [sha512.Size]byte) {
	a = sha512Start(p, salt)
	seqP := sha512Sequence(p, len(p))
	seqS := sha512Sequence(salt, 16+int(a[0]))
	buf := make([]byte, 0, len(a)+2*len(p)+len(salt))
	for i := range rounds {
		buf = buf[:0]
		if i%2 != 0 {
			buf = append(buf, seqP...)
		} else {
			buf = append(buf, a[:]...)
		}
		if i%3 != 0 {
			buf = append(buf, seqS...)
		}
		if i%7 != 0 {
			buf = append(buf, seqP...)
		}
		if i%2 != 0 {
			buf = append(buf, a[:]...)
		} else {
			buf = append(buf, seqP...)
		}
		a = sha512.Sum512(buf)
	}
	clear(buf[:cap(buf)])
	clear(seqP)
	return a
}

// sha512Start returns the digest before the rounds.
func sha512Start(p, salt []byte) (a [sha512.Size]byte) {
	h := sha512.New()
	h.Write(p)
	h.Write(salt)
	h.Write(p)
	b := h.Sum(nil)
	h.Reset()
	h.Write(p)
	h.Write(salt)
	h.Write(repeated(b, len(p)))
	for n := len(p); n > 0; n >>= 1 {
		if n&1 != 0 {
			h.Write(b)
		} else {
			h.Write(p)
		}
	}
	h.Sum(a[:0])
	return a
}

// sha512Sequence hashes what, repeated that many times, and returns the digest repeated
// or cut to the length of what.
func sha512Sequence(what []byte, times int) []byte {
	h := sha512.New()
	for range times {
		h.Write(what)
	}
	return repeated(h.Sum(nil), len(what))
}

// repeated returns the first n bytes of b, b, b and so on.
func repeated(b []byte, n int) []byte {
	all := make([]byte, 0, n+len(b))
	for len(all) < n {
		all = append(all, b...)
	}
	return all[:n]
}

// sha512Text encodes a digest as crypt(3) does.
func sha512Text(a [sha512.Size]byte) []byte {
	const letters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var text []byte
	put := func(v uint32, n int) {
		for range n {
			text = append(text, letters[v&63])
			v >>= 6
		}
	}
	x, y, z := 0, 21, 42
	for range 21 {
		put(uint32(a[x])<<16|uint32(a[y])<<8|uint32(a[z]), 4)
		x, y, z = y+1, z+1, x+1
	}
	put(uint32(a[63]), 2)
	return text
}
